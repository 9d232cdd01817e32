package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.cuda.DeviceArena;
import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.ToDoubleFunction;

/**
 * Plain Java in one thread beside other backends, which take the same steps with copies of its
 * tensors and must give the same bits.
 */
final class SideBySide implements AutoCloseable {
  private static final int[] THREADS = {1, 2, 3};

  final Tensors tensors;
  final Adam plain;

  /** Null if the other backends step host memory. */
  final OnDevice onDevice;

  private final Map<String, Adam> others = new LinkedHashMap<>();

  private SideBySide(Tensors tensors, List<ParameterGroup> groups, OnDevice onDevice) {
    this.tensors = tensors;
    this.onDevice = onDevice;
    if (onDevice != null) {
      others.put("cuda", copy(groups, Adam.builder().stream(onDevice.stream)));
      assertThat(cuda().backend()).isEqualTo(Backend.CUDA);
    } else {
      for (Kernels kernels : AllKernels.list()) {
        for (int threads : THREADS) {
          String name = kernels.name() + " " + kernels.detail() + ", " + threads + " threads";
          others.put(name, copy(groups, Adam.builder().kernels(kernels).threads(threads)));
        }
      }
    }
    Kernels scalar = AllKernels.list().getFirst();
    plain = Optimizers.adam(scalar, 1, groups.toArray(ParameterGroup[]::new));
  }

  /** Returns every CPU backend with several thread counts beside plain Java. */
  static SideBySide onCpu(Tensors tensors, List<ParameterGroup> groups) {
    return new SideBySide(tensors, groups, null);
  }

  static SideBySide onCuda(Tensors tensors, List<ParameterGroup> groups) {
    return new SideBySide(tensors, groups, new OnDevice());
  }

  private Adam copy(List<ParameterGroup> groups, Adam.Builder builder) {
    for (ParameterGroup g : groups) {
      builder.group(
          ParameterGroup.builder()
              .lr(g.lr())
              .betas(g.beta1(), g.beta2())
              .eps(g.eps())
              .amsgrad(g.amsgrad())
              .maximize(g.maximize())
              .decay(g.decay())
              .frozen(g.frozen())
              .parameters(g.parameters().stream().map(this::twin).toList())
              .build());
    }
    return builder.build();
  }

  /** Copies a parameter. In host memory all copies share the original's gradient and anchor. */
  private Parameter twin(Parameter p) {
    return onDevice != null
        ? onDevice.twin(p)
        : Tensors.twin(
            p, s -> s == p.gradient() || s == p.anchor() ? s : Tensors.copy(tensors.arena, s));
  }

  Adam cuda() {
    return others.get("cuda");
  }

  /** Changes the settings of a group in every optimizer. */
  void change(int group, Consumer<ParameterGroup> change) {
    change.accept(plain.groups().get(group));
    others.values().forEach(adam -> change.accept(adam.groups().get(group)));
  }

  /** Sets the gradient of the parameter at an index in every optimizer; null removes it. */
  void gradient(int index, MemorySegment gradient) {
    plain.parameters().get(index).gradient(gradient);
    for (Adam adam : others.values()) {
      adam.parameters().get(index).gradient(onDevice == null ? gradient : onDevice.copy(gradient));
    }
  }

  /** Gives every optimizer new gradients. */
  void nextGradients() {
    tensors.nextGradients();
    copyGradients();
  }

  /** Copies the gradients in host memory to the device, if the others step device memory. */
  void copyGradients() {
    if (onDevice != null) {
      onDevice.copyGradients();
    }
  }

  /** Takes the same step with every optimizer after new gradients; all results must be the same. */
  void step(String what, ToDoubleFunction<Adam> step) {
    nextGradients();
    stepOnly(what, step);
  }

  /** Takes the same step with every optimizer; return values and states must be the same. */
  void stepOnly(String what, ToDoubleFunction<Adam> step) {
    Double expected = step.applyAsDouble(plain);
    others.forEach((name, adam) ->
        assertThat(step.applyAsDouble(adam))
            .as("return value of %s, %s", what, name)
            .isEqualTo(expected));
    assertSame(what);
  }

  /** Makes a step without a return value return 0. */
  static ToDoubleFunction<Adam> silent(Consumer<Adam> step) {
    return adam -> {
      step.accept(adam);
      return 0;
    };
  }

  void assertSame(String what) {
    others.forEach((name, adam) -> {
      for (int i = 0; i < plain.parameters().size(); i++) {
        assertSame(plain.parameters().get(i), adam.parameters().get(i), what + ", " + name);
      }
      assertThat(adam.spdReports()).as(what + ", " + name).isEqualTo(plain.spdReports());
      assertThat(State.steps(adam)).as(what + ", " + name).isEqualTo(State.steps(plain));
    });
  }

  private void assertSame(Parameter expected, Parameter p, String what) {
    if (tensors.types.split()) {
      assertThat(mismatch(joined(expected.data(), expected.low()), joined(p.data(), p.low())))
          .as("first element that differs in data of %s, %s", p, what)
          .isEqualTo(-1);
    }
    for (ParameterArray array : ParameterArray.values()) {
      if (array.written && !(array == ParameterArray.DATA && tensors.types.split())) {
        MemorySegment e = array.of(expected);
        MemorySegment a = array.of(p);
        assertThat(a == null).as("%s of %s, %s", array, p, what).isEqualTo(e == null);
        if (a != null) {
          boolean float32 = tensors.types.bytes(array, p.numel()) == p.numel() * Float.BYTES;
          MemorySegment read = read(a);
          assertThat(float32 ? mismatch(e, read) : e.mismatch(read))
              .as("where %s of %s first differs, %s", array, p, what)
              .isEqualTo(-1);
        }
      }
    }
  }

  private MemorySegment read(MemorySegment array) {
    return onDevice == null || !DeviceArena.isDevice(array)
        ? array
        : MemorySegment.ofArray(onDevice.read(array));
  }

  private MemorySegment joined(MemorySegment high, MemorySegment low) {
    MemorySegment values = MemorySegment.ofArray(new float[(int) (high.byteSize() / 2)]);
    MemorySegment h = read(high);
    MemorySegment l = read(low);
    for (long i = 0; i < values.byteSize() / Float.BYTES; i++) {
      int bits =
          (h.getAtIndex(JAVA_SHORT_UNALIGNED, i) << 16) + l.getAtIndex(JAVA_SHORT_UNALIGNED, i);
      values.setAtIndex(JAVA_INT, i, bits);
    }
    return values;
  }

  /**
   * Returns the first index that differs in float32 arrays, or -1. All NaNs are equal: their bits
   * may differ. Those of the other types may not, as every NaN is rounded to the same bits.
   */
  private static long mismatch(MemorySegment a, MemorySegment b) {
    assertThat(b.byteSize()).isEqualTo(a.byteSize());
    long at = a.mismatch(b);
    for (long i = at / Float.BYTES; at >= 0 && i < a.byteSize() / Float.BYTES; i++) {
      int x = Float.floatToIntBits(Tensors.get(a, ElementType.FLOAT32, i));
      if (x != Float.floatToIntBits(Tensors.get(b, ElementType.FLOAT32, i))) {
        return i;
      }
    }
    return -1;
  }

  @Override
  public void close() {
    plain.close();
    others.values().forEach(Adam::close);
    if (onDevice != null) {
      onDevice.close();
    }
    tensors.close();
  }
}
