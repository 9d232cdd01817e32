package io.spd4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.RandomWords.Use;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Random bits are those of random.h. How good they are is tested there. */
class RandomWordsTest {
  /** {@code native/test/test_codec.c} has the same numbers. */
  @ParameterizedTest
  @CsvSource({
    "0000000000000000,          1,             0, UPDATE,     0, 2933fbc3",
    "0000000000000000,          1,             0, UPDATE,     1, 8a4cd7fd",
    "0123456789abcdef,          1,             0, PROJECT, 4095, db66504f",
    "fedcba9876543210,          7,             3, MOMENTS,   64, 007127c5",
    "ffffffffffffffff, 1000000007, 1099511627776, UPDATE,  1234, 400e7206",
    "000000000000002a, 8589934592,             5, PROJECT, 2048, 30d70de3"
  })
  void wordsAreTheKnownOnes(String key, long step, long block, Use use, int i, String word) {
    long keys = RandomWords.block(Long.parseUnsignedLong(key, 16), step, block, use);
    assertThat(Integer.toHexString(RandomWords.word(keys, i)))
        .isEqualTo(word.replaceAll("^0+", ""));
  }

  /** The key of a checkpoint's parameter must never change. */
  @Test
  void keysAreTheKnownOnes() {
    assertThat(RandomWords.key(0, "encoder.layer.0.weight")).isEqualTo(0x5b12918af792e70eL);
    assertThat(RandomWords.key(-1, "größe")).isEqualTo(0xdba8789ad8d0a24bL);
  }

  @Test
  void keysDependOnSeedAndName() {
    Set<Long> keys = new HashSet<>();
    for (int seed = 0; seed < 100; seed++) {
      for (int p = 0; p < 100; p++) {
        keys.add(RandomWords.key(seed, "p" + p));
      }
    }
    assertThat(keys).hasSize(10_000);
  }
}
