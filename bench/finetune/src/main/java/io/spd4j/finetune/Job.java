package io.spd4j.finetune;

import io.spd4j.finetune.cli.ExitStatus;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.History;
import io.spd4j.finetune.report.Interpolated;
import io.spd4j.finetune.report.Metrics;
import io.spd4j.finetune.report.Progress;
import io.spd4j.finetune.report.ReportFiles;
import io.spd4j.finetune.report.Run;
import io.spd4j.finetune.report.Score;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.SplittableRandom;
import java.util.function.BooleanSupplier;

/**
 * Trains and tests an encoder for every rule, λ, learning rate, state, variation of the data and
 * seed, and writes the results.
 */
final class Job {
  private final JobOptions options;
  private final TrainingOptions training;
  private final Config config;
  private final Weights pretrained;
  private final Corpus corpus;
  private final Processes processes;
  private final BooleanSupplier stop;
  private final Log log;
  private final JobResults results;

  /** Null if the job writes no checkpoints. */
  private final JobCheckpoint checkpoint;

  /** The runs that choose the settings of the others. */
  private final List<RunSpec> trials;

  /** The runs so far, trials first; the last one may have been interrupted. */
  private final List<Run> runs = new ArrayList<>();

  /** What the runs of a seed and a variation learn from. */
  private record Split(long seed, Variation variation, Data data) {}

  /** The split of the last run; null before the first. */
  private Split split;

  /** Whether all runs are done. */
  private boolean done;

  private Metrics metrics;

  /**
   * @param pretrained the model's weights
   * @param processes which do the job together; all create it at the same time
   * @param stop returns true once the job must end
   * @throws Failure if the options are not for several processes
   * @throws RuntimeException if the processes' options or data differ
   */
  Job(
      JobOptions options,
      TrainingOptions training,
      Config config,
      Weights pretrained,
      Corpus corpus,
      Processes processes,
      BooleanSupplier stop,
      Log log)
      throws Failure {
    training.check(processes);
    options.check(processes);
    this.options = options;
    this.training = training;
    this.config = config;
    this.pretrained = pretrained;
    this.corpus = corpus;
    this.processes = processes;
    this.stop = processes.agreed(stop);
    this.log = log;
    trials = options.trials(training);
    results = new JobResults(options, training, processes, corpus.testSets(), log);
    Map<String, String> identity = options.identity(training);
    identity.remove("--sub-batches");
    if (training.subBatches(processes) > 1) {
      identity.put("--sub-batches", Integer.toString(training.subBatches(processes)));
    }
    identity.put("--cache", corpus.fingerprint());
    processes.requireSame("the options (among them --threads) or the mail", identity.toString());
    checkpoint =
        options.checkpointEvery() == null
            ? null
            : new JobCheckpoint(results.file("-checkpoint.safetensors"), identity, processes, log);
  }

  /**
   * Runs to the end, or until it must stop; the report covers what was done by then.
   *
   * @return an {@link ExitStatus}; a problem has been said
   * @throws Failure if a report or the exported model cannot be written, or the checkpoint cannot
   *     be used
   */
  int run() throws Failure, IOException, InterruptedException {
    JobCheckpoint.Saved saved = resume();
    if (saved != null) {
      runs.addAll(saved.state().finished());
    }
    Path file = processes.isFirst() ? results.file("-metrics.jsonl") : null;
    try (Metrics opened = new Metrics(file, runs, log::problem)) {
      metrics = opened;
      runAll(saved);
    }
    return end();
  }

  /** Returns what the job goes on from; null if it begins. */
  private JobCheckpoint.Saved resume() throws Failure, IOException, InterruptedException {
    if (checkpoint == null) {
      return null;
    }
    if (options.resume) {
      Optional<JobCheckpoint.Saved> saved = checkpoint.read();
      String progress = saved.map(Job::progress).orElse("there is no checkpoint: the job begins");
      processes.requireSame("the checkpoint: all read that of the first one", progress);
      log.detail(progress);
      if (saved.isPresent()) {
        return saved.get();
      }
    }
    if (checkpoint.exists()) {
      log.detail(
          "the checkpoint of an earlier job is replaced; --resume would have gone on from it");
    }
    checkpoint.write(runs);
    return null;
  }

  private static String progress(JobCheckpoint.Saved saved) {
    Trainer.State current = saved.state().current();
    return "resumed after %d runs%s"
        .formatted(
            saved.state().finished().size(),
            current == null ? "" : " and " + current.history().steps().size() + " steps");
  }

