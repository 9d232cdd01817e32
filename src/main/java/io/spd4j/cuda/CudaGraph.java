package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.MemorySegment;
import java.util.Set;

/**
 * Work that {@link CudaStream#capture} recorded, to be launched again and again by {@link
 * CudaStream#launch}. It works on the same memory each time, whatever that holds then. Thread-safe.
 */
public final class CudaGraph extends CudaHandle {
  private final Set<CudaArena> arenas;

  private CudaGraph(CudaDevice device, MemorySegment handle, Set<CudaArena> arenas) {
    super(device, handle);
    this.arenas = arenas;
  }

  /** Makes an executable graph; the template is the caller's to destroy. */
  static CudaGraph of(CudaDevice device, MemorySegment template, Set<CudaArena> arenas) {
    MemorySegment handle =
        made(
            device,
            "instantiating a graph",
            pointer -> cudart_h.cudaGraphInstantiate(pointer, template, 0));
    return new CudaGraph(device, handle, arenas);
  }

  /** Whose memory it works on. */
  Set<CudaArena> arenas() {
    return arenas;
  }

  /** Launches it; returns a cudaError. CUDA's graphs are not thread-safe. */
  synchronized int launch(MemorySegment stream) {
    return cudart_h.cudaGraphLaunch(pointer(), stream);
  }

  @Override
  int destroy() {
    return cudart_h.cudaGraphExecDestroy(pointer());
  }
}
