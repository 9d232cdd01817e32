package io.spd4j.finetune;

import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.minilm.Weights;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import picocli.CommandLine;

/** Options parsed from a command line, and a task that a tiny model can learn. */
final class Fixtures {
  /** The word that makes a text spam. */
  private static final int SPAM = 7;

  private Fixtures() {}

  static TrainingOptions training(String... arguments) {
    return parsed(new TrainingOptions(), arguments);
  }

  static JobOptions job(String... arguments) {
    return parsed(new JobOptions(), arguments);
  }

  private static <T> T parsed(T options, String... arguments) {
    new CommandLine(options).setCaseInsensitiveEnumValuesAllowed(true).parseArgs(arguments);
    return options;
  }

  /** Returns options with large steps for a tiny model; the arguments override them. */
  static TrainingOptions tiny(String... arguments) {
    String defaults = "--length 16 --batch 8 --threads 1 --lr 3e-3 --head-lr 1e-2 --steps 6";
    String[] all =
        Stream.concat(Stream.of(defaults.split(" ")), Stream.of(arguments)).toArray(String[]::new);
    TrainingOptions options = new TrainingOptions();
    new CommandLine(options).setOverwrittenOptionsAllowed(true).parseArgs(all);
    return options;
  }

  static Model model(
      TrainingOptions options, Weights pretrained, Rule rule, double lambda, long seed) {
    return model(options, pretrained, new RunSpec(rule, lambda, State.FLOAT32, seed));
  }

  static Model model(TrainingOptions options, Weights pretrained, RunSpec spec) {
    return new Model(options, Tiny.CONFIG, pretrained, spec, new SplittableRandom(spec.seed()));
  }

  static Trainer trainer(TrainingOptions options, Model model) {
    return new Trainer(options, model, examples(512, 1), new SplittableRandom(2));
  }

  /** Returns texts of 2 to 16 words, half of them with the word that makes a text spam. */
  static List<Example> examples(int count, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    return Stream.generate(() -> example(random)).limit(count).toList();
  }

  private static Example example(SplittableRandom random) {
    int label = random.nextInt(2);
    int[] words = random.ints(random.nextInt(2, 17), 0, SPAM).toArray();
    if (label == 1) {
      words[random.nextInt(words.length)] = SPAM;
    }
    return new Example(words, label);
  }
}
