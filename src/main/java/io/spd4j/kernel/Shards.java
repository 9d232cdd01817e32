package io.spd4j.kernel;

import java.util.Arrays;
import java.util.Comparator;

/**
 * The division of all tensors' blocks among several processes (ranks). Each owns contiguous blocks
 * of every tensor, its shard, so that any layer's gradients have all ranks to go to at once. Of
 * each tensor the ranks own about equally many blocks, and of all tensors about equally many
 * elements, to a block; of a tensor with fewer blocks than ranks, some own none. Immutable.
 */
public final class Shards {
  private final int rank;
  private final int ranks;

  /** By tensor, its first block among those of all tensors; then their number. */
  private final long[] firstBlocks;

  /** By tensor and rank, the first element. */
  private final long[][] begins;

  /** By tensor and rank, the element after the last one. */
  private final long[][] ends;

  /**
   * @param numels the tensors' numbers of elements
   * @param rank the number of this process
   * @param ranks the number of processes
   */
  public Shards(long[] numels, int rank, int ranks) {
    this.rank = rank;
    this.ranks = ranks;
    firstBlocks = new long[numels.length + 1];
    begins = new long[numels.length][ranks];
    ends = new long[numels.length][ranks];
    long[] owned = new long[ranks];
    Integer[] order = new Integer[ranks];
    Arrays.setAll(order, r -> r);
    for (int t = 0; t < numels.length; t++) {
      long blocks = Math.ceilDiv(numels[t], BlockTable.BLOCK);
      firstBlocks[t + 1] = firstBlocks[t] + blocks;
      Arrays.sort(order, Comparator.comparingLong(r -> owned[r]));
      int larger = (int) (blocks % ranks);
      long begin = 0;
      for (int i = 0; i < ranks; i++) {
        // Those that own least come last and get a block more; the last block may be short.
        int next = order[(i + larger) % ranks];
        long run = blocks / ranks + (i >= ranks - larger ? 1 : 0);
        long end = Math.min(begin + run * BlockTable.BLOCK, numels[t]);
        if (begin < end) {
          begins[t][next] = begin;
          ends[t][next] = end;
          owned[next] += end - begin;
        }
        begin = end;
      }
    }
  }

  /** Returns the number of this process. */
  public int rank() {
    return rank;
  }

  /** Returns the number of processes. */
  public int ranks() {
    return ranks;
  }

  /** Returns the number of tensors. */
  public int tensors() {
    return begins.length;
  }

  /** Returns the first element of a tensor that a rank owns; 0 if it owns none. */
  public long begin(int tensor, int rank) {
    return begins[tensor][rank];
  }

  /** Returns the element after the last one that a rank owns; {@link #begin} if it owns none. */
  public long end(int tensor, int rank) {
    return ends[tensor][rank];
  }

  /** Returns the first block of a tensor, among the blocks of all tensors. */
  long firstBlock(int tensor) {
    return firstBlocks[tensor];
  }

  /** Returns the number of blocks of all tensors. */
  long blockCount() {
    return firstBlocks[begins.length];
  }

  /** Returns where in the {@code spd4j_sums} of all blocks a rank's rows of a tensor begin. */
  public long sumsOffset(int tensor, int rank) {
    return (firstBlocks[tensor] + begins[tensor][rank] / BlockTable.BLOCK)
        * TableLayout.SUMS.byteSize();
  }

  /** Returns the bytes of a rank's rows of a tensor in {@code spd4j_sums}. */
  public long sumsBytes(int tensor, int rank) {
    long blocks = Math.ceilDiv(ends[tensor][rank] - begins[tensor][rank], BlockTable.BLOCK);
    return blocks * TableLayout.SUMS.byteSize();
  }
}
