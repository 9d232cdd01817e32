package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.L2SP;
import io.spd4j.Parameter;
import io.spd4j.SpdReport;
import io.spd4j.WeightDecay;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.History;
import io.spd4j.finetune.report.Score;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tests the trainer and its model on a task that a tiny encoder learns. */
class TrainerTest {
  private static final String WORDS = "embeddings.word_embeddings.weight";

  private final Arena arena = Arena.ofShared();
  private final Weights pretrained = Tiny.encoder(arena, Tiny.CONFIG, 8);
  private final Map<String, List<Float>> anchor = Tiny.values(pretrained);

  @AfterEach
  void thePretrainedWeightsDoNotChange() {
    assertThat(Tiny.values(pretrained)).isEqualTo(anchor);
    arena.close();
  }

  private Model model(TrainingOptions options, Rule rule, double lambda) {
    return Fixtures.model(options, pretrained, rule, lambda, 1);
  }

  private static History train(TrainingOptions options, Model model) {
    return train(options, model, step -> {});
  }

  private static History train(TrainingOptions options, Model model, Consumer<History.Step> each) {
    return Fixtures.trainer(options, model).train(() -> false, each);
  }

  @ParameterizedTest
  @CsvSource({
    "ADAMW, 0.01, ",
    "L2SP, 0.01, ",
    "L2SP_COUPLED, 0.001, ",
    "SPD, 1, ",
    "ADAMW, 0.01, 4",
    "SPD, 1, 4",
  })
  void learns(Rule rule, double lambda, String lora) {
    TrainingOptions options = Fixtures.tiny("--steps", "400");
    if (lora != null) {
      options = Fixtures.tiny("--steps", "600", "--lr", "1e-2", "--lora", lora);
    }
    try (Model model = model(options, rule, lambda)) {
      List<Double> losses = train(options, model).steps().stream().map(History.Step::loss).toList();

      int last = losses.size();
      assertThat(mean(losses.subList(last - 20, last)))
          .isLessThan(0.5 * mean(losses.subList(0, 20)));
      List<Example> fresh = Fixtures.examples(200, 99);
      Score score =
          Evaluation.score(model.classifier(), fresh, 8, () -> false, Processes.ONE).orElseThrow();
      assertThat(score.total()).isEqualTo(200);
      assertThat(score.accuracy()).isGreaterThan(0.75);
    }
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(v -> v).average().orElseThrow();
  }

  private record Outcome(Map<String, List<Float>> weights, List<List<Object>> steps) {}

  private Outcome outcome(TrainingOptions options, long seed) {
    try (Model model = Fixtures.model(options, pretrained, Rule.SPD, 1, seed)) {
      History history = train(options, model);
      List<List<Object>> numbers = new ArrayList<>();
      for (History.Step s : history.steps()) {
        numbers.add(List.of(s.loss(), s.gradientNorm(), s.learningRate(), s.selected()));
      }
      history.deviations().forEach(d -> numbers.add(List.of(d)));
      return new Outcome(Tiny.values(model.weights()), numbers);
    }
  }

  @Test
  void theSameSeedGivesTheSameBits() {
    TrainingOptions options = Fixtures.tiny("--record", "2", "--threads", "2");
    Outcome first = outcome(options, 1);

    assertThat(first.steps).hasSize(6 + 4);
    assertThat(outcome(options, 1)).isEqualTo(first);
    Outcome other = outcome(options, 2);
    assertThat(other.weights.get("head.weight")).isNotEqualTo(first.weights.get("head.weight"));
    assertThat(other.steps.getFirst()).isNotEqualTo(first.steps.getFirst());
  }

  @Test
  void theOrderComesFromItsOwnSeed() {
    TrainingOptions options = Fixtures.tiny();
    List<List<Double>> losses = new ArrayList<>();
    for (long seed : new long[] {1, 1, 2}) {
      try (Model model = model(options, Rule.ADAMW, 0)) {
        Trainer trainer =
            new Trainer(options, model, Fixtures.examples(64, 1), new SplittableRandom(seed));
        History history = trainer.train(() -> false, step -> {});
        losses.add(history.steps().stream().map(History.Step::loss).toList());
      }
    }
    assertThat(losses.get(1)).isEqualTo(losses.get(0));
    assertThat(losses.get(2)).isNotEqualTo(losses.get(0));
  }

