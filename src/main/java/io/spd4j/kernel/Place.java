package io.spd4j.kernel;

import io.spd4j.cuda.CudaDevice;
import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import io.spd4j.kernel.cuda.DevicePlace;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.function.Function;
import java.util.function.Supplier;

/** Where the arrays of an optimizer lie, and what steps them there. Immutable. */
public interface Place {
  /**
   * The place for arrays like this one.
   *
   * @param backend the name of the backend; null: the first that is available for the memory
   * @param array an array of the optimizer; {@link MemorySegment#NULL} if it has none
   * @param stream for CUDA; null: the default stream of the array's device
   * @param threads threads that work on a step in host memory, the caller's among them
   * @param executor runs the helpers; null: own daemon threads
   * @throws IllegalArgumentException if there is no backend of that name, or a stream is given but
   *     the backend has none
   * @throws IllegalStateException if the backend is not available; the message says why
   */
  static Place of(
      String backend, MemorySegment array, CudaStream stream, int threads, Executor executor) {
    boolean onDevice = DeviceArena.isDevice(array);
    KernelProvider.Candidate chosen = KernelProvider.select(backend, onDevice);
    if (chosen.kernels() == null) {
      CudaDevice device = onDevice ? CudaDevice.of(array) : CudaDevice.of(0);
      return new DevicePlace(stream != null ? stream : CudaStream.ofHandle(device, 0));
    }
    if (stream != null) {
      throw new IllegalArgumentException(
          "a stream is given, but "
              + (backend != null || onDevice
                  ? "the backend asked for is " + chosen.name()
                  : "the parameters lie in host memory: allocate them from a DeviceArena"));
    }
    return new HostPlace(chosen.kernels(), threads, executor);
  }

  /** The name of the backend. */
  String backend();

  /** Why an array cannot be stepped here, worded to follow its name; null: it can. */
  String fault(MemorySegment array);

  /** A new arena for the moments. */
  Arena openArena();

  /**
   * A stepper of these tensors.
   *
   * @param groups the groups' settings of the moment, by the tensors' group index
   * @param describe names an array that lies in an arena, for messages
   */
  Stepper stepper(
      List<SteppedTensor> tensors,
      List<Supplier<Settings>> groups,
      Function<MemorySegment.Scope, String> describe);
}
