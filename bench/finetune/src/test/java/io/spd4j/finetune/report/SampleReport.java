package io.spd4j.finetune.report;

import java.time.Instant;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Random reports that look like those of a fine-tuning job. */
final class SampleReport {
  static final List<String> TEST_SETS =
      List.of("in-distribution", "easy-ham-2 + spam-2", "hard-ham-1");
  static final List<String> TENSORS =
      Stream.concat(
              Stream.of(
                      "word_embeddings.weight",
                      "position_embeddings.weight",
                      "token_type_embeddings.weight",
                      "LayerNorm.weight",
                      "LayerNorm.bias")
                  .map("embeddings."::concat),
              IntStream.range(0, 6)
                  .boxed()
                  .flatMap(layer ->
                      Stream.of(
                              "attention.self.query",
                              "attention.self.key",
                              "attention.self.value",
                              "attention.output.dense",
                              "attention.output.LayerNorm",
                              "intermediate.dense",
                              "output.dense",
                              "output.LayerNorm")
                          .flatMap(module ->
                              Stream.of("weight", "bias")
                                  .map(kind ->
                                      "encoder.layer.%d.%s.%s".formatted(layer, module, kind)))))
          .toList();
  static final List<String> LAYERS =
      TENSORS.stream().map(name -> TensorName.of(name).layer()).distinct().toList();

  /** Makes each rule's numbers different. */
  private enum Rule {
    ADAMW("AdamW", 0.985, 0.94, 0.72, 1.0),
    L2_SP("L2-SP", 0.983, 0.952, 0.78, 0.55),
    SPD("SPD", 0.986, 0.961, 0.83, 0.4);

    private final String title;
    private final double[] accuracies;
    private final double drift;

    Rule(String title, double id, double easy, double hard, double drift) {
      this.title = title;
      this.accuracies = new double[] {id, easy, hard};
      this.drift = drift;
    }
  }

  private SampleReport() {}

  static FinetuneReport of(List<Run> runs) {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("model", "all-MiniLM-L6-v2");
    settings.put("examples", 2400);
    settings.put("batch size", 16);
    settings.put("tokens", 128);
    settings.put("learning rate", 2e-5);
    settings.put("warm-up", 0.1);
    settings.put("clipping", true);
    settings.put("backend", "native (x86-64-v4)");
    return new FinetuneReport(
        "Fine-tuning all-MiniLM-L6-v2 to tell spam from ham",
        settings,
        new Machine("AMD EPYC", 2, "25.0.1+8 (Eclipse Adoptium)", "Linux 6.18 (amd64)"),
        Instant.parse("2026-01-17T14:03:21Z"),
        TEST_SETS,
        runs,
        List.of());
  }

  static FinetuneReport seeds(int steps, int seeds) {
    List<Run> runs = new ArrayList<>();
    for (Rule rule : Rule.values()) {
      for (int seed = 1; seed <= seeds; seed++) {
        runs.add(run(rule, rule == Rule.SPD ? 1 : 0.01, seed, steps, steps));
      }
    }
    return of(runs);
  }

  /** Returns a report of AdamW with one λ and the other rules with several. */
  static FinetuneReport sweep(int steps, int seeds) {
    List<Run> runs = new ArrayList<>();
    for (int seed = 1; seed <= seeds; seed++) {
      runs.add(run(Rule.ADAMW, 0.01, seed, steps, steps));
      for (double lambda : new double[] {0, 0.001, 0.01, 0.1}) {
        runs.add(run(Rule.L2_SP, lambda, seed, steps, steps));
      }
      for (double lambda : new double[] {0.1, 0.5, 1, 2}) {
        runs.add(run(Rule.SPD, lambda, seed, steps, steps));
      }
    }
    return of(runs);
  }

  /** Returns a report of runs on several kinds of data, with trials before them. */
  static FinetuneReport chosen(int seeds) {
    List<Run> runs = new ArrayList<>();
    List<Run> trials = new ArrayList<>();
    for (String data :
        List.of("", "planted word, p = 0.8", "10% wrong labels", "20% wrong labels")) {
      for (Rule rule : Rule.values()) {
        double best = rule == Rule.SPD ? 1 : 0.01;
        for (int seed = 1; seed <= seeds; seed++) {
          runs.add(with(run(rule, best, seed, 20, 20), 5e-5, data, null));
        }
        for (double lambda : new double[] {best / 10, best, best * 10}) {
          for (double lr : new double[] {2e-5, 5e-5, 1e-4}) {
            double off = Math.abs(Math.log10(lambda / best)) + Math.abs(Math.log(lr / 5e-5));
            double loss = lr == 1e-4 && lambda > best ? Double.NaN : 0.06 + 0.02 * off;
            Score validation = new Score((int) (98 - 2 * off), 100, loss);
            trials.add(with(run(rule, lambda, 11, 2, 2), lr, data, validation));
          }
        }
      }
    }
    FinetuneReport plain = of(runs);
    return new FinetuneReport(
        plain.title(),
        plain.settings(),
        plain.machine(),
        plain.finished(),
        TEST_SETS,
        runs,
        trials);
  }

