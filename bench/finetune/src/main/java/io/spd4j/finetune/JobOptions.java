package io.spd4j.finetune;

import io.spd4j.ElementType;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.report.ReportFiles;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import picocli.CommandLine.Option;

/** What a job compares, on which data, and how its results are named. */
final class JobOptions extends RunOptions {
  private static final int RESUMED_EVERY = 50;
  private static final double VALIDATION = 0.2;

  /** The α that the WiSE-FT paper recommends where none can be chosen. */
  private static final double ALPHA = 0.5;

  @Option(
      names = "--rules",
      split = ",",
      defaultValue = "adamw,l2sp,spd",
      description =
          "Rules and methods to run, of ${COMPLETION-CANDIDATES}; default: ${DEFAULT-VALUE}. lp_ft "
              + "trains the head alone, then everything with AdamW; ftp projects what Adam did.")
  List<Method> rules;

  @Option(
      names = "--lambda",
      paramLabel = "RULE=λ,λ…",
      converter = Lambdas.Converter.class,
      completionCandidates = Lambdas.Defaults.class,
      description =
          "A rule's strength (ftp: k), or several for a sweep; can be repeated; default: "
              + "${COMPLETION-CANDIDATES}.")
  List<Lambdas> lambdas = new ArrayList<>();

  @Option(
      names = "--wise",
      paramLabel = "α",
      split = ",",
      description =
          "lp_ft: WiSE-FT, which also tests the models (1-α)·θ0 + α·θ between the one with the "
              + "trained head (θ0) and the run's result (θ), for these α; default: "
              + ALPHA
              + ", with --lora none.")
  private List<Double> alphas = new ArrayList<>();

  @Option(
      names = "--data",
      paramLabel = "VARIATION",
      split = ",",
      defaultValue = "plain",
      converter = Variation.Converter.class,
      description =
          "The training data, or several to compare: " + Variation.HELP + "; default: plain.")
  List<Variation> variations;

  @Option(
      names = "--choose-seeds",
      paramLabel = "SEEDS",
      converter = Seeds.Converter.class,
      description =
          "Choose each rule's λ and learning rate of those given by --lambda and --lr: train all with "
              + "these seeds, and go on with those of the lowest mean loss on the validation set.")
  private Seeds chooseSeeds = new Seeds(List.of());

  @Option(
      names = "--validation",
      paramLabel = "SHARE",
      description =
          "Share of the training mails held back for validation. The test mails are then the same "
              + "for all seeds; default: 0, with --choose-seeds "
              + VALIDATION
              + ".")
  private Double validation;

  @Option(
      names = "--test-fraction",
      defaultValue = "0.2",
      description =
          "Share of the training collections held back for the test; default: ${DEFAULT-VALUE}.")
  double testFraction;

  @Option(
      names = "--test-limit",
      converter = Count.class,
      description = "Largest number of mails per test set; default: all.")
  Integer testLimit;

  @Option(
      names = "--name",
      defaultValue = "finetune",
      description = "Prefix of the file names; default: ${DEFAULT-VALUE}.")
  String name;

  @Option(
      names = "--export",
      paramLabel = "FILE",
      description =
          "Also write the fine-tuned encoder as this ONNX file, and tokenizer.json beside it, once "
              + "the run is complete. Needs options that make exactly one run; the command export "
              + "does the same later, for any run.")
  Path export;

  @Option(names = Export.WITH_HEAD, description = Export.WITH_HEAD_DESCRIPTION)
  boolean withHead;

  @Option(
      names = "--checkpoint-every",
      paramLabel = "STEPS",
      converter = Count.class,
      description =
          "Write a checkpoint at every so many steps of a run, at its end and on Ctrl-C, from which "
              + "--resume goes on after a kill: NAME-checkpoint.safetensors, three times the size of "
              + "the weights, and the one before; default: never, with --resume "
              + RESUMED_EVERY
              + ". A run of ftp begins anew.")
  private Integer checkpointEvery;

  @Option(
      names = "--resume",
      description =
          "Go on from the checkpoint of a job with the same options, to the same results, or begin "
              + "if there is none.")
  boolean resume;

  @Option(names = "--no-weights", description = "Do not write the fine-tuned weights, 90 MB a run.")
  boolean noWeights;

  @Option(names = "--quiet", description = "Print only results and problems.")
  boolean quiet;

  /** Checks what picocli cannot. */
  void check(TrainingOptions training) throws Failure {
    if (!(testFraction > 0 && testFraction < 1)) {
      throw Failure.ofInput("--test-fraction must be more than 0 and less than 1");
    }
    if (!(validation() >= 0 && validation() < 1)) {
      throw Failure.ofInput("--validation must be 0 or more and less than 1");
    }
    if (!chooseSeeds.values().isEmpty()) {
      checkChoice(training);
    }
    for (Lambdas given : lambdas) {
      if (!rules.contains(given.method())) {
        throw Failure.ofInput(
            "--lambda " + given.method() + " is for a rule that --rules does not name: " + rules);
      }
    }
    checkMethods(training);
    ReportFiles.checkName(name);
    if (export != null && noWeights) {
      throw Failure.ofInput("--export needs the weights: leave out --no-weights");
    }
    if (withHead && export == null) {
      throw Failure.ofInput(Export.WITH_HEAD + " needs --export");
    }
    if (export != null) {
      int runs = trials(training).size() + specs(training, seeds()).size();
      if (runs != 1) {
        throw Failure.ofInput(
            "--export needs exactly one run, but the rules, λ, learning rates, states, data and seeds make "
                + runs);
      }
    }
    super.check();
  }

