package io.spd4j.bench.compare;

import io.spd4j.finetune.report.Machine;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * A whole run.
 *
 * @param quick whether this was a quick run, with fewer cases and rounds
 * @param cases the workloads
 * @param curve one tensor of growing size
 * @param first the first steps of fresh JVMs; null, as in older files, becomes an empty list
 */
record Bench(
    Instant finished,
    boolean quick,
    Machine machine,
    List<Participant> participants,
    List<CaseResult> cases,
    List<CaseResult> curve,
    List<FirstSteps> first,
    List<Micro> micros) {
  /**
   * A competitor that was to take part.
   *
   * @param version the versions of the libraries that do the work; null if absent
   * @param absent why it did not take part; null if it did
   */
  record Participant(String name, String version, String absent) {}

  Bench {
    Objects.requireNonNull(finished);
    Objects.requireNonNull(machine);
    participants = List.copyOf(participants);
    cases = List.copyOf(cases);
    curve = List.copyOf(curve);
    first = first == null ? List.of() : first;
    micros = List.copyOf(micros);
  }

  /** Returns the cases and the curve. */
  Stream<CaseResult> all() {
    return Stream.concat(cases.stream(), curve.stream());
  }

  /** Returns the largest number of threads of a case; 0 without cases. */
  int mostThreads() {
    return cases.stream().mapToInt(c -> c.step().threads()).max().orElse(0);
  }
}
