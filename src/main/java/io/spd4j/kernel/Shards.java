package io.spd4j.kernel;

/**
 * The division of all tensors' blocks among several processes (ranks): each owns one contiguous run
 * of blocks, its shard. Shards have about equal numbers of elements, to a block; if there are fewer
 * blocks than ranks, some are empty. Immutable.
 */
public final class Shards {
  private final int rank;
  private final long[] numels;

  /** By tensor, its first block among those of all tensors; then their number. */
  private final long[] firstBlocks;

  /** By rank, its first block; then the number of all. */
  private final long[] cuts;

  /** By rank, the first tensor that does not end before its shard. */
  private final int[] firstTensors;

  /** By rank, the first tensor that begins after its shard. */
  private final int[] endTensors;

  /**
   * @param numels the tensors' numbers of elements
   * @param rank the number of this process
   * @param ranks the number of processes
   */
  public Shards(long[] numels, int rank, int ranks) {
    this.rank = rank;
    this.numels = numels.clone();
    firstBlocks = new long[numels.length + 1];
    long total = 0;
    for (int t = 0; t < numels.length; t++) {
      firstBlocks[t + 1] = firstBlocks[t] + Math.ceilDiv(numels[t], BlockTable.BLOCK);
      total += numels[t];
    }
    cuts = new long[ranks + 1];
    int cut = 1;
    long before = 0;
    for (int t = 0; t < numels.length; t++) {
      long after = before + numels[t];
      for (; cut < ranks && target(total, cut, ranks) <= after; cut++) {
        long within = target(total, cut, ranks) - before;
        cuts[cut] = firstBlocks[t] + Math.ceilDiv(within, BlockTable.BLOCK);
      }
      before = after;
    }
    cuts[ranks] = firstBlocks[numels.length];
    firstTensors = new int[ranks];
    endTensors = new int[ranks];
    int first = 0;
    int end = 0;
    for (int r = 0; r < ranks; r++) {
      for (; first < numels.length && firstBlocks[first + 1] <= cuts[r]; first++) {}
      for (; end < numels.length && firstBlocks[end] < cuts[r + 1]; end++) {}
      firstTensors[r] = first;
      endTensors[r] = Math.max(first, end);
    }
  }

  /** Returns about cut/ranks of a number. */
  private static long target(long total, int cut, int ranks) {
    return total / ranks * cut + total % ranks * cut / ranks;
  }

  /** Returns the number of this process. */
  public int rank() {
    return rank;
  }

  /** Returns the number of processes. */
  public int ranks() {
    return cuts.length - 1;
  }

  /** Returns the first tensor of which a rank may own elements. */
  public int firstTensor(int rank) {
    return firstTensors[rank];
  }

  /** Returns the tensor after the last one of which a rank may own elements. */
  public int endTensor(int rank) {
    return endTensors[rank];
  }

  /** Returns the first element of a tensor that a rank owns; 0 if it owns none. */
  public long begin(int tensor, int rank) {
    return Math.min(element(tensor, cuts[rank]), end(tensor, rank));
  }

  /** Returns the element after the last one that a rank owns; {@link #begin} if it owns none. */
  public long end(int tensor, int rank) {
    long end = element(tensor, cuts[rank + 1]);
    return element(tensor, cuts[rank]) < end ? end : 0;
  }

  /** Returns the element of a tensor at which a block begins; its nearest end for other blocks. */
  private long element(int tensor, long block) {
    long within = Math.max(0, block - firstBlocks[tensor]);
    return within >= firstBlocks[tensor + 1] - firstBlocks[tensor]
        ? numels[tensor]
        : within * BlockTable.BLOCK;
  }

  /** Returns the first block of a tensor, among the blocks of all tensors. */
  long firstBlock(int tensor) {
    return firstBlocks[tensor];
  }

  /** Returns the number of blocks of all tensors. */
  long blockCount() {
    return firstBlocks[numels.length];
  }

  /** Returns the offset of a rank's rows in the {@code spd4j_sums} of all blocks. */
  public long sumsOffset(int rank) {
    return cuts[rank] * TableLayout.SUMS.byteSize();
  }
}