  /** Does the runs that are left, until the job must stop. */
  private void runAll(JobCheckpoint.Saved saved) throws Failure {
    JobCheckpoint.Saved current = saved == null || saved.state().current() == null ? null : saved;
    List<RunSpec> specs = new ArrayList<>(trials);
    if (trials.isEmpty()) {
      specs.addAll(options.specs(training, options.seeds()));
    }
    for (int i = 0; i < specs.size(); i++) {
      if (i >= runs.size()) {
        if (!run(specs.get(i), i, current)) {
          return;
        }
        current = null;
      }
      if (i == trials.size() - 1) {
        specs.addAll(Choice.runs(trials, runs.subList(0, trials.size()), options.seeds()));
      }
    }
    done = true;
    if (checkpoint != null) {
      checkpoint.forgetPrevious();
    }
  }

  /**
   * Does a run and keeps its results.
   *
   * @param index the run's place in the job
   * @param saved where the run goes on; null to begin it
   * @return false if the job must stop
   */
  private boolean run(RunSpec spec, int index, JobCheckpoint.Saved saved) throws Failure {
    if (stop.getAsBoolean()) {
      return false; // splitting and tokenizing take a while
    }
    if (split == null || split.seed != spec.seed() || !split.variation.equals(spec.variation())) {
      Data data = corpus.data(spec.seed(), options.validation(), spec.variation());
      split = new Split(spec.seed(), spec.variation(), data);
    }
    if (stop.getAsBoolean()) {
      return false;
    }
    boolean trial = index < trials.size();
    Run run = run(spec, split.data, trial, saved);
    runs.add(run);
    boolean interrupted = stop.getAsBoolean() && !run.complete();
    boolean lost = processes.any(checkpoint != null && lost(run, trial));
    if (interrupted || lost) {
      return false; // a resumed job tests it again and writes its weights
    }
    metrics.finish(run);
    if (checkpoint != null) {
      checkpoint.write(runs);
    }
    if (!trial && processes.isFirst()) {
      try {
        results.write(runs, trials.size()); // in case the next run fails
      } catch (Failure e) {
        log.problem(e.getMessage());
      }
    }
    return true;
  }

  /** Returns whether a run's weights should have been written, and were not. */
  private boolean lost(Run run, boolean trial) {
    return !trial && !options.noWeights && run.weights() == null;
  }

  /** Says how the job ended. */
  private int end() throws Failure, IOException {
    List<Run> tested = runs.subList(Math.min(trials.size(), runs.size()), runs.size());
    if (processes.isFirst()) {
      writeAll();
    }
    String resume = checkpoint == null ? "" : "; --resume goes on from there";
    if (tested.stream().anyMatch(run -> lost(run, false))) {
      log.problem("not all weights could be written to " + options.results + resume);
      return ExitStatus.OUTPUT;
    }
    if (!done) {
      log.problem("interrupted: the report has what was done until then" + resume);
      return ExitStatus.INTERRUPTED;
    }
    if (!metrics.complete()) {
      log.problem("not all metrics could be written to " + options.results);
      return ExitStatus.OUTPUT;
    }
    List<Run> diverged =
        tested.stream().filter(run -> Divergence.of(run.history(), training.steps)).toList();
    if (!diverged.isEmpty()) {
      log.problem(
          "diverged runs: %d of %d; try a lower --lr".formatted(diverged.size(), tested.size()));
      return ExitStatus.DIVERGED;
    }
    return ExitStatus.OK;
  }

  private void writeAll() throws Failure, IOException {
    log.result("\n" + results.report(runs, trials.size()).markdown());
    ReportFiles.Written written = results.write(runs, trials.size());
    written.warning().ifPresent(log::problem);
    log.result("report: " + written.html() + ", numbers: " + written.json());
    runs.stream()
        .map(Run::weights)
        .filter(Objects::nonNull)
        .forEach(file -> log.result("weights, for classify: " + options.results.resolve(file)));
    if (options.export() != null) {
      export();
    }
  }

  private void export() throws Failure, IOException {
    if (runs.isEmpty() || !runs.getFirst().complete()) {
      log.problem("not exported, because the run is not complete");
    } else if (runs.getFirst().weights() != null) {
      Path weights = options.results.resolve(runs.getFirst().weights());
      options.export().write(weights, training.length, log.out());
    }
  }