  @Test
  void historyFollowsTheScheduleAndTheDeviation() {
    TrainingOptions options =
        Fixtures.tiny("--steps", "5", "--record", "2", "--warmup", "0.4", "--lr", "0.01");
    List<History.Step> seen = new ArrayList<>();
    try (Model model = model(options, Rule.L2SP, 0.01)) {
      History history =
          train(
              options,
              model,
              step -> {
                seen.add(step);
                double factor = step.learningRate() / 0.01;
                assertThat(model.layers())
                    .allMatch(layer -> layer.group().lr() == layer.lr() * factor);
              });

      assertThat(history.steps()).isEqualTo(seen);
      assertThat(history.steps())
          .extracting(History.Step::learningRate)
          .containsExactly(0.01 * 1 / 2, 0.01, 0.01, 0.01 * (2 / 3.0), 0.01 * (1 / 3.0));
      assertThat(history.steps())
          .allMatch(s -> s.stepMillis() >= s.optimizerMillis() && s.optimizerMillis() > 0);
      assertThat(history.layers()).containsExactly("embeddings", "layer 0", "layer 1");
      assertThat(history.deviations())
          .extracting(History.Deviation::step)
          .containsExactly(0, 2, 4, 5);
      assertThat(history.deviations().getFirst().layers()).containsExactly(0.0, 0.0, 0.0);
      assertThat(history.deviations().getLast().layers())
          .containsExactlyElementsOf(
              model.layers().stream()
                  .limit(3)
                  .map(layer -> Math.sqrt(layer.squaredDeviation()))
                  .toList())
          .allMatch(d -> d > 0);
      assertThat(history.tensors()).as("L2-SP selects nothing").isEmpty();
    }
  }

  @Test
  void selectionsMatchTheReports() {
    TrainingOptions options =
        Fixtures.tiny(
            "--steps", "40", "--unfreeze", "layer0=8", "--early-stop", "1", "--record", "1");
    try (Model model = model(options, Rule.SPD, 1)) {
      Trainer trainer = Fixtures.trainer(options, model);
      List<Set<String>> reported = new ArrayList<>();
      Map<String, Long> checked = new HashMap<>();
      History history =
          trainer.train(
              () -> false,
              step -> {
                Set<String> names = new HashSet<>();
                for (SpdReport report : model.adam().spdReports()) {
                  Long before = checked.put(report.name(), report.checked());
                  boolean taken = before == null || report.checked() > before;
                  if (taken && report.selected()) {
                    names.add(report.name());
                  }
                }
                reported.add(names);
              });

      assertThat(history.stopped()).isNotEmpty();
      assertThat(history.tensors()).hasSize(5 + 2 * 16).contains(WORDS).doesNotContain("head.bias");
      assertThat(reported).anyMatch(names -> !names.isEmpty());
      for (int i = 0; i < 40; i++) {
        assertThat(history.steps().get(i).selected().stream().mapToObj(history.tensors()::get))
            .containsExactlyInAnyOrderElementsOf(reported.get(i));
      }
    }
  }

  @Test
  void clipsTheGlobalNorm() {
    TrainingOptions options = Fixtures.tiny("--steps", "1", "--clip", "0.01");
    try (Model model = model(options, Rule.ADAMW, 0)) {
      assertThat(train(options, model).steps().getFirst().gradientNorm()).isGreaterThan(0.1);

      double squares =
          model.adam().parameters().stream()
              .flatMap(p -> p.expAvg().elements(JAVA_FLOAT))
              .mapToDouble(m -> m.get(JAVA_FLOAT, 0))
              .map(m -> m * m)
              .sum();
      assertThat(Math.sqrt(squares)).isCloseTo((1 - 0.9) * 0.01, within(1e-6));
    }
  }

