package io.spd4j.finetune;

import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.minilm.Weights;
import java.util.ArrayList;
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
    List<String> all = new ArrayList<>(List.of(arguments));
    String[] defaults =
        "--length 16 --batch 8 --threads 1 --lr 3e-3 --head-lr 1e-2 --steps 6".split(" ");
    for (int i = 0; i < defaults.length; i += 2) {
      if (!all.contains(defaults[i])) {
        all.addAll(List.of(defaults[i], defaults[i + 1]));
      }
    }
    return training(all.toArray(String[]::new));
  }

  static Model model(
      TrainingOptions options, Weights pretrained, Rule rule, double lambda, long seed) {
    return model(options, pretrained, spec(options, rule, lambda, State.FLOAT32, seed));
  }

  static RunSpec spec(TrainingOptions options, Rule rule, double lambda, State state, long seed) {
    Method method = Method.of(rule.toString());
    return new RunSpec(method, lambda, options.lrs.getFirst(), state, Variation.PLAIN, seed);
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
