package io.spd4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Powers have the bits that native/NUMERICS.md defines, and are close to the exact powers. */
class ScalarsTest {
  private static final MathContext EXACT = new MathContext(60);

  /** Returns the power from products written out, for exponents of up to five bits. */
  private static double written(double b, int t) {
    double b2 = b * b;
    double b4 = b2 * b2;
    double b8 = b4 * b4;
    double b16 = b8 * b8;
    double p = (t & 1) != 0 ? b : 1;
    p = (t & 2) != 0 ? p * b2 : p;
    p = (t & 4) != 0 ? p * b4 : p;
    p = (t & 8) != 0 ? p * b8 : p;
    return (t & 16) != 0 ? p * b16 : p;
  }

  @Test
  void powersAreRepeatedSquares() {
    Random random = new Random(1);
    for (int i = 0; i < 1000; i++) {
      double base = random.nextDouble();
      for (int t = 0; t < 32; t++) {
        assertThat(Scalars.power(base, t)).isEqualTo(written(base, t));
      }
    }
  }

  /** The expected values come from Python, by the same rule. */
  @Test
  void somePowersHaveTheBitsFromPython() {
    assertThat(Scalars.power(0.9, 13)).isEqualTo(0x1.04497cd165af4p-2);
    assertThat(Scalars.power(0.999, 100_000)).isEqualTo(0x1.940747bb86c55p-145);
  }

  @ParameterizedTest
  @ValueSource(doubles = {0.5, 0.8, 0.9, 0.95, 0.999, 0.999999, 0.99999995})
  void powersAreCloseToTheExactOnes(double base) {
    BigDecimal exact = new BigDecimal(base);
    for (long t : new long[] {1, 2, 3, 10, 777, 1000, 99_999, 1_000_003}) {
      double power = exact.pow((int) t, EXACT).doubleValue();
      assertThat(Scalars.power(base, t)).isCloseTo(power, within(2 * t * Math.ulp(power)));
    }
  }

  @Test
  void powersReachTheirLimits() {
    assertThat(Scalars.power(0, 1)).isZero();
    assertThat(Scalars.power(0, 1L << 40)).isZero();
    assertThat(Scalars.power(0.999, Long.MAX_VALUE)).isZero();
    assertThat(Scalars.power(0.3, 1)).isEqualTo(0.3);
    assertThat(Scalars.power(0.3, 0)).isEqualTo(1);
  }
}