  private void checkChoice(TrainingOptions training) throws Failure {
    if (states.size() > 1) {
      throw Failure.ofInput("--choose-seeds takes one --state, not " + states);
    }
    if (validation() == 0) {
      throw Failure.ofInput("--choose-seeds needs a --validation of more than 0");
    }
    for (long seed : chooseSeeds.values()) {
      if (seeds().contains(seed)) {
        throw Failure.ofInput(
            "--choose-seeds must differ from --seeds, which test what was chosen: " + seed);
      }
    }
    if (training.lrs.size() == 1 && rules.stream().allMatch(rule -> lambdas(rule).size() == 1)) {
      throw Failure.ofInput("--choose-seeds needs several --lambda or --lr to choose from");
    }
  }

  /**
   * Checks what several processes need.
   *
   * @throws Failure if a method cannot be run by them
   */
  void check(Processes processes) throws Failure {
    if (processes.size() > 1 && rules.contains(Method.FTP)) {
      throw Failure.ofInput("ftp reads whole gradients, of which each process has a part: use one");
    }
  }

  private void checkMethods(TrainingOptions training) throws Failure {
    if (!alphas.isEmpty() && (!rules.contains(Method.LP_FT) || training.lora != null)) {
      throw Failure.ofInput("--wise needs lp_ft among --rules, and no --lora");
    }
    for (double alpha : alphas) {
      if (!(alpha >= 0 && alpha < 1)) {
        throw Failure.ofInput(
            "--wise must be 0 or more and less than 1, which is the run itself, not " + alpha);
      }
    }
    if (rules.contains(Method.LP_FT)
        && (training.probing() == 0 || training.probing() == training.steps)) {
      throw Failure.ofInput(
          "lp_ft needs a step for the head and one for everything: --probe-share %s of --steps %d"
              .formatted(training.probeShare, training.steps));
    }
    if (rules.contains(Method.FTP)) {
      if (training.lora != null) {
        throw Failure.ofInput("ftp projects pre-trained weights, which --lora does not train");
      }
      for (State state : states) {
        if (state.parameter() != ElementType.FLOAT32) {
          throw Failure.ofInput("ftp needs float32 parameters, which --state " + state + " lacks");
        }
      }
    }
  }

  /** Returns the models to test between the beginning and the end of a method's run. */
  List<Double> alphas(Method method, TrainingOptions training) {
    if (method != Method.LP_FT || training.lora != null) {
      return List.of();
    }
    return alphas.isEmpty() ? List.of(ALPHA) : alphas.stream().distinct().sorted().toList();
  }

  /** Returns what to export; null if nothing. */
  Export export() {
    return export == null ? null : new Export(export, withHead);
  }

  /** Returns the number of steps between two checkpoints; null for no checkpoints. */
  Integer checkpointEvery() {
    return checkpointEvery == null && resume ? Integer.valueOf(RESUMED_EVERY) : checkpointEvery;
  }

  /** Returns the options that determine what the reports say, with their values. */
  Map<String, String> identity(TrainingOptions training) {
    Map<String, String> values = OptionValues.of(this, training);
    values
        .keySet()
        .removeAll(
            List.of(
                "--results",
                "--export",
                Export.WITH_HEAD,
                "--checkpoint-every",
                "--resume",
                "--quiet"));
    return values;
  }

  /** Returns the share of the training examples that is held back for validation. */
  double validation() {
    if (validation != null) {
      return validation;
    }
    return chooseSeeds.values().isEmpty() ? 0 : VALIDATION;
  }

  /** Returns the runs that choose the settings of the others; none if these are given. */
  List<RunSpec> trials(TrainingOptions training) {
    return specs(training, chooseSeeds.values());
  }

  /** Returns runs of all settings, seed by seed. */
  List<RunSpec> specs(TrainingOptions training, List<Long> withSeeds) {
    Set<RunSpec> specs = new LinkedHashSet<>(); // drops duplicates
    for (long seed : withSeeds) {
      for (Variation variation : variations) {
        for (Method method : rules) {
          for (double lambda : lambdas(method)) {
            for (double lr : training.lrs) {
              states.forEach(
                  state -> specs.add(new RunSpec(method, lambda, lr, state, variation, seed)));
            }
          }
        }
      }
    }
    return List.copyOf(specs);
  }

  private List<Double> lambdas(Method method) {
    List<Double> values =
        lambdas.stream()
            .filter(given -> given.method() == method)
            .flatMap(given -> given.values().stream())
            .toList();
    return values.isEmpty() ? List.of(method.lambda()) : values;
  }
}
