package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.MaskedText;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.report.Curve;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

/** Trains a tiny model on sequences of one word each, which it can learn. */
class PretrainingTest {
  private static final Config CONFIG = new Config(13, 16, 8, 2, 12, 2);
  private static final List<int[]> TEXTS =
      IntStream.range(0, 240)
          .mapToObj(i -> IntStream.generate(() -> i % 9).limit(15).toArray())
          .toList();
  private static final MaskedCorpus CORPUS = new MaskedCorpus(TEXTS, 13, 16);
  private static final List<int[]> SEQUENCES = CORPUS.sequences(TEXTS);

  private static PretrainOptions options(String... arguments) {
    List<String> all = new ArrayList<>(List.of("--batch", "8", "--length", "16", "--lr", "1e-2"));
    all.addAll(List.of(arguments));
    PretrainOptions options = new PretrainOptions();
    options.threads = 1;
    new CommandLine(options).parseArgs(all.toArray(String[]::new));
    return options;
  }

  private static Pretraining pretraining(PretrainOptions options, State state, long seed) {
    return new Pretraining(options, CONFIG, CORPUS.hidden(), state, seed);
  }

  private record Outcome(List<Double> losses, double heldOut, Map<String, List<Float>> weights) {}

  private static Outcome outcome(PretrainOptions options, State state, long seed) {
    List<MaskedText> heldOut =
        List.of(
            CORPUS.hide(SEQUENCES.subList(0, 8), new SplittableRandom(1)),
            CORPUS.hide(SEQUENCES.subList(8, 16), new SplittableRandom(2)));
    try (Pretraining training = pretraining(options, state, seed)) {
      Map<String, List<Float>> before = Tiny.values(training.weights());
      List<Curve.Step> steps = training.train(CORPUS, SEQUENCES, () -> false, step -> {});
      Curve curve = training.curve(steps, heldOut);
      assertThat(curve.state()).isEqualTo(state.toString());
      assertThat(curve.seed()).isEqualTo(seed);
      Map<String, List<Float>> after = Tiny.values(training.weights());
      after.forEach((name, values) -> assertThat(values).as(name).isNotEqualTo(before.get(name)));
      return new Outcome(steps.stream().map(Curve.Step::loss).toList(), curve.heldOut(), after);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"float32", "split", "bf16", "8bit"})
  void learns(State state) {
    Outcome outcome = outcome(options("--steps", "600"), state, 1);

    assertThat(outcome.losses).hasSize(600);
    assertThat(outcome.losses.getFirst()).isBetween(2.0, 3.0); // ln 13 is 2.6
    assertThat(outcome.heldOut).isLessThan(0.1);
  }

  @Test
  void splitHasTheBitsOfFloat32() {
    PretrainOptions options = options("--steps", "60", "--threads", "2");

    assertThat(outcome(options, State.SPLIT, 1)).isEqualTo(outcome(options, State.FLOAT32, 1));
  }

  @Test
  void theSeedDecides() {
    PretrainOptions options = options("--steps", "3");
    Outcome first = outcome(options, State.FLOAT32, 1);

    assertThat(outcome(options, State.FLOAT32, 1)).isEqualTo(first);
    assertThat(outcome(options, State.FLOAT32, 2).losses.getFirst())
        .isNotEqualTo(first.losses.getFirst());
  }

  @Test
  void stopsBeforeTheNextStep() {
    try (Pretraining training = pretraining(options(), State.FLOAT32, 1)) {
      AtomicInteger taken = new AtomicInteger();
      assertThat(
              training.train(
                  CORPUS, SEQUENCES, () -> taken.get() == 2, s -> taken.incrementAndGet()))
          .hasSize(2);
    }
  }
}
