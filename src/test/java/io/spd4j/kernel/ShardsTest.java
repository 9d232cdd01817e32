package io.spd4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.LongSummaryStatistics;
import java.util.Random;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.LongStream;
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
    Shards shards = new Shards(numels, 0, ranks);
    assertThat(shards.tensors()).isEqualTo(numels.length);
    long[] owned = new long[ranks];
    for (int t = 0; t < numels.length; t++) {
      long blocks = Math.ceilDiv(numels[t], BLOCK);
      SortedMap<Long, Long> runs = new TreeMap<>();
      for (int r = 0; r < ranks; r++) {
        long begin = shards.begin(t, r);
        long end = shards.end(t, r);
        assertThat(begin % BLOCK).isZero();
        assertThat(Math.ceilDiv(end - begin, BLOCK))
            .isBetween(blocks / ranks, Math.ceilDiv(blocks, ranks));
        if (begin == end) {
          assertThat(begin).isZero();
        } else {
          assertThat(runs.put(begin, end)).isNull();
        }
        owned[r] += end - begin;
      }
      long next = 0;
      for (var run : runs.entrySet()) {
        assertThat(run.getKey()).isEqualTo(next);
        next = run.getValue();
      }
      assertThat(next).isEqualTo(numels[t]);
    }
    LongSummaryStatistics all = LongStream.of(owned).summaryStatistics();
    assertThat(all.getMax() - all.getMin()).isLessThanOrEqualTo(BLOCK);
  }

  /** The division does not depend on who asks. */
  @Test
  void everyRankKnowsAllShards() {
    long[] numels = {3 * BLOCK, 5, 9 * BLOCK - 7};
    Shards zero = new Shards(numels, 0, 4);
    Shards three = new Shards(numels, 3, 4);
    assertThat(three.rank()).isEqualTo(3);
    for (int t = 0; t < numels.length; t++) {
      for (int r = 0; r < 4; r++) {
        assertThat(three.begin(t, r)).isEqualTo(zero.begin(t, r));
        assertThat(three.end(t, r)).isEqualTo(zero.end(t, r));
      }
    }
  }
}
