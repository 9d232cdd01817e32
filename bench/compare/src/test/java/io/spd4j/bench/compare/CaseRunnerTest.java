package io.spd4j.bench.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.bench.Main;
import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.cli.VectorModule;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CaseRunnerTest {
  private static final Pace PACE = new Pace(1000, 0, 0, 3, 0);
  private static final Shape SHAPE = new Shape("test", List.of(33L, 5000L), true);

  private final List<CompetitorProcess> processes = new ArrayList<>();

  @AfterEach
  void end() {
    processes.forEach(CompetitorProcess::close);
  }

  private void start(Kind kind, boolean yardstick, String flaw) throws UnableException {
    start(kind, yardstick, State.FLOAT32, flaw);
  }

  private void start(Kind kind, boolean yardstick, State state, String flaw)
      throws UnableException {
    List<String> command = new ArrayList<>(List.of(VectorModule.java()));
    command.addAll(VectorModule.options());
    command.addAll(
        List.of(
            "-cp", System.getProperty("java.class.path"), FlawedContestant.class.getName(), flaw));
    processes.add(CompetitorProcess.start(new Competitor(flaw, kind, yardstick, state, command)));
    processes.getLast().hello();
  }

  private void startOurs() throws UnableException {
    Competitor scalar =
        new Competitor(
            "ours",
            Kind.OURS,
            false,
            VectorModule.command(Main.class, "contestant", "--backend", "scalar"));
    processes.add(CompetitorProcess.start(scalar));
    processes.getLast().hello();
  }

  private List<Entry> run(Rule rule, int threads) throws Failure {
    return run(rule, threads, State.FLOAT32);
  }

  private List<Entry> run(Rule rule, int threads, State state) throws Failure {
    StepCase step = new StepCase(SHAPE, rule, Select.ALL, threads, state);
    return new CaseRunner(processes, PACE, 2).run(step).entries();
  }

  @ParameterizedTest
  @CsvSource({
    "none,",
    "rounds-differently,",
    "only-without-decay,",
    "forgets-decay, its results differ from the others by",
    "starts-elsewhere, its arrays do not hold the common start values",
    "cannot-step, failed: java.lang.IllegalStateException: out of luck",
  })
  void timesOnlyCompetitorsThatComputeTheSame(String flaw, String problem)
      throws UnableException, Failure {
    startOurs();
    start(Kind.PEER, false, flaw);

    List<Entry> entries = run(Rule.ADAMW, 2);

    assertThat(entries).extracting(Entry::name).containsExactly("ours", flaw);
    assertThat(entries.getFirst().rounds()).hasSize(3);
    Entry peer = entries.getLast();
    if (problem == null) {
      assertThat(peer.problem()).isNull();
      assertThat(peer.rounds()).hasSize(3);
      assertThat(peer.difference()).isBetween(0.0, 1e-5);
      assertThat(peer.difference() > 0).isEqualTo(flaw.equals("rounds-differently"));
    } else {
      assertThat(peer.problem()).startsWith(problem);
      assertThat(peer.rounds()).isEmpty();
    }
  }

  @Test
  void ourBackendsMustHaveTheSameBits() throws UnableException {
    startOurs();
    start(Kind.OURS, false, "rounds-differently");

    assertThatThrownBy(() -> run(Rule.ADAMW, 2))
        .isInstanceOf(Failure.class)
        .hasMessageContaining("the bits of rounds-differently differ");
  }

  @Test
  void anErrorOfOurOwnIsABug() throws UnableException {
    start(Kind.OURS, false, "cannot-step");

    assertThatThrownBy(() -> run(Rule.ADAMW, 2))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("out of luck");
  }

  @Test
  void aYardstickStepsAdamwWhereItDoesNotKnowTheRule() throws UnableException, Failure {
    startOurs();
    start(Kind.PEER, true, "none");

    List<Entry> entries = run(Rule.SPD, 2);

    assertThat(entries).extracting(Entry::rule).containsExactly(Rule.SPD, Rule.ADAMW);
    assertThat(entries).allMatch(Entry::measured);
    assertThat(entries.getLast().difference()).isZero();
  }

  @ParameterizedTest
  @ValueSource(strings = {"float32", "split", "8bit"})
  void otherStatesHaveYardsticks(State state) throws UnableException, Failure {
    startOurs();
    start(Kind.PEER, false, "none");
    start(Kind.PEER, true, "rounds-differently");
    start(Kind.PEER, true, State.BF16, "starts-elsewhere");

    List<Entry> entries = run(Rule.SPD, 2, state);

    List<State> states =
        state.equals(State.FLOAT32)
            ? List.of(State.FLOAT32, State.FLOAT32)
            : List.of(state, State.FLOAT32, State.BF16);
    assertThat(entries).extracting(Entry::state).containsExactlyElementsOf(states);
    assertThat(entries.getFirst().rule()).isEqualTo(Rule.SPD);
    assertThat(entries.get(1).rule()).isEqualTo(Rule.ADAMW);
    assertThat(entries.subList(0, 2)).allMatch(Entry::measured);
    assertThat(entries.getFirst().difference() == 0).isEqualTo(state.isExact());
    if (!state.equals(State.FLOAT32)) {
      assertThat(entries.getLast().problem()).startsWith("its arrays do not hold the common start");
    }
    if (Files.exists(Path.of("/proc/self/status"))) {
      assertThat(entries.get(1).memory()).isBetween(10_000_000L, 2_000_000_000L);
    }
  }

  @Test
  void twoHalvesMustHaveTheBitsOfFloat32() throws UnableException, Failure {
    start(Kind.OURS, false, "forgets-decay-if-split");

    assertThat(run(Rule.ADAMW, 2)).allMatch(Entry::measured);
    assertThatThrownBy(() -> run(Rule.ADAMW, 2, State.SPLIT))
        .isInstanceOf(Failure.class)
        .hasMessageContaining("the bits of forgets-decay-if-split differ from float32's");
  }

  @Test
  void peersTakePartWithTheirNumberOfThreadsAndTheirRules() throws UnableException, Failure {
    startOurs();
    start(Kind.PEER, false, "none");

    assertThat(run(Rule.ADAMW, 1)).extracting(Entry::name).containsExactly("ours");
    assertThat(run(Rule.SPD, 2)).extracting(Entry::name).containsExactly("ours");
  }
}
