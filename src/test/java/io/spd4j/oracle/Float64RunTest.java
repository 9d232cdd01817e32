package io.spd4j.oracle;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.ParameterGroup;
import io.spd4j.SelectiveProjectionDecay;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class Float64RunTest {
  @Test
  void partIsTheDistanceDividedByTheBound() {
    Bounded x = new Bounded(3, 0.5);

    assertThat(x.part(3)).isZero();
    assertThat(x.part(2.75)).isEqualTo(0.5);
    assertThat(x.part(4)).isEqualTo(2);
    assertThat(x.part(Double.NaN)).isInfinite();
    assertThat(x.part(Double.POSITIVE_INFINITY)).isInfinite();
    assertThat(Bounded.exact(3).part(Math.nextUp(3.0))).isInfinite();
    assertThat(new Bounded(3, Double.POSITIVE_INFINITY).part(Double.NaN)).isZero();
  }

  /** The arguments round, cancel or underflow. */
  @ParameterizedTest
  @CsvSource({"1, 1.0000001", "1e30, -1e30", "3e-39, 1.1e-39", "16777216, 1", "0.1, 1e-42"})
  void anOperationInFloat32IsWithinItsBound(float a, float b) {
    Arithmetic f = Arithmetic.FLOAT32;
    Bounded x = Bounded.exact(a);
    Bounded y = Bounded.exact(b);

    assertThat(f.add(x, y).part(a + b)).isLessThanOrEqualTo(1);
    assertThat(f.sub(x, y).part(a - b)).isLessThanOrEqualTo(1);
    assertThat(f.mul(x, y).part(a * b)).isLessThanOrEqualTo(1);
    assertThat(f.div(y, x, 0).part(b / a)).isLessThanOrEqualTo(1);
    assertThat(f.sqrt(x).part((float) Math.sqrt(a))).isLessThanOrEqualTo(1);
  }

  /** A projection by λ·r scales an error of θ̃ by |1 − λ·r|. */
  @ParameterizedTest
  @CsvSource({"0, 1e-3", "1, 0", "3, 2e-3"})
  void aProjectionScalesAnError(double s, double kept) {
    Bounded pulled = Arithmetic.FLOAT32.pulled(new Bounded(5, 1e-3), Bounded.exact(s), 4);

    assertThat(pulled.value()).isEqualTo(5 - s);
    assertThat(pulled.error()).isBetween(kept, kept + 1e-6);
  }

  @ParameterizedTest
  @EnumSource
  void aDecisionThatIsTooCloseIsTakenFromTheRun(Computation computation) {
    MemorySegment data = floats(0.3f, 0.7f);
    for (boolean selects : new boolean[] {true, false}) {
      Float64Run close = run(computation, data);
      close.step(floats(0.7f, -0.3f), 1.1f, selects);
      assertThat(close.isClose()).isTrue();
      assertThat(close.selected()).isEqualTo(selects);

      Float64Run clear = run(computation, data);
      clear.step(floats(0.7f, -0.2f), 1.1f, selects);
      assertThat(clear.isClose()).isFalse();
      assertThat(clear.selected()).isTrue();

      Float64Run onTheAnchor = run(computation, floats(0, 0));
      onTheAnchor.step(floats(0.7f, -0.3f), 1.1f, selects);
      assertThat(onTheAnchor.isClose()).isFalse();
      assertThat(onTheAnchor.selected()).isFalse();
    }
  }

  private static Float64Run run(Computation computation, MemorySegment data) {
    ParameterGroup group = ParameterGroup.builder().decay(new SelectiveProjectionDecay(1)).build();
    return new Float64Run(group, computation, data, null);
  }

  private static MemorySegment floats(float... values) {
    return MemorySegment.ofArray(values);
  }
}