  /**
   * Does a run.
   *
   * @param trial whether it is only validated
   * @param saved where the run goes on; null to begin it
   * @throws Failure if it cannot go on there
   */
  private Run run(RunSpec run, Data data, boolean trial, JobCheckpoint.Saved saved) throws Failure {
    SplittableRandom random = new SplittableRandom(run.seed());
    try (Model model = model(run, random.split(), saved)) {
      Trainer.State resumed = saved == null ? null : saved.state().current();
      Trainer trainer = new Trainer(training, model, data.train(), random.split(), resumed);
      History history = train(run, model, trainer);
      history
          .stopped()
          .forEach((layer, step) -> log.detail("stopped early: " + layer + " after step " + step));
      long skipped =
          history.steps().stream().filter(s -> !Double.isFinite(s.gradientNorm())).count();
      if (skipped > 0) {
        tell(trial, "steps skipped because gradients were not finite: " + skipped);
      }
      if (Divergence.of(history, training.steps)) {
        tell(
            trial,
            "diverged: %s, in step %d: its last losses or gradients were not finite"
                .formatted(run.title(), history.steps().size()));
      }
      String file = trial || options.noWeights ? null : results.save(run, model.weights());
      log.detail(trial ? "validating …" : "testing …");
      Optional<Score> validation =
          Evaluation.score(model.classifier(), data.validation(), training.batch, stop, processes);
      validation.ifPresent(
          v -> log.detail(String.format(Locale.ROOT, "validation: loss %.4f", v.loss())));
      SequencedMap<String, List<Example>> tests = trial ? new LinkedHashMap<>() : data.tests();
      Map<String, Score> scores = scores(model, tests);
      double deviation = deviation(model);
      boolean trained = history.steps().size() == training.steps;
      List<Double> alphas = trained && !trial ? options.alphas(run.method(), training) : List.of();
      List<Interpolated> interpolated = new ArrayList<>();
      if (!alphas.isEmpty()) {
        try (WiseFt wise = new WiseFt(pretrained, trainer.state().probedHead(), model.weights())) {
          for (double alpha : alphas) {
            log.detail("testing WiSE-FT, α = " + alpha + " …");
            wise.interpolate(alpha);
            interpolated.add(new Interpolated(alpha, scores(model, tests), deviation(model)));
          }
        }
      }
      return new Run(
          run.setup(),
          run.seed(),
          training.steps,
          trained
              && scores.size() == tests.size()
              && interpolated.stream().allMatch(i -> i.scores().size() == tests.size())
              && validation.isEmpty() == data.validation().isEmpty(),
          scores,
          deviation,
          history,
          file,
          validation.orElse(null),
          interpolated);
    }
  }

  /** Tells of a problem, which is none in a trial: it is not chosen. */
  private void tell(boolean trial, String message) {
    if (trial) {
      log.detail(message);
    } else {
      log.problem(message);
    }
  }

  /** Tests a model; the result lacks the tests that were interrupted. */
  private Map<String, Score> scores(Model model, SequencedMap<String, List<Example>> tests) {
    Map<String, Score> scores = new HashMap<>();
    tests.forEach((title, test) ->
        Evaluation.score(model.classifier(), test, training.batch, stop, processes)
            .ifPresent(score -> {
              scores.put(title, score);
              log.detail(String.format(Locale.ROOT, "%s: %.2f%%", title, 100 * score.accuracy()));
            }));
    return scores;
  }

  /** Returns ‖θ−θ0‖ of the pre-trained parameters. */
  private static double deviation(Model model) {
    double squares =
        model.layers().stream()
            .filter(layer -> !layer.isHead())
            .mapToDouble(LayerGroup::squaredDeviation)
            .sum();
    return Math.sqrt(squares);
  }

  private Model model(RunSpec run, SplittableRandom random, JobCheckpoint.Saved saved)
      throws Failure {
    try {
      return new Model(
          training,
          config,
          pretrained,
          run,
          random,
          saved == null ? null : saved.file(),
          processes);
    } catch (IllegalArgumentException e) {
      if (saved == null) {
        throw e;
      }
      throw Failure.ofCheckpoint(e.getMessage());
    }
  }

  private History train(RunSpec run, Model model, Trainer trainer) {
    History history = trainer.state().history();
    int before = history.steps().size();
    boolean checkpoints = checkpoint != null && run.method().isResumable();
    try (Progress progress = log.progress(run.title(), before, training.steps)) {
      append(run, history);
      trainer.train(
          stop,
          step -> {
            if (progress != null) {
              progress.step(step.loss(), step.stepMillis(), step.optimizerMillis());
            }
            append(run, history);
            if (checkpoints && history.steps().size() % options.checkpointEvery() == 0) {
              checkpoint.write(runs, trainer.state(), model.adam());
            }
          });
    }
    if (checkpoints
        && history.steps().size() > before
        && history.steps().size() % options.checkpointEvery() != 0) {
      checkpoint.write(runs, trainer.state(), model.adam()); // tests and Ctrl-C come next
    }
    return history;
  }

  private void append(RunSpec run, History history) {
    metrics.append(run.setup(), run.seed(), history);
  }
}
