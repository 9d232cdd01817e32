package io.spd4j.kernel;

import io.spd4j.cuda.DeviceArena;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Host memory, stepped by CPU threads.
 *
 * @param threads the most threads that work on a step, the caller's included
 * @param executor runs the helpers; null for daemon threads of the optimizer
 */
public record HostPlace(Kernels kernels, int threads, Executor executor) implements Place {
  @Override
  public String backend() {
    return kernels.name();
  }

  @Override
  public String fault(MemorySegment array) {
    return DeviceArena.isDevice(array)
        ? "lies in device memory, which only the backend cuda steps"
        : null;
  }

  @Override
  public Arena openArena() {
    return Arena.ofShared();
  }

  @Override
  public void copy(MemorySegment from, MemorySegment to) {
    to.copyFrom(from);
  }

  @Override
  public void interpolate(Interpolands arrays) {
    kernels.interpolate(arrays);
  }

  @Override
  public MemorySegment onHost(MemorySegment array, Arena arena) {
    return array;
  }

  @Override
  public Stepper stepper(
      List<SteppedTensor> tensors,
      List<Supplier<Settings>> groups,
      Function<MemorySegment.Scope, String> describe,
      Exchange exchange) {
    return new CpuStepper(kernels, tensors, groups, threads, executor, describe, exchange);
  }
}
