package io.spd4j.kernel.cuda;

import io.spd4j.generated.spd4jcuda.spd4j_cuda_item;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_run;
import io.spd4j.kernel.BlockTable;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * The runs of a step, one over all tensors and one for each tensor alone, as {@code spd4j_cuda_run}
 * rows over items in device memory. The device skips tensors that are not stepped; which tensors
 * use SPD is fixed here.
 */
final class CudaRuns {
  private final BitSet spd;

  /** The tensors with an array that is not float32. */
  private final BitSet typed = new BitSet();

  private final long resident;
  private final MemorySegment all;
  private final MemorySegment[] alone;

  /**
   * @param host the arena for the rows; the items are freed with the tables
   * @param spd the tensors whose rule is SPD
   * @param resident the number of thread blocks that the device runs at once
   */
  CudaRuns(Arena host, CudaTables tables, BlockTable blocks, BitSet spd, long resident) {
    this.spd = spd;
    this.resident = resident;
    int tensors = blocks.tensorCount();
    for (int t = 0; t < tensors; t++) {
      typed.set(t, !blocks.tensor(t).isFloat32());
    }
    List<CudaItems.Item> items = new ArrayList<>();
    // With this lag, a thread block that takes a projection finds its updates taken and mostly
    // done.
    CudaItems.add(items, blocks, 0, tensors, spd::get, resident);
    int[] ends = new int[tensors + 1];
    ends[0] = items.size();
    for (int t = 0; t < tensors; t++) {
      CudaItems.add(items, blocks, t, t + 1, spd::get, 0);
      ends[t + 1] = items.size();
    }
    MemorySegment rows;
    try (Arena arena = Arena.ofConfined()) {
      rows = tables.send(CudaItems.rows(arena, items));
    }
    all = run(host, rows, 0, ends[0], 0, tensors);
    alone = new MemorySegment[tensors];
    for (int t = 0; t < tensors; t++) {
      alone[t] = run(host, rows, ends[t], ends[t + 1], t, t + 1);
    }
  }

  private MemorySegment run(
      Arena host, MemorySegment rows, int firstItem, int endItem, int first, int end) {
    MemorySegment run = spd4j_cuda_run.allocate(host);
    spd4j_cuda_run.items(run, spd4j_cuda_item.asSlice(rows, firstItem));
    spd4j_cuda_run.item_count(run, endItem - firstItem);
    spd4j_cuda_run.first_tensor(run, first);
    spd4j_cuda_run.end_tensor(run, end);
    spd4j_cuda_run.spd(run, anyOf(spd, first, end));
    spd4j_cuda_run.resident(run, resident);
    spd4j_cuda_run.typed(run, anyOf(typed, first, end));
    return run;
  }

  /** Returns 1 if a bit of [first, end) is set, else 0. */
  private static long anyOf(BitSet bits, int first, int end) {
    int next = bits.nextSetBit(first);
    return next >= 0 && next < end ? 1 : 0;
  }

  /** Returns the run of all tensors. */
  MemorySegment all() {
    return all;
  }

  /** Returns the run of one tensor alone. */
  MemorySegment alone(int tensor) {
    return alone[tensor];
  }
}
