package io.spd4j.bench.compare;

import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.Setup;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** Measures a case: checks that all competitors compute the same, then times them. */
final class CaseRunner {
  /** Number of steps whose results are compared. */
  private static final int CHECKED_STEPS = 3;

  /**
   * How far results may be from the reference's, relative to what the steps changed. This allows
   * some rounding errors of 2^-24 of a parameter, which is a few times larger than that change. A
   * missing or wrong term of the update makes 1e-2 or more.
   */
  private static final double TOLERANCE = 1e-4;

  /**
   * The same where arrays are rounded to 16 or 8 bits. A single rounding of such a parameter can be
   * half of what three steps change, so this finds only gross errors. That a state is rounded as it
   * should be is for the library's tests.
   */
  private static final double COARSE_TOLERANCE = 1;

  /**
   * Memory left for the rest of the machine and for temporary arrays of the competitor whose turn
   * it is.
   */
  private static final long SPARE_MEMORY = 2L << 30;

  private static final Path MEMINFO = Path.of("/proc/meminfo");

  private final List<CompetitorProcess> processes;
  private final Pace pace;
  private final int peersThreads;

  /**
   * @param peersThreads the number of threads with which peers take part
   */
  CaseRunner(List<CompetitorProcess> processes, Pace pace, int peersThreads) {
    this.processes = processes;
    this.pace = pace;
    this.peersThreads = peersThreads;
  }

  /** A competitor and its state during a case. */
  private static final class Participant {
    final CompetitorProcess process;
    final StepCase step;
    Rotation.Lane lane;
    Double difference;
    Double allocated;
    Long memory;
    String problem;

    Participant(CompetitorProcess process, StepCase step) {
      this.process = process;
      this.step = step;
    }

    Kind kind() {
      return process.competitor().kind();
    }

    long[] take(int count) throws UnableException {
      return process.step(count).nanos();
    }

    Entry entry() {
      return new Entry(
          process.competitor().name(),
          kind(),
          step.rule(),
          step.state(),
          problem == null ? lane.rounds() : new double[0],
          difference,
          allocated,
          memory,
          problem);
    }
  }

  private interface Task {
    void run(Participant participant) throws UnableException, Failure;
  }

  /** Runs a task for all participants without a problem. */
  private static void each(List<Participant> participants, Task task) throws Failure {
    for (Participant p : participants) {
      if (p.problem == null) {
        try {
          task.run(p);
        } catch (UnableException e) {
          p.problem = e.getMessage();
          release(p);
        }
      }
    }
  }

  /** Frees what a competitor has set up. */
  private static void release(Participant p) {
    try {
      p.process.closeSetup();
    } catch (UnableException e) {
      p.problem = p.problem == null ? e.getMessage() : p.problem;
    }
  }

  /**
   * Checks and times a case.
   *
   * @throws Failure if the results of our backends differ in their bits
   */
  CaseResult run(StepCase step) throws Failure {
    List<Participant> participants = participants(step);
    check(participants);
    each(participants, this::setUp);
    List<Participant> ready = participants.stream().filter(p -> p.problem == null).toList();
    ready.forEach(p -> p.lane = new Rotation.Lane(p::take));
    Rotation.run(ready.stream().map(p -> p.lane).toList(), pace);
    ready.forEach(p -> p.problem = p.lane.problem());
    each(participants, CaseRunner::countMemory);
    participants.forEach(CaseRunner::release);
    return new CaseResult(step, participants.stream().map(Participant::entry).toList());
  }

  private List<Participant> participants(StepCase step) {
    List<Participant> participants = new ArrayList<>();
    for (CompetitorProcess process : processes) {
      Competitor competitor = process.competitor();
      if (competitor.kind() == Kind.PEER && step.threads() != peersThreads) {
        continue;
      }
      taken(process, step).ifPresent(taken -> participants.add(new Participant(process, taken)));
    }
    return participants;
  }

