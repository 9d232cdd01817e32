package io.spd4j.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.oracle.Words.Use;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class WordsTest {
  /** The answers are those of a Python program with numbers of any size. */
  @ParameterizedTest
  @CsvSource({
    "0, p, 1, UPDATE, 0, 0x1eb8f386",
    "0, p, 1, UPDATE, 1, 0x32450014",
    "0, p, 1, PROJECTION, 0, 0x3c962a9f",
    "0, p, 1, MOMENTS, 0, 0x821564db",
    "0, p, 2, UPDATE, 0, 0xd1080fba",
    "1, p, 1, UPDATE, 0, 0xb64e41a3",
    "-1, größe, 3, MOMENTS, 4095, 0xd1924633",
    "-1, größe, 3, MOMENTS, 4096, 0x888b2349",
    "42, encoder.layer.0.weight, 1000000, PROJECTION, 12345678901, 0xfc364feb",
  })
  void knownAnswers(long seed, String name, long step, Use use, long element, String word) {
    Words words = new Words(seed, name);
    words.step(step);
    assertThat(words.word(use, element)).isEqualTo(Long.decode(word));
  }

  /** The first output of SplitMix64 seeded with 1234567. */
  @Test
  void mixIsThatOfSplitMix64() {
    assertThat(Words.mix(1234567 + 0x9e3779b97f4a7c15L)).isEqualTo(6457827717110365317L);
  }
}
