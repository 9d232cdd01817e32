package io.spd4j.bench.compare;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import java.util.List;
import java.util.Optional;

/** The measurements of a case. */
record CaseResult(@JsonUnwrapped StepCase step, List<Entry> entries) {
  /**
   * The measurements of one competitor.
   *
   * @param rule the rule that it stepped; a yardstick may have stepped AdamW
   * @param state how its arrays were stored; null, as in older files, becomes FLOAT32
   * @param rounds median nanoseconds of a step in each round, in the same order for all entries;
   *     empty if there is a problem
   * @param difference how far its results are from those of our float32 step ({@link
   *     Sample#difference}); null if they were not compared
   * @param allocated Java heap bytes allocated per step; null if unknown
   * @param memory bytes of memory that its process held after the steps; null if unknown
   * @param problem why it was not measured; null if it was
   */
  record Entry(
      String name,
      Kind kind,
      Rule rule,
      State state,
      double[] rounds,
      Double difference,
      Double allocated,
      Long memory,
      String problem) {
    Entry {
      state = state == null ? State.FLOAT32 : state;
    }

    boolean measured() {
      return problem == null;
    }

    /** Returns the nanoseconds of a step. */
    Spread nanos() {
      return Spread.of(rounds);
    }
  }

  /** Returns the bytes that an entry's step must move, or that a limit's loop moves. */
  long bytes(Entry entry) {
    StepCase taken = (entry.rule() == step.rule() ? step : step.adamw()).with(entry.state());
    return switch (entry.name()) {
      case Competitors.COPY -> taken.footprint();
      case Competitors.RMW -> taken.shape().numel() * Float.BYTES * (taken.arrays() + 3);
      default -> taken.bytes();
    };
  }

  /** Returns these bytes divided by the median time. */
  double gigabytesPerSecond(Entry entry) {
    return bytes(entry) / entry.nanos().median();
  }

  /** Returns a competitor's entry, if it was measured. */
  Optional<Entry> measured(String name) {
    return entries.stream().filter(e -> e.name().equals(name) && e.measured()).findFirst();
  }

  /** Returns the quotients of two entries' times, round by round. */
  static Spread ratio(Entry entry, Entry other) {
    int rounds = Math.min(entry.rounds().length, other.rounds().length);
    double[] ratios = new double[rounds];
    for (int r = 0; r < rounds; r++) {
      ratios[r] = entry.rounds()[r] / other.rounds()[r];
    }
    return Spread.of(ratios);
  }
}
