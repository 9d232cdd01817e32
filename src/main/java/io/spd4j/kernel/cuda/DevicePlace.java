package io.spd4j.kernel.cuda;

import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_h;
import io.spd4j.kernel.Exchange;
import io.spd4j.kernel.Interpolands;
import io.spd4j.kernel.Place;
import io.spd4j.kernel.Rule;
import io.spd4j.kernel.Settings;
import io.spd4j.kernel.SteppedTensor;
import io.spd4j.kernel.Stepper;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * The memory of a CUDA device.
 *
 * @param stream the stream that steps are enqueued onto
 */
public record DevicePlace(CudaStream stream) implements Place {
  /**
   * Returns the first rule that libspd4j_cuda lacks or numbers differently; null if there is none.
   */
  public static Rule unknownRule() {
    return Rule.unknown(spd4j_cuda_h::spd4j_cuda_rule_name);
  }

  @Override
  public String backend() {
    return "cuda";
  }

  @Override
  public String fault(MemorySegment array) {
    if (!DeviceArena.isDevice(array)) {
      return "lies in host memory: the backend cuda needs memory of a DeviceArena";
    }
    CudaDevice device = CudaDevice.of(array);
    return device == stream.device()
        ? null
        : "lies on " + device + ", the stream belongs to " + stream.device();
  }

  @Override
  public Arena openArena() {
    return DeviceArena.open(stream.device());
  }

  @Override
  public void copy(MemorySegment from, MemorySegment to) {
    stream.copy(from, to);
  }

  @Override
  public void interpolate(Interpolands a) {
    stream.enqueue(
        "interpolating",
        List.of(a.from(), a.to(), a.dst()),
        () ->
            spd4j_cuda_h.spd4j_cuda_interpolate(
                MemorySegment.ofAddress(a.from().address()),
                a.fromType().ordinal(),
                MemorySegment.ofAddress(a.to().address()),
                a.toType().ordinal(),
                a.alpha(),
                MemorySegment.ofAddress(a.dst().address()),
                a.dstType().ordinal(),
                a.numel(),
                MemorySegment.ofAddress(stream.handle())));
  }

  @Override
  public MemorySegment onHost(MemorySegment array, Arena arena) {
    if (!DeviceArena.isDevice(array)) {
      return array;
    }
    MemorySegment copy = arena.allocate(array.byteSize(), Double.BYTES);
    stream.copy(array, copy);
    return copy;
  }

  @Override
  public Stepper stepper(
      List<SteppedTensor> tensors,
      List<Supplier<Settings>> groups,
      Function<MemorySegment.Scope, String> describe,
      Exchange exchange) {
    return new CudaStepper(stream, tensors, groups, describe);
  }
}