  private static Run with(Run run, double lr, String data, Score validation) {
    Setup setup = new Setup(run.setup().rule(), run.setup().lambda(), lr, "float32", data);
    return new Run(
        setup,
        run.seed(),
        run.plannedSteps(),
        true,
        validation == null ? run.scores() : Map.of(),
        run.deviation(),
        run.history(),
        null,
        validation,
        List.of());
  }

  /** Returns a report of LP-FT, with models between its ends, beside the rules. */
  static FinetuneReport interpolated(int steps, int seeds) {
    List<Run> runs = new ArrayList<>(seeds(steps, seeds).runs());
    for (int seed = 1; seed <= seeds; seed++) {
      Run run = run(Rule.ADAMW, 0.01, 100 + seed, steps, steps);
      List<Interpolated> models = new ArrayList<>();
      for (double alpha : new double[] {0, 0.25, 0.5, 0.75}) {
        Map<String, Score> scores = new LinkedHashMap<>();
        for (int i = 0; i < TEST_SETS.size(); i++) {
          Score end = run.scores().get(TEST_SETS.get(i));
          double start = new double[] {0.93, 0.9, 0.7}[i];
          double best = new double[] {0.02, 0.06, 0.3}[i] * alpha * (1 - alpha);
          double accuracy = (1 - alpha) * start + alpha * end.accuracy() + best;
          scores.put(
              TEST_SETS.get(i),
              new Score((int) (accuracy * end.total()), end.total(), 1 - accuracy));
        }
        models.add(new Interpolated(alpha, scores, alpha * run.deviation()));
      }
      runs.add(
          new Run(
              new Setup("LP-FT", 0.01, 5e-5, "float32", ""),
              seed,
              steps,
              true,
              run.scores(),
              run.deviation(),
              run.history(),
              null,
              null,
              models));
    }
    return of(runs);
  }

  /** Returns a report whose second run was interrupted. */
  static FinetuneReport interrupted(int steps) {
    return of(
        List.of(run(Rule.ADAMW, 0.01, 1, steps, steps), run(Rule.SPD, 1, 1, steps, steps / 3)));
  }

  private static Run run(Rule rule, double lambda, long seed, int plannedSteps, int steps) {
    SplittableRandom random = new SplittableRandom(31 * seed + rule.ordinal());
    History history = new History(LAYERS, rule == Rule.SPD ? TENSORS : List.of());
    double strength = rule == Rule.ADAMW ? 1 : 1 / (1 + lambda / 4);
    List<Double> norms = norms(0, random);
    history.deviation(norms);
    for (int step = 1; step <= steps; step++) {
      double progress = (double) step / plannedSteps;
      double loss = 0.69 * Math.exp(-7 * progress) + 0.04 + 0.05 * random.nextExponential();
      double warmUp = Math.min(1, 10 * progress);
      double stepMillis = 400 + 30 * random.nextGaussian();
      double optimizerMillis = 9 + rule.ordinal() * 2 + random.nextDouble();
      history.add(
          new History.Step(
              loss,
              1 + 3 * random.nextDouble() * loss,
              2e-5 * warmUp * (1 - progress),
              stepMillis,
              optimizerMillis,
              900 + random.nextInt(100),
              100,
              rule == Rule.SPD ? selected(step, steps, random) : new BitSet()));
      if (step % 20 == 0 || step == plannedSteps) {
        norms = norms(rule.drift * strength * Math.sqrt(progress), random);
        history.deviation(norms);
      }
    }
    boolean complete = steps == plannedSteps;
    Map<String, Score> scores = new LinkedHashMap<>();
    for (int i = 0; complete && i < TEST_SETS.size(); i++) {
      int total = new int[] {800, 2790, 250}[i];
      double accuracy = rule.accuracies[i] + 0.008 * (i + 1) * (random.nextDouble() - 0.5);
      double penalty = 0.02 * Math.abs(Math.log(0.3 + lambda)) * strength;
      scores.put(
          TEST_SETS.get(i),
          new Score(
              (int) Math.min(total, total * (accuracy - penalty)), total, 3 * (1 - accuracy)));
    }
    return new Run(
        new Setup(rule.title, lambda, 5e-5, "float32", ""),
        seed,
        plannedSteps,
        complete,
        scores,
        Math.sqrt(norms.stream().mapToDouble(norm -> norm * norm).sum()),
        history,
        complete ? "%s-%s.safetensors".formatted(rule.title.toLowerCase(), seed) : null,
        null,
        List.of());
  }

  private static List<Double> norms(double drift, SplittableRandom random) {
    return IntStream.range(0, LAYERS.size())
        .mapToObj(layer -> drift * (0.5 + 0.2 * layer + 0.05 * random.nextDouble()))
        .toList();
  }

  /** Selects the first layers more often than the last, and more layers at the end. */
  private static BitSet selected(int step, int steps, SplittableRandom random) {
    BitSet selected = new BitSet();
    for (int i = 0; i < TENSORS.size(); i++) {
      double share = 0.6 * (1 - (double) i / TENSORS.size()) * step / steps;
      selected.set(i, i % 16 != 9 && random.nextDouble() < share);
    }
    return selected;
  }
}
