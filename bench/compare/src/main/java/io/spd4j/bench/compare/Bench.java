package io.spd4j.bench.compare;

import io.spd4j.finetune.report.Machine;
import java.time.Instant;
import java.util.List;

/**
 * A whole run.
 *
 * @param quick whether it was a quick one, with fewer cases and rounds
 * @param cases the workloads
 * @param curve one tensor of growing size
 * @param first the first steps of fresh JVMs
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
   * Who was to take part.
   *
   * @param version of the libraries that do the work; null if absent
   * @param absent why it did not take part; null if it did
   */
  record Participant(String name, String version, String absent) {}
}
