package io.spd4j.kernel.cuda;

import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import io.spd4j.kernel.Place;
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
  public Stepper stepper(
      List<SteppedTensor> tensors,
      List<Supplier<Settings>> groups,
      Function<MemorySegment.Scope, String> describe) {
    return new CudaStepper(stream, tensors, groups, describe);
  }
}
