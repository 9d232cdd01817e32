package io.spd4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

class ShardsTest {
  private static final int BLOCK = BlockTable.BLOCK;

  /** The shards of all ranks are all elements, cut at blocks, and of about equal size. */
  @Test
  void shardsAreWholeBlocksInOrder() {
    Random random = new Random(6);
    for (int round = 0; round < 500; round++) {
      int bound = 1 << random.nextInt(18);
      long[] numels = random.longs(random.nextInt(20), 0, bound).toArray();
      int ranks = 1 << random.nextInt(6);
      check(numels, ranks);
    }
    check(new long[] {(1L << 40) + 5, 3, 1L << 41}, 1024);
    check(new long[] {0, 0, 7, 0}, 4);
    check(new long[0], 2);
  }

  private static void check(long[] numels, int ranks) {
    long total = 0;
    for (long numel : numels) {
      total += numel;
    }
    long[] next = new long[numels.length];
    long before = 0;
    for (int r = 0; r < ranks; r++) {
      Shards shards = new Shards(numels, r, ranks);
      long sum = 0;
      for (int t = 0; t < numels.length; t++) {
        long begin = shards.begin(t, r);
        long end = shards.end(t, r);
        assertThat(begin % BLOCK).isZero();
        if (begin == end) {
          assertThat(begin).isZero();
          continue;
        }
        assertThat(begin).isEqualTo(next[t]);
        assertThat(end % BLOCK == 0 || end == numels[t]).isTrue();
        assertThat(t).isBetween(shards.firstTensor(r), shards.endTensor(r) - 1);
        next[t] = end;
        sum += end - begin;
      }
      before += sum;
      assertThat(sum).isBetween(total / ranks - BLOCK - 1, total / ranks + BLOCK + 1);
    }
    assertThat(next).isEqualTo(numels);
    assertThat(before).isEqualTo(total);
  }
}
