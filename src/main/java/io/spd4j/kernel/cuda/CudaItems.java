package io.spd4j.kernel.cuda;

import io.spd4j.generated.spd4jcuda.spd4j_cuda_h;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_item;
import io.spd4j.kernel.BlockTable;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * The work items of a step on a device, in the order in which thread blocks take them: one update
 * per block and, some way after the last update of a tensor, the projection of the tensor's blocks,
 * the newest first. By then the decision has been taken, and the parameters are still in the L2.
 */
final class CudaItems {
  private static final int MOST = spd4j_cuda_h.SPD4J_CUDA_PROJECT_BLOCKS();

  /**
   * Blocks [first, end) that are projected together, of one tensor or of several small ones.
   *
   * @param updates the number of updates before the projection, on which it depends
   */
  private record Projection(long first, long end, long updates) {}

  /** A row of {@code spd4j_cuda_item}. */
  record Item(long block, int count, boolean project) {}

  private final List<Item> items;
  private final Deque<Projection> waiting = new ArrayDeque<>();
  private final long lag;
  private long updates;

  /** Blocks [first, end) of small tensors that will be projected together next. */
  private long first;

  private long end;

  private CudaItems(List<Item> items, long lag) {
    this.items = items;
    this.lag = lag;
  }

  /**
   * Adds the items of the tensors [first, end) to a list.
   *
   * @param spd tells whether a tensor's rule is SPD
   * @param lag updates between a tensor's last one and its projection, if there are that many
   */
  static void add(
      List<Item> items, BlockTable table, int first, int end, IntPredicate spd, long lag) {
    CudaItems all = new CudaItems(items, lag);
    for (int t = first; t < end; t++) {
      all.add(table.firstBlock(t), table.firstBlock(t + 1), spd.test(t));
    }
    all.close();
    all.project(Long.MAX_VALUE);
  }

  /** Returns items as {@code spd4j_cuda_item} rows, with an unused row at the end. */
  static MemorySegment rows(Arena arena, List<Item> items) {
    MemorySegment rows = spd4j_cuda_item.allocateArray(items.size() + 1, arena);
    for (int i = 0; i < items.size(); i++) {
      MemorySegment row = spd4j_cuda_item.asSlice(rows, i);
      spd4j_cuda_item.block(row, items.get(i).block());
      spd4j_cuda_item.count(row, items.get(i).count());
      spd4j_cuda_item.project(row, items.get(i).project() ? 1 : 0);
    }
    return rows;
  }

  private void add(long firstBlock, long endBlock, boolean spd) {
    if (firstBlock == endBlock) {
      return;
    }
    boolean joins = spd && end == firstBlock && endBlock - firstBlock < MOST;
    if (!joins) {
      close();
    }
    for (long block = firstBlock; block < endBlock; block++) {
      items.add(new Item(block, 1, false));
      updates++;
      project(updates - lag);
    }
    if (spd) {
      first = joins ? first : firstBlock;
      end = endBlock;
      if (end - first >= MOST) {
        close();
      }
    }
  }

  /** Ends the set of small tensors that are projected together. */
  private void close() {
    if (end > first) {
      waiting.add(new Projection(first, end, updates));
    }
    first = end;
  }

  /** Appends the projections that depend on at most this number of updates. */
  private void project(long oldest) {
    while (!waiting.isEmpty() && waiting.peek().updates() <= oldest) {
      Projection p = waiting.poll();
      for (long last = p.end() - 1; last >= p.first(); last -= MOST) {
        items.add(new Item(last, (int) Math.min(MOST, last - p.first() + 1), true));
      }
    }
  }
}
