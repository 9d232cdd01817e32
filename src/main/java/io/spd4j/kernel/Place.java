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
   * Returns the place for arrays in the same kind of memory as this one.
   *
   * @param backend the name of the backend; null for the first that is available for the memory
   * @param array an array of the optimizer; {@link MemorySegment#NULL} if it has none yet: then the
   *     place is a device if a stream is given
   * @param stream the stream for CUDA; null for the default stream of the array's device
   * @param threads the most threads that work on a step in host memory, the caller's included
   * @param executor runs the helpers; null for daemon threads of the optimizer
   * @throws IllegalArgumentException if there is no backend of that name, or a stream is given but
   *     the backend is not CUDA
   * @throws IllegalStateException if the backend is not available; the message says why
   */
  static Place of(
      String backend, MemorySegment array, CudaStream stream, int threads, Executor executor) {
    boolean device = DeviceArena.isDevice(array);
    boolean onDevice = device || stream != null && array.equals(MemorySegment.NULL);
    KernelProvider.Candidate chosen = KernelProvider.select(backend, onDevice);
    if (chosen.kernels() == null) {
      return new DevicePlace(
          stream != null
              ? stream
              : CudaStream.ofHandle(device ? CudaDevice.of(array) : CudaDevice.of(0), 0));
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

  /** Returns the name of the backend. */
  String backend();

  /** Returns why an array cannot be stepped here, worded to follow its name; null if it can. */
  String fault(MemorySegment array);

  /** Opens an arena for the moments. */
  Arena openArena();

  /**
   * Copies bytes, after the steps under way, and waits until it is done.
   *
   * @param from an array here or in host memory
   * @param to an array here or in host memory, of the same size
   */
  void copy(MemorySegment from, MemorySegment to);

  /**
   * Interpolates between two arrays here, unless the result is a copy. Does not wait for a device.
   */
  void interpolate(Interpolands arrays);

  /**
   * Returns an array that Java can read: the given one, or a copy of it in the arena.
   *
   * @param array an array here or in host memory
   */
  MemorySegment onHost(MemorySegment array, Arena arena);

  /**
   * Returns a stepper of these tensors.
   *
   * @param groups the groups' current settings, by the tensors' group index
   * @param describe names an array that lies in an arena, for messages
   * @param exchange with the other processes, if the tensors are shards; none on a device
   */
  Stepper stepper(
      List<SteppedTensor> tensors,
      List<Supplier<Settings>> groups,
      Function<MemorySegment.Scope, String> describe,
      Exchange exchange);
}
