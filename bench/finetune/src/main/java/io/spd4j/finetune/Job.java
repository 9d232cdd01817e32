package io.spd4j.finetune;

import static java.util.stream.Collectors.joining;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.data.Mail;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.data.Splits;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.FinetuneReport;
import io.spd4j.finetune.report.History;
import io.spd4j.finetune.report.Machine;
import io.spd4j.finetune.report.Progress;
import io.spd4j.finetune.report.ReportFiles;
import io.spd4j.finetune.report.ResultTable;
import io.spd4j.finetune.report.Run;
import io.spd4j.finetune.report.Score;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;

/** Trains and tests all-MiniLM-L6-v2 for every rule, λ, state and seed, and writes the results. */
final class Job {
  private static final String IN_DISTRIBUTION = "in-distribution";
  private static final String OUT_OF_DISTRIBUTION = "easy-ham-2 + spam-2";
  private static final String HARD_HAM = "hard-ham-1";

  private final JobOptions options;
  private final TrainingOptions training;
  private final Weights pretrained;
  private final MailTokenizer tokenizer;
  private final BooleanSupplier stop;
  private final PrintWriter out;

  /**
   * @param pretrained the model's weights
   * @param stop returns true once the job must end
   */
  Job(
      JobOptions options,
      TrainingOptions training,
      Weights pretrained,
      MailTokenizer tokenizer,
      BooleanSupplier stop,
      PrintWriter out) {
    this.options = options;
    this.training = training;
    this.pretrained = pretrained;
    this.tokenizer = tokenizer;
    this.stop = stop;
    this.out = out;
  }

  /**
   * Runs to the end, or until it must stop; the report covers what was done by then.
   *
   * @throws Failure if a report or the exported model cannot be written
   */
  void run(List<Mail> mails) throws Failure, IOException {
    List<Run> runs = new ArrayList<>();
    ReportFiles.Written written = null;
    for (long seed : new LinkedHashSet<>(options.seeds)) {
      if (stop.getAsBoolean()) {
        break; // splitting and tokenizing take a while
      }
      Data data = data(mails, seed);
      for (RunSpec run : options.specs(seed)) {
        if (!stop.getAsBoolean()) {
          runs.add(run(run, data));
          written = write(report(runs)); // in case the next run fails
        }
      }
    }
    if (written == null) {
      written = write(report(runs));
    }
    out.println();
    out.println(new ResultTable(report(runs)).markdown());
    written.warning().ifPresent(out::println);
    out.println("report: " + written.html() + ", numbers: " + written.json());
    runs.stream()
        .map(Run::weights)
        .filter(Objects::nonNull)
        .forEach(file -> out.println("weights, for classify: " + options.results.resolve(file)));
    if (options.export() != null) {
      export(runs);
    }
    out.flush();
  }

  private void export(List<Run> runs) throws Failure, IOException {
    if (runs.isEmpty() || !runs.getFirst().complete()) {
      out.println("not exported, because the run is not complete");
    } else if (runs.getFirst().weights() == null) {
      throw Failure.ofInput("not exported, because the weights could not be written");
    } else {
      Path weights = options.results.resolve(runs.getFirst().weights());
      options.export().write(weights, training.length, out);
    }
  }

  private Data data(List<Mail> mails, long seed) {
    Splits splits = Splits.of(mails, options.testFraction, seed);
    SequencedMap<String, List<Mail>> tests = new LinkedHashMap<>();
    tests.put(IN_DISTRIBUTION, splits.idTest());
    tests.put(OUT_OF_DISTRIBUTION, splits.oodTest());
    tests.put(HARD_HAM, splits.hardHam());
    Data data = new Data(tokenizer.encode(splits.train(), training.length), new LinkedHashMap<>());
    int limit = options.testLimit == null ? Integer.MAX_VALUE : options.testLimit;
    tests.forEach((title, test) ->
        data.tests().put(title, tokenizer.encode(evenly(test, limit), training.length)));
    return data;
  }

  /** Returns elements at even distances, because a test set can have its ham before its spam. */
  static <T> List<T> evenly(List<T> all, int limit) {
    int count = Math.min(limit, all.size());
    return IntStream.range(0, count)
        .mapToObj(i -> all.get((int) ((long) i * all.size() / count)))
        .toList();
  }

  private Run run(RunSpec run, Data data) {
    SplittableRandom random = new SplittableRandom(run.seed());
    try (Model model = new Model(training, Config.MINILM_L6, pretrained, run, random.split())) {
      Trainer trainer = new Trainer(training, model, data.train(), random.split());
      History history;
      try (Progress progress = Progress.start(run.title(), training.steps, out)) {
        history =
            trainer.train(stop, s -> progress.step(s.loss(), s.stepMillis(), s.optimizerMillis()));
      }
      history
          .stopped()
          .forEach((layer, step) -> out.println("stopped early: " + layer + " after step " + step));
      long skipped =
          history.steps().stream().filter(s -> !Double.isFinite(s.gradientNorm())).count();
      if (skipped > 0) {
        out.println("steps skipped because gradients were not finite: " + skipped);
      }
      out.println("testing …");
      out.flush();
      String file = save(run, model);
      Map<String, Score> scores = new HashMap<>();
      data.tests()
          .forEach((title, test) ->
              Evaluation.score(model.classifier(), test, training.batch, stop)
                  .ifPresent(score -> {
                    scores.put(title, score);
                    out.printf(Locale.ROOT, "%s: %.2f%%%n", title, 100 * score.accuracy());
                  }));
      double squares =
          model.layers().stream()
              .filter(layer -> !layer.isHead())
              .mapToDouble(LayerGroup::squaredDeviation)
              .sum();
      return new Run(
          run.rule().title(),
          run.lambda(),
          run.state().toString(),
          run.seed(),
          training.steps,
          history.steps().size() == training.steps && scores.size() == data.tests().size(),
          scores,
          Math.sqrt(squares),
          history,
          file);
    }
  }

  /**
   * Returns the file's name. If the file cannot be written, prints why and returns null, so that
   * the run is not lost.
   */
  private String save(RunSpec run, Model model) {
    String file = options.name + "-" + run.fileName() + ".safetensors";
    Map<String, String> metadata =
        Map.of(
            "format",
            "pt",
            "base",
            "all-MiniLM-L6-v2",
            "run",
            run.title(),
            SavedModel.LENGTH,
            Integer.toString(training.length));
    try {
      SavedModel.write(options.results.resolve(file), model.weights(), metadata);
      return file;
    } catch (IOException e) {
      out.println("the weights could not be written to " + options.results + ": " + e);
      return null;
    }
  }

  private FinetuneReport report(List<Run> runs) {
    Map<String, Object> settings = training.settings();
    settings.put("state", options.states.stream().map(State::toString).collect(joining(", ")));
    settings.put("held back", options.testFraction);
    if (options.testLimit != null) {
      settings.put("largest number of mails per test set", options.testLimit);
    }
    return new FinetuneReport(
        "all-MiniLM-L6-v2 as a spam classifier",
        settings,
        Machine.here(),
        Instant.now(),
        List.of(IN_DISTRIBUTION, OUT_OF_DISTRIBUTION, HARD_HAM),
        runs);
  }

  private ReportFiles.Written write(FinetuneReport report) throws Failure {
    return ReportFiles.write(options.results, options.name, report);
  }
}
