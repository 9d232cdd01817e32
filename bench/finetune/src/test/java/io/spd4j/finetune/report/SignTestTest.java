package io.spd4j.finetune.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SignTestTest {
  /** The p-values are sums of binomial coefficients, counted by hand over 2^(plus + minus). */
  @ParameterizedTest
  @CsvSource({
    "1, 0, 0, 1",
    "2, 0, 0, 0.5",
    "3, 0, 0, 0.25",
    "0, 3, 0, 0.25",
    "2, 1, 0, 1",
    "6, 0, 0, 0.03125",
    "5, 1, 0, 0.21875", // 2 (1 + 6) / 64
    "8, 1, 1, 0.0390625", // 2 (1 + 9) / 512
    "9, 1, 0, 0.021484375", // 2 (1 + 10) / 1024
    "2, 8, 0, 0.109375", // 2 (1 + 10 + 45) / 1024
    "5, 5, 4, 1",
    "0, 0, 3, 1",
    "0, 0, 0, 1",
  })
  void countsSigns(int plus, int minus, int ties, double p) {
    SignTest test = of(plus, minus, ties);

    assertThat(test.plus()).isEqualTo(plus);
    assertThat(test.minus()).isEqualTo(minus);
    assertThat(test.ties()).isEqualTo(ties);
    assertThat(test.p()).isEqualTo(p, within(1e-12)).isLessThanOrEqualTo(1);
  }

  @Test
  void isTwiceTheShorterTail() {
    for (int n = 1; n <= 30; n++) {
      double tail = 0;
      double ways = 1; // n over plus
      for (int plus = 0; plus <= n; plus++) {
        tail += Math.scalb(ways, -n);
        ways = ways * (n - plus) / (plus + 1);
        double p = Math.min(1, 2 * tail);
        if (2 * plus <= n) {
          assertThat(of(plus, n - plus, 0).p()).isEqualTo(p, within(1e-12));
          assertThat(of(n - plus, plus, 0).p()).isEqualTo(p, within(1e-12));
        }
      }
    }
  }

  @Test
  void noPIsSmallerThanThatOfEqualSigns() {
    for (int n : new int[] {1, 2, 3, 6, 10}) {
      assertThat(SignTest.of(Collections.nCopies(n, 1.0)).p())
          .isEqualTo(SignTest.smallestP(n), within(1e-12 * SignTest.smallestP(n)));
    }
    assertThat(SignTest.smallestP(3)).isEqualTo(0.25);
    assertThat(SignTest.smallestP(10)).isEqualTo(0.001953125);
  }

  private static SignTest of(int plus, int minus, int ties) {
    List<Double> differences = new ArrayList<>();
    differences.addAll(Collections.nCopies(plus, 0.1));
    differences.addAll(Collections.nCopies(minus, -1e300));
    differences.addAll(Collections.nCopies(ties, -0.0));
    return SignTest.of(differences);
  }
}
