package io.spd4j.finetune;

import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
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

  @Option(
      names = "--rules",
      split = ",",
      defaultValue = "adamw,l2sp,spd",
      description = "Rules to run, of ${COMPLETION-CANDIDATES}; default: ${DEFAULT-VALUE}.")
  List<Rule> rules;

  @Option(
      names = "--lambda",
      paramLabel = "RULE=λ,λ…",
      converter = Lambdas.Converter.class,
      completionCandidates = Lambdas.Defaults.class,
      description =
          "A rule's strength, or several for a sweep; can be repeated; default: "
              + "${COMPLETION-CANDIDATES}.")
  List<Lambdas> lambdas = new ArrayList<>();

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
              + ".")
  private Integer checkpointEvery;

  @Option(
      names = "--resume",
      description =
          "Go on from the checkpoint of a job with the same options, to the same results, or begin "
              + "if there is none.")
  boolean resume;

  @Option(names = "--quiet", description = "Print only results and problems.")
  boolean quiet;

  @Override
  void check() throws Failure {
    if (!(testFraction > 0 && testFraction < 1)) {
      throw Failure.ofInput("--test-fraction must be more than 0 and less than 1");
    }
    for (Lambdas given : lambdas) {
      if (!rules.contains(given.rule())) {
        throw Failure.ofInput(
            "--lambda " + given.rule() + " is for a rule that --rules does not name: " + rules);
      }
    }
    if (Path.of(name).getNameCount() != 1 || name.isBlank() || Path.of(name).isAbsolute()) {
      throw Failure.ofInput("--name must be a prefix of a file name, not a path: " + name);
    }
    if (withHead && export == null) {
      throw Failure.ofInput(Export.WITH_HEAD + " needs --export");
    }
    if (export != null) {
      long runs = seeds.stream().distinct().mapToLong(seed -> specs(seed).size()).sum();
      if (runs != 1) {
        throw Failure.ofInput(
            "--export needs exactly one run, but the rules, λ, states and seeds make " + runs);
      }
    }
    super.check();
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

  /** Returns the runs with one seed. */
  List<RunSpec> specs(long seed) {
    Set<RunSpec> specs = new LinkedHashSet<>(); // drops duplicates
    for (Rule rule : rules) {
      List<Double> values =
          lambdas.stream().filter(l -> l.rule() == rule).flatMap(l -> l.values().stream()).toList();
      if (values.isEmpty()) {
        values = List.of(rule.lambda());
      }
      for (double lambda : values) {
        states.forEach(state -> specs.add(new RunSpec(rule, lambda, state, seed)));
      }
    }
    return List.copyOf(specs);
  }
}
