package io.spd4j.cuda;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.MemorySegment;
import java.util.Set;

/**
 * Work that {@link CudaStream#capture} recorded. {@link CudaStream#launch} runs it, as often as
 * wanted, always on the same memory with its current contents. Thread-safe.
 */
public final class CudaGraph extends CudaHandle {
  private final Set<CudaArena> arenas;

  private CudaGraph(CudaDevice device, MemorySegment handle, Set<CudaArena> arenas) {
    super(device, handle);
    this.arenas = arenas;
  }

  /** Makes an executable graph; the caller destroys the template. */
  static CudaGraph of(CudaDevice device, MemorySegment template, Set<CudaArena> arenas) {
    MemorySegment handle =
        made(
            device,
            "instantiating a graph",
            pointer -> cudart_h.cudaGraphInstantiate(pointer, template, 0));
    return new CudaGraph(device, handle, arenas);
  }

  /** Returns the arenas whose memory the graph uses. */
  Set<CudaArena> arenas() {
    return arenas;
  }

  /** Launches the graph; returns a cudaError. Synchronized: CUDA's graphs are not thread-safe. */
  synchronized int launch(MemorySegment stream) {
    return cudart_h.cudaGraphLaunch(pointer(), stream);
  }

  @Override
  int destroy() {
    return cudart_h.cudaGraphExecDestroy(pointer());
  }
}
