package io.spd4j.bench.compare;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.bench.compare.Rotation.Lane;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class RotationTest {
  private static final long MILLISECOND = 1_000_000;

  /** Turns of four steps of 1 ms, and 20 ms to warm up. */
  private static final Pace PACE = new Pace(0, 0.02, 0.004, 4, 1e9);

  private final List<String> turns = new ArrayList<>();

  /** Steps that claim to take this long; the first of each turn claims ten times as long. */
  private Lane lane(String name, long nanos) {
    return new Lane(count -> {
      turns.add(name + count);
      long[] all = new long[count];
      Arrays.fill(all, nanos);
      all[0] *= count == 1 ? 1 : 10;
      return all;
    });
  }

  @Test
  void takesTurnsInAlternatingOrder() {
    Lane fast = lane("fast", MILLISECOND);
    Lane slow = lane("slow", 4 * MILLISECOND);

    Rotation.run(List.of(fast, slow), PACE);

    assertThat(turns)
        .containsExactly(
            "fast1", "fast2", "fast4", "slow1", "slow2", // to warm up, twice as many each time
            "fast5", "slow1", // the first of five is not counted
            "slow1", "fast5", "fast5", "slow1", "slow1", "fast5");
    assertThat(fast.stepsPerRound()).isEqualTo(4);
    assertThat(slow.stepsPerRound()).isEqualTo(1);
    assertThat(slow.rounds()).containsOnly(4 * MILLISECOND).hasSize(4);
  }

  @Test
  void doesNotCountTheFirstStepOfATurn() {
    Lane lane = lane("lane", MILLISECOND);

    Rotation.run(List.of(lane), PACE);

    assertThat(lane.rounds()).containsOnly(MILLISECOND).hasSize(4);
    assertThat(lane.problem()).isNull();
  }

  @Test
  void endsAfterThreeRoundsOnceTimeIsUp() {
    Lane lane = lane("lane", MILLISECOND);

    Rotation.run(List.of(lane), new Pace(0, 0.02, 0.004, 100, 0));

    assertThat(lane.rounds()).hasSize(3);
  }

  @Test
  void dropsACompetitorThatFails() {
    Lane good = lane("good", MILLISECOND);
    Lane never =
        new Lane(count -> {
          throw new UnableException("no memory");
        });
    int[] calls = {0};
    Lane later =
        new Lane(count -> {
          if (++calls[0] > 4) { // three to warm up, then the rounds
            throw new UnableException("it ended");
          }
          long[] nanos = new long[count];
          Arrays.fill(nanos, 4 * MILLISECOND);
          return nanos;
        });

    Rotation.run(List.of(good, never, later), PACE);

    assertThat(good.rounds()).hasSize(4);
    assertThat(good.problem()).isNull();
    assertThat(never.problem()).isEqualTo("no memory");
    assertThat(later.problem()).isEqualTo("it ended");
    assertThat(later.rounds()).isEmpty();
    assertThat(calls[0]).isEqualTo(5);
  }
}