  @Test
  void frozenLayersStayUntilTheirStep() {
    Map<String, Integer> thaw = Map.of("embeddings", 5, "layer1", 3, "head", 2);
    TrainingOptions options = Fixtures.tiny("--schedule", "CONSTANT");
    options.unfreeze.putAll(thaw);
    try (Model model = model(options, Rule.ADAMW, 0)) {
      AtomicInteger step = new AtomicInteger();
      List<Map<String, List<Float>>> before = new ArrayList<>(List.of(values(model)));
      train(
          options,
          model,
          taken -> {
            step.incrementAndGet();
            Map<String, List<Float>> now = values(model);
            now.forEach((layer, values) ->
                assertThat(values.equals(before.getLast().get(layer)))
                    .as("%s unchanged by step %d", layer, step.get())
                    .isEqualTo(step.get() < thaw.getOrDefault(layer, 1)));
            before.add(now);
          });
      assertThat(step).hasValue(6);
    }
  }

  /** Returns the values of each layer. */
  private static Map<String, List<Float>> values(Model model) {
    return model.layers().stream()
        .collect(
            Collectors.toMap(
                LayerGroup::name,
                layer ->
                    layer.group().parameters().stream()
                        .flatMap(p -> p.data().elements(JAVA_FLOAT))
                        .map(f -> f.get(JAVA_FLOAT, 0))
                        .toList()));
  }

  @Test
  void stoppedLayersDoNotChange() {
    TrainingOptions options =
        Fixtures.tiny("--steps", "60", "--record", "1", "--early-stop", "1", "--warmup", "0");
    try (Model model = model(options, Rule.ADAMW, 0)) {
      Trainer trainer = Fixtures.trainer(options, model);
      History history = trainer.train(() -> false, step -> {});

      List<History.Deviation> deviations = history.deviations();
      Map<String, Integer> stopped = new HashMap<>();
      int earliest = deviations.size();
      for (int layer = 0; layer < 3; layer++) {
        double largest = 0;
        int stop = 0;
        for (int i = 1; stop == 0 && i < deviations.size(); i++) {
          double deviation = deviations.get(i).layers().get(layer);
          stop = deviation > largest * 1.005 ? 0 : i;
          largest = Math.max(largest, deviation);
        }
        if (stop > 0) {
          stopped.put(model.layers().get(layer).title(), stop);
          earliest = Math.min(earliest, stop);
          double last = deviations.get(stop).layers().get(layer);
          for (History.Deviation later : deviations.subList(stop, deviations.size())) {
            assertThat(later.layers().get(layer)).isEqualTo(last);
          }
        }
      }
      assertThat(earliest).isLessThan(55);
      stopped.values().remove(60); // no training was left to stop
      assertThat(history.stopped()).isEqualTo(stopped);
      assertThat(history.steps()).hasSize(60).allMatch(s -> s.gradientNorm() > 0);
    }
  }

  @Test
  void factorsMultiplyLambdaInTheirLayer() {
    TrainingOptions options =
        Fixtures.tiny("--layer-lambda", "layer1=0.5", "--layer-lambda", "embeddings=0");
    try (Model model = model(options, Rule.L2SP, 0.2)) {
      assertThat(model.layers())
          .extracting(layer -> layer.group().decay())
          .containsExactly(new L2SP(0), new L2SP(0.2), new L2SP(0.1), new WeightDecay(0.01));
      assertThat(model.layers()).extracting(LayerGroup::lr).containsExactly(3e-3, 3e-3, 3e-3, 1e-2);
      for (LayerGroup layer : model.layers()) {
        for (Parameter parameter : layer.group().parameters()) {
          MemorySegment from = layer.isHead() ? null : pretrained.get(parameter.name()).data();
          assertThat(parameter.anchor()).as(parameter.name()).isEqualTo(from);
        }
      }
    }
  }

  @Test
  void aFactorOfZeroIsPlainAdam() {
    List<Map<String, List<Float>>> ends = new ArrayList<>();
    for (Rule rule : new Rule[] {Rule.SPD, Rule.ADAMW}) {
      TrainingOptions options = Fixtures.tiny("--steps", "12");
      List.of("embeddings", "layer0", "layer1").forEach(l -> options.layerLambda.put(l, 0.0));
      try (Model model = model(options, rule, 1)) {
        train(options, model);
        ends.add(Tiny.values(model.weights()));
      }
    }
    assertThat(ends.get(0)).isEqualTo(ends.get(1));
    TrainingOptions options = Fixtures.tiny("--steps", "12");
    try (Model model = model(options, Rule.SPD, 1)) {
      train(options, model);
      assertThat(Tiny.values(model.weights())).isNotEqualTo(ends.get(0));
    }
  }

