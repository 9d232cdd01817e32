package io.spd4j.finetune;

import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.util.Pair;
import io.spd4j.SpdReport;
import io.spd4j.WeightDecay;
import io.spd4j.djl.SpdOptimizer;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.data.SpamAssassin;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.OnnxWeights;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.Progress;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Fine-tunes the model with DJL. */
@Command(
    name = "djl",
    description = {
      "Fine-tunes all-MiniLM-L6-v2 as a spam classifier with DJL's Trainer on PyTorch, stepped by"
          + " spd4j's SpdOptimizer, and tests it on mail like the training mail and other mail.",
      "PyTorch must be on the class path: `make djl` fetches it."
    })
public final class DjlCommand implements Callable<Integer> {
  private static final double TEST_FRACTION = 0.2;

  @Spec private CommandSpec spec;

  @Option(
      names = "--cache",
      defaultValue = "bench/cache",
      description = "Folder for the mail corpus; default: ${DEFAULT-VALUE}.")
  private Path cache;

  @Option(
      names = "--rule",
      defaultValue = "spd",
      description = "Backbone's rule, of ${COMPLETION-CANDIDATES}; default: ${DEFAULT-VALUE}.")
  private Rule rule;

  @Option(names = "--lambda", description = "The rule's strength; default: the rule's own.")
  private Double lambda;

  @Option(
      names = "--steps",
      defaultValue = "100",
      converter = Count.class,
      description = "Number of steps; default: ${DEFAULT-VALUE}.")
  private int steps;

  @Option(
      names = "--batch",
      defaultValue = "16",
      converter = Count.class,
      description = "Texts per step; default: ${DEFAULT-VALUE}.")
  private int batch;

  @Option(
      names = "--length",
      defaultValue = "64",
      converter = Count.class,
      description = "Largest number of tokens of a text, 2 to 512; default: ${DEFAULT-VALUE}.")
  private int length;

  @Option(
      names = "--lr",
      defaultValue = "5e-5",
      description = "Learning rate of the backbone; default: ${DEFAULT-VALUE}.")
  private float lr;

  @Option(
      names = "--head-lr",
      defaultValue = "1e-3",
      description = "Learning rate of the head; default: ${DEFAULT-VALUE}.")
  private float headLr;

  @Option(
      names = "--clip",
      description =
          "Clip gradients to this global norm: one fused step of all tensors in place of DJL's step of"
              + " one after the other; default: do not clip.")
  private Double clip;

  @Option(
      names = "--test-limit",
      defaultValue = "400",
      converter = Count.class,
      description = "Largest number of mails per test set; default: ${DEFAULT-VALUE}.")
  private int testLimit;

  @Option(
      names = "--seed",
      defaultValue = "1",
      description = "Seed of the split, the head and the order; default: ${DEFAULT-VALUE}.")
  private long seed;

  @Override
  public Integer call() throws Failure, IOException, InterruptedException {
    NetworkOptions.require(length >= 2 && length <= 512, "--length must be 2 to 512");
    NetworkOptions.require(clip == null || clip > 0, "--clip must be more than 0");
    DjlTraining.checkEngine();
    SplittableRandom random = new SplittableRandom(seed);
    try (Arena arena = Arena.ofShared();
        MailTokenizer tokenizer = new MailTokenizer()) {
      Weights weights =
          OnnxWeights.minilm(arena)
              .with(Classifier.head(arena, Config.MINILM_L6, Model.CLASSES, random.split()));
      Data data =
          new MailCorpus(
                  SpamAssassin.load(cache), TEST_FRACTION, testLimit, length, false, tokenizer)
              .data(seed, 0, Variation.PLAIN);
      train(weights, data, random.split());
    }
    return ExitCode.OK;
  }

  private void train(Weights weights, Data data, SplittableRandom random) {
    PrintWriter out = spec.commandLine().getOut();
    SpdOptimizer[] made = new SpdOptimizer[1];
    try (DjlTraining training =
        new DjlTraining(Config.MINILM_L6, weights, block -> made[0] = optimizer(block))) {
      SpdOptimizer optimizer = made[0];
      Examples<Example> examples = new Examples<>(data.train(), random);
      try (Progress progress = Progress.start("DJL, " + rule.title(), 0, steps, out)) {
        for (int step = 1; step <= steps; step++) {
          long start = System.nanoTime();
          float loss = training.backward(examples.next(batch));
          long stepping = System.nanoTime();
          if (clip != null) {
            optimizer.stepClipped(clip);
          } else {
            training.trainer().step();
          }
          long end = System.nanoTime();
          progress.step(loss, (end - start) / 1e6, (end - stepping) / 1e6);
        }
      }
      List<SpdReport> reports = optimizer.spdReports();
      if (!reports.isEmpty()) {
        out.printf(
            Locale.ROOT,
            "SPD selected %.1f%% of the tensors in a step%n",
            100.0
                * reports.stream().mapToLong(SpdReport::selections).sum()
                / reports.stream().mapToLong(SpdReport::checked).sum());
        reports.stream()
            .max(Comparator.comparingLong(SpdReport::selections))
            .ifPresent(most -> out.println("most often: " + most));
      }
      data.tests()
          .forEach((title, test) -> {
            int correct = 0;
            for (int from = 0; from < test.size(); from += batch) {
              correct += training.correct(test.subList(from, Math.min(test.size(), from + batch)));
            }
            out.printf(Locale.ROOT, "%s: %.2f%%%n", title, 100.0 * correct / test.size());
          });
      optimizer.close();
    }
    out.flush();
  }

  /** The backbone has the rule, the new head AdamW; learning rates rise, then decay to 0. */
  private SpdOptimizer optimizer(Block block) {
    LearningRate schedule = new LearningRate(steps, steps / 10, TrainingOptions.Schedule.LINEAR);
    Map<String, Float> rates = new LinkedHashMap<>();
    for (Pair<String, Parameter> p : block.getParameters()) {
      rates.put(p.getValue().getId(), p.getKey().startsWith(Classifier.HEAD) ? headLr : lr);
    }
    return SpdOptimizer.builder()
        .block(block)
        .rule(name ->
            name.startsWith(Classifier.HEAD)
                ? new WeightDecay(0.01)
                : rule.decay(lambda != null ? lambda : rule.lambda()))
        .optLearningRateTracker((id, count) -> (float) (rates.get(id) * schedule.factor(count)))
        .build();
  }
}
