package io.spd4j.bench.compare;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Rule;
import java.util.List;
import java.util.Optional;

/** What the competitors of a case were found to do. */
record CaseResult(@JsonUnwrapped StepCase step, List<Entry> entries) {
  /**
   * One of them.
   *
   * @param rule what it stepped: a yardstick may have stepped AdamW
   * @param rounds median nanoseconds of a step in each round, all entries' in the same order; empty
   *     if there is a problem
   * @param difference how far its results are from the reference's ({@link Sample#difference});
   *     null if they were not compared
   * @param allocated bytes on the Java heap for each step; null if it does not tell
   * @param problem why it was not measured; null if it was
   */
  record Entry(
      String name,
      Kind kind,
      Rule rule,
      double[] rounds,
      Double difference,
      Double allocated,
      String problem) {
    boolean measured() {
      return problem == null;
    }

    /** Nanoseconds of a step. */
    Spread nanos() {
      return Spread.of(rounds);
    }
  }

  /** The bytes that a step of an entry has to move, or that a loop does move. */
  long bytes(Entry entry) {
    return switch (entry.name()) {
      case Competitors.COPY -> step.footprint();
      case Competitors.RMW -> step.shape().numel() * Float.BYTES * (step.arrays() + 3);
      default -> entry.rule() == step.rule() ? step.bytes() : step.adamw().bytes();
    };
  }

  /** These bytes over the median time. */
  double gigabytesPerSecond(Entry entry) {
    return bytes(entry) / entry.nanos().median();
  }

  /** A competitor's entry, if it was measured. */
  Optional<Entry> measured(String name) {
    return entries.stream().filter(e -> e.name().equals(name) && e.measured()).findFirst();
  }

  /** How many times the time of another one takes: the quotients of the rounds. */
  static Spread ratio(Entry entry, Entry other) {
    int rounds = Math.min(entry.rounds().length, other.rounds().length);
    double[] ratios = new double[rounds];
    for (int r = 0; r < rounds; r++) {
      ratios[r] = entry.rounds()[r] / other.rounds()[r];
    }
    return Spread.of(ratios);
  }
}
