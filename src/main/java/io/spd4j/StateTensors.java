package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.spd4j.kernel.SpdDecision;
import io.spd4j.safetensors.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The tensors of a checkpoint that belong to a parameter. Their names are the parameter's name and
 * PyTorch's names for the state of AdamW.
 */
final class StateTensors {
  static final String DATA = "";
  static final String LOW = ".low";
  static final String EXP_AVG = ".exp_avg";
  static final String EXP_AVG_SQ = ".exp_avg_sq";
  static final String MAX_EXP_AVG_SQ = ".max_exp_avg_sq";

  /** The step count, a float64 as torch may have it: exact up to 2^53, and torch takes it as is. */
  static final String STEP = ".step";

  /** SPD's last decision and counts; see {@link #spd}. */
  static final String SPD = ".spd";

  static final List<String> SUFFIXES =
      List.of(DATA, LOW, EXP_AVG, EXP_AVG_SQ, MAX_EXP_AVG_SQ, STEP, SPD);

  private static final int SPD_VALUES = 8;

  private StateTensors() {}

  /**
   * An array of a parameter as the tensor that holds it.
   *
   * @param count the number of elements
   * @param segment null if the optimizer has still to allocate it
   */
  record Array(String name, ElementType type, long count, MemorySegment segment) {}

  /** Returns a parameter's data and, if there are any, its low halves. */
  static List<Array> data(Parameter p) {
    List<Array> arrays = new ArrayList<>();
    arrays.add(new Array(p.name() + DATA, p.type(), p.numel(), p.data()));
    if (p.low() != null) {
      arrays.add(new Array(p.name() + LOW, ElementType.INT16, p.numel(), p.low()));
    }
    return arrays;
  }

  /** Returns a parameter's moments: 8-bit ones are bytes, their codes and then their scales. */
  static List<Array> moments(Parameter p, boolean amsgrad) {
    ElementType type =
        switch (p.momentType()) {
          case FLOAT32 -> ElementType.FLOAT32;
          case BFLOAT16 -> ElementType.BFLOAT16;
          case BLOCKWISE_8BIT -> ElementType.UINT8;
        };
    long count = p.momentType().byteSize(p.numel()) / type.byteSize();
    List<Array> arrays = new ArrayList<>();
    arrays.add(new Array(p.name() + EXP_AVG, type, count, p.expAvg()));
    arrays.add(new Array(p.name() + EXP_AVG_SQ, type, count, p.expAvgSq()));
    if (amsgrad) {
      arrays.add(new Array(p.name() + MAX_EXP_AVG_SQ, type, count, p.maxExpAvgSq()));
    }
    return arrays;
  }

  static Tensor step(Parameter p, long step) {
    return doubles(p.name() + STEP, List.of(), step);
  }

  /** Returns a decision as 8 doubles. */
  static Tensor spd(Parameter p, SpdDecision d) {
    return doubles(
        p.name() + SPD,
        List.of((long) SPD_VALUES),
        d.step(),
        d.checked(),
        d.selections(),
        d.ratioSum(),
        d.gradDot(),
        d.devSq(),
        d.newDevSq(),
        d.shrink());
  }

  private static Tensor doubles(String name, List<Long> shape, double... values) {
    return new Tensor(name, ElementType.FLOAT64, shape, MemorySegment.ofArray(values));
  }

  /**
   * Returns the step count in a tensor.
   *
   * @return -1 if the tensor is not one number that is a step count
   */
  static long step(Tensor tensor) {
    if (tensor.numel() != 1) {
      return -1;
    }
    double step =
        switch (tensor.dtype()) {
          case FLOAT64 -> tensor.data().get(JAVA_DOUBLE_UNALIGNED, 0);
          case FLOAT32 -> tensor.data().get(JAVA_FLOAT_UNALIGNED, 0);
          case INT64 -> tensor.data().get(JAVA_LONG_UNALIGNED, 0);
          case INT32 -> tensor.data().get(JAVA_INT_UNALIGNED, 0);
          default -> -1;
        };
    return isSteps(step) ? (long) step : -1;
  }

  private static boolean isSteps(double value) {
    return value == Math.rint(value) && Checks.isSteps((long) value);
  }

  /** Returns whether a tensor can hold a decision: the first three of its numbers are counts. */
  static boolean isSpd(Tensor tensor) {
    return tensor.dtype() == ElementType.FLOAT64
        && tensor.numel() == SPD_VALUES
        && IntStream.range(0, 3)
            .allMatch(i -> isSteps(tensor.data().getAtIndex(JAVA_DOUBLE_UNALIGNED, i)));
  }

  /** Returns the decision in a tensor of {@link #spd}. */
  static SpdDecision spd(Tensor tensor) {
    double[] v = new double[SPD_VALUES];
    for (int i = 0; i < v.length; i++) {
      v[i] = tensor.data().getAtIndex(JAVA_DOUBLE_UNALIGNED, i);
    }
    return new SpdDecision(
        (long) v[0], v[4], v[5], v[6], (float) v[7], (long) v[1], (long) v[2], v[3]);
  }
}
