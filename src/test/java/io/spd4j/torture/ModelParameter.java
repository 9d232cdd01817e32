package io.spd4j.torture;

import io.spd4j.ElementType;
import io.spd4j.MomentType;
import io.spd4j.Parameter;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/** What the model knows of a parameter, and the subjects' parameters. */
final class ModelParameter {
  private static final long MOST_STEPS = 1L << 53;

  String name;
  ElementType type = ElementType.FLOAT32;
  ElementType gradientType = ElementType.FLOAT32;
  ElementType anchorType = ElementType.FLOAT32;
  MomentType momentType = MomentType.FLOAT32;
  Spot data;
  Spot low;
  Spot gradient;
  Spot anchor;
  Spot expAvg;
  Spot expAvgSq;
  Spot maxExpAvgSq;
  long step;

  ModelGroup group;
  ModelOptimizer owner;
  final Parameter[] real;

  ModelParameter(int subjects) {
    real = new Parameter[subjects];
  }

  long numel() {
    return data.bytes() / type.byteSize();
  }

  List<Spot> written() {
    return Stream.of(data, low, expAvg, expAvgSq, maxExpAvgSq).filter(Objects::nonNull).toList();
  }

  List<Spot> read() {
    return Stream.of(gradient, anchor).filter(Objects::nonNull).toList();
  }

  boolean isActive() {
    return gradient != null && !group.frozen;
  }

  /** Returns what a step finds wrong if it includes this parameter. */
  void addStepFaults(Faults faults, boolean elsewhere) {
    for (List<Spot> spots : List.of(written(), read())) {
      for (Spot spot : spots) {
        faults.illegalState(!spot.isAlive());
        faults.wrongThread(elsewhere && spot.isConfined());
      }
    }
  }

  /** Builds the subjects' parameter. */
  Parameter build(int s) {
    return Parameter.builder(name, Spot.of(data, s), type)
        .low(Spot.of(low, s))
        .gradient(Spot.of(gradient, s), gradientType)
        .anchor(Spot.of(anchor, s), anchorType)
        .momentType(momentType)
        .moments(Spot.of(expAvg, s), Spot.of(expAvgSq, s))
        .maxExpAvgSq(Spot.of(maxExpAvgSq, s))
        .step(step)
        .build();
  }

  /** Returns what is wrong with building it. */
  Faults buildFaults() {
    Faults faults =
        new Faults()
            .nullPointer(name == null || data == null || momentType == null)
            .nullPointer(type == null || gradientType == null || anchorType == null);
    if (!faults.none()) {
      return faults.illegalArgument(true); // other faults may be found first
    }
    faults
        .illegalArgument(name.isBlank())
        .illegalArgument(!isStepped(type) || !isStepped(gradientType) || !isStepped(anchorType))
        .illegalArgument(data.isFaulty(type.byteSize(), -1, true))
        .illegalArgument(low != null && type != ElementType.BFLOAT16)
        .illegalArgument(step < 0 || step > MOST_STEPS || step > 0 && expAvg == null)
        .illegalArgument((expAvg == null) != (expAvgSq == null))
        .illegalArgument(maxExpAvgSq != null && expAvg == null);
    array(faults, low, Short.BYTES, true);
    array(faults, gradient, gradientType.byteSize(), false);
    array(faults, anchor, anchorType.byteSize(), false);
    for (Spot moment : new Spot[] {expAvg, expAvgSq, maxExpAvgSq}) {
      if (moment != null) {
        int unit = momentType == MomentType.BFLOAT16 ? Short.BYTES : Float.BYTES;
        faults.illegalArgument(moment.isFaulty(unit, momentBytes(momentType, numel()), true));
      }
    }
    return faults;
  }

  private void array(Faults faults, Spot spot, int size, boolean written) {
    faults.illegalArgument(spot != null && spot.isFaulty(size, numel() * size, written));
  }

  static boolean isStepped(ElementType type) {
    return type == ElementType.FLOAT32
        || type == ElementType.BFLOAT16
        || type == ElementType.FLOAT16;
  }

  static long momentBytes(MomentType type, long numel) {
    return switch (type) {
      case FLOAT32 -> 4 * numel;
      case BFLOAT16 -> 2 * numel;
      case BLOCKWISE_8BIT -> (numel + 3) / 4 * 4 + (numel + 63) / 64 * 4;
    };
  }

  /** Tells the slabs where steps write float32. */
  void declareFloats() {
    if (type == ElementType.FLOAT32) {
      data.slab().floats(data, null);
    } else if (low != null) {
      data.slab().floats(data, low);
      low.slab().floats(data, low);
    }
    if (momentType == MomentType.FLOAT32) {
      for (Spot moment : new Spot[] {expAvg, expAvgSq, maxExpAvgSq}) {
        if (moment != null) {
          moment.slab().floats(moment, null);
        }
      }
    }
  }
}