  /**
   * Returns what a competitor steps in a case, if it takes part. Only ours know every state. Where
   * one is not float32, others show the limits of the memory, with float32 arrays, or are
   * yardsticks.
   */
  private static Optional<StepCase> taken(CompetitorProcess process, StepCase step) {
    Competitor competitor = process.competitor();
    boolean float32 = step.state().equals(State.FLOAT32);
    if (float32 && !competitor.state().equals(State.FLOAT32)) {
      return Optional.empty();
    }
    if (process.rules().contains(step.rule())) {
      if (float32 || competitor.kind() == Kind.OURS) {
        return Optional.of(step);
      }
      if (competitor.kind() == Kind.LIMIT) {
        return Optional.of(step.with(State.FLOAT32));
      }
    }
    return competitor.yardstick() && process.rules().contains(Rule.ADAMW)
        ? Optional.of(step.adamw().with(competitor.state()))
        : Optional.empty();
  }

  /** Samples from before and after the steps. */
  private record Outcome(Sample start, Sample end) {}

  /**
   * Compares results, one competitor at a time to save memory: with our first backend's in the same
   * state, whose start values they must share, and with its float32 results.
   */
  private void check(List<Participant> participants) throws Failure {
    Optional<Participant> first =
        participants.stream().filter(p -> p.kind() == Kind.OURS).findFirst();
    if (first.isEmpty()) {
      return;
    }
    References references = new References(first.get().process, new HashMap<>());
    each(
        participants.stream().filter(p -> p.kind() != Kind.LIMIT).toList(),
        p -> {
          Setup setup = p.process.possible(p.step.checked(pace.checkedNumel()));
          Outcome ours = references.of(setup);
          Outcome outcome = p == first.get() ? ours : steps(p.process, setup);
          compare(p, outcome, ours, references.of(setup.with(Map.of("state", State.FLOAT32))));
        });
  }

  /** What our first backend computes, for each set-up once. */
  private record References(CompetitorProcess process, Map<Setup, Outcome> outcomes) {
    Outcome of(Setup setup) throws UnableException {
      if (!outcomes.containsKey(setup)) {
        outcomes.put(setup, steps(process, setup));
      }
      return outcomes.get(setup);
    }
  }

  private static Outcome steps(CompetitorProcess process, Setup setup) throws UnableException {
    process.setup(setup);
    Sample start = Sample.of(process, setup.tensors());
    process.step(CHECKED_STEPS);
    Sample end = Sample.of(process, setup.tensors());
    process.closeSetup();
    return new Outcome(start, end);
  }

  /**
   * Compares an outcome.
   *
   * @param ours our first backend's, in the same state
   * @param float32 our first backend's in float32
   */
  private static void compare(Participant p, Outcome outcome, Outcome ours, Outcome float32)
      throws UnableException, Failure {
    State state = p.step.state();
    if (!outcome.start().sameBits(ours.start())) {
      throw new UnableException("its arrays do not hold the common start values");
    }
    p.difference = outcome.end().difference(float32.end(), float32.start());
    if (p.kind() == Kind.OURS && !outcome.end().sameBits(ours.end())) {
      throw Failure.ofCheck(
          "%s: the bits of %s differ from the others'"
              .formatted(p.step, p.process.competitor().name()));
    }
    if (p.kind() == Kind.OURS && state.isExact() && !outcome.end().sameBits(float32.end())) {
      throw Failure.ofCheck(
          "%s: the bits of %s differ from float32's"
              .formatted(p.step, p.process.competitor().name()));
    }
    if (!(p.difference <= (state.isExact() ? TOLERANCE : COARSE_TOLERANCE))) {
      throw new UnableException(
          String.format(
              Locale.ROOT,
              "its results differ from the others by %.1e of what the steps changed",
              p.difference));
    }
  }

  private void setUp(Participant p) throws UnableException {
    long needed = p.step.footprint() + SPARE_MEMORY;
    long available = availableMemory();
    if (available < needed) {
      throw new UnableException(
          String.format(
              Locale.ROOT,
              "it needs %.1f GB of memory beside the others, but only %.1f GB are free",
              needed / 1e9,
              available / 1e9));
    }
    p.process.setup(p.process.possible(p.step.timed()));
  }

  /** Returns the bytes available without swapping; {@link Long#MAX_VALUE} if unknown. */
  private static long availableMemory() {
    Long bytes = ProcFile.bytes(MEMINFO, "MemAvailable:");
    return bytes == null ? Long.MAX_VALUE : bytes;
  }

  private static void countMemory(Participant p) throws UnableException {
    p.memory = p.process.memory();
    int steps = p.lane.stepsPerRound();
    Long allocated = p.process.step(steps).allocated();
    p.allocated = allocated == null ? null : (double) allocated / steps;
  }
}