  @Test
  void loraLeavesTheBackboneAlone() {
    TrainingOptions options = Fixtures.tiny("--lora", "2");
    try (Model model = model(options, Rule.SPD, 1)) {
      Map<String, List<Float>> before = Tiny.values(model.weights());
      History history = train(options, model);

      Map<String, List<Float>> after = Tiny.values(model.weights());
      assertThat(after).hasSize(anchor.size() + 2 * 4 * 2 + 2);
      after.forEach((name, values) ->
          assertThat(values.equals(before.get(name)))
              .as(name + " unchanged")
              .isEqualTo(anchor.containsKey(name)));
      assertThat(model.layers())
          .extracting(LayerGroup::name)
          .containsExactly("layer0", "layer1", "head");
      assertThat(model.adam().parameters())
          .hasSize(2 * 4 * 2 + 2)
          .allMatch(p -> p.anchor() == null);
      assertThat(history.tensors()).hasSize(16).allMatch(name -> name.contains("lora_"));
    }
  }

  @Test
  void stopsAfterTheCurrentStep() {
    TrainingOptions options = Fixtures.tiny();
    try (Model model = model(options, Rule.SPD, 1)) {
      AtomicInteger steps = new AtomicInteger();
      History history =
          Fixtures.trainer(options, model)
              .train(() -> steps.get() == 2, step -> steps.incrementAndGet());

      assertThat(history.steps()).hasSize(2);
    }
  }

  @Test
  void stepsWithAnInfiniteGradientAreSkipped() {
    TrainingOptions options = Fixtures.tiny("--steps", "8");
    try (Model model = model(options, Rule.SPD, 1)) {
      MemorySegment word = model.weights().get(WORDS).data();
      MemorySegment healthy = arena.allocate(word.byteSize(), 4);
      List<Map<String, List<Float>>> values = new ArrayList<>();
      History history =
          train(
              options,
              model,
              taken -> {
                if (values.size() == 4) {
                  healthy.copyFrom(word);
                  word.setAtIndex(JAVA_FLOAT, 0, Float.POSITIVE_INFINITY);
                } else if (values.size() == 6) {
                  word.copyFrom(healthy);
                }
                values.add(Tiny.values(model.weights()));
              });

      assertThat(history.steps())
          .extracting(s -> Double.isFinite(s.gradientNorm()))
          .containsExactly(true, true, true, true, true, false, false, true);
      assertThat(history.steps())
          .extracting(s -> s.selected().isEmpty())
          .as("nothing is selected")
          .endsWith(false, true, true, false);
      assertThat(values.get(5)).isEqualTo(values.get(4));
      assertThat(values.get(7)).isNotEqualTo(values.get(6));
      values.get(7).values().forEach(v -> assertThat(v).allMatch(Float::isFinite));
    }
  }

  @Test
  void evaluationDoesNotDependOnTheBatchSize() {
    TrainingOptions options = Fixtures.tiny();
    List<Example> examples = Fixtures.examples(21, 5);
    try (Model model = model(options, Rule.ADAMW, 0)) {
      int right = 0;
      double losses = 0;
      for (Example example : examples) {
        int label = example.label();
        right += model.classifier().predict(Tokens.batch(List.of(example)))[0] == label ? 1 : 0;
        MemorySegment logits = model.classifier().forward(Tokens.batch(List.of(example)));
        double other =
            logits.getAtIndex(JAVA_FLOAT, 1 - label) - logits.getAtIndex(JAVA_FLOAT, label);
        losses += Math.log1p(Math.exp(other)); // −log softmax
      }
      assertThat(right).isBetween(1, 20);
      for (int batch : new int[] {1, 4, 8}) {
        Score score =
            Evaluation.score(model.classifier(), examples, batch, () -> false, Processes.ONE)
                .orElseThrow();
        assertThat(score.correct()).isEqualTo(right);
        assertThat(score.total()).isEqualTo(21);
        assertThat(score.loss()).isCloseTo(losses / 21, within(1e-5));
      }
      AtomicInteger asked = new AtomicInteger();
      assertThat(
              Evaluation.score(
                  model.classifier(),
                  examples,
                  8,
                  () -> asked.incrementAndGet() == 3,
                  Processes.ONE))
          .isEmpty();
    }
  }
}
