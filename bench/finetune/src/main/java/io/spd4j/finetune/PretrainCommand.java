package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.data.Mail;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.data.SpamAssassin;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.MaskedText;
import io.spd4j.finetune.report.Curve;
import io.spd4j.finetune.report.Machine;
import io.spd4j.finetune.report.PretrainReport;
import io.spd4j.finetune.report.Progress;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.function.BooleanSupplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Trains a small encoder from random weights with several states. */
@Command(
    name = "pretrain",
    description = {
      "Trains a small BERT from random weights with AdamW to predict hidden words of mail, once with "
          + "each state and seed, and compares the losses. This is harder on an optimizer's state "
          + "than fine-tuning."
    },
    footer = {
      "",
      "Example: java -jar spd4j-finetune.jar pretrain --state float32,split,bf16,8bit --seeds 1..3"
    })
public final class PretrainCommand implements Callable<Integer> {
  /** The share of the mails that the model is not trained on. */
  private static final double HELD_OUT = 0.1;

  /** The most batches of the held-out mails that the loss is computed on. */
  private static final int HELD_OUT_BATCHES = 100;

  @Spec private CommandSpec spec;

  @Option(
      names = "--cache",
      defaultValue = "bench/cache",
      description = "Folder for the mail corpus; default: ${DEFAULT-VALUE}.")
  private Path cache;

  @Mixin private RunOptions run;

  @Mixin private PretrainOptions options;

  @Override
  public Integer call() throws Failure, IOException, InterruptedException {
    options.check();
    run.check();
    PrintWriter out = spec.commandLine().getOut();
    try (Interruption interruption = new Interruption()) {
      train(SpamAssassin.load(cache), interruption::requested, out);
    }
    return ExitCode.OK;
  }

  private void train(List<Mail> mails, BooleanSupplier stop, PrintWriter out)
      throws Failure, IOException {
    List<int[]> texts = new ArrayList<>();
    try (MailTokenizer tokenizer = new MailTokenizer()) {
      for (Example mail : tokenizer.encode(mails, MailTokenizer.MAX_TOKENS)) {
        int[] tokens = mail.tokens();
        texts.add(Arrays.copyOfRange(tokens, 1, tokens.length - 1)); // without [CLS] and [SEP]
      }
    }
    // The same for every seed, so that the held-out losses can be compared.
    SplittableRandom fixed = new SplittableRandom(0);
    Collections.shuffle(texts, fixed);
    int held = (int) Math.ceil(HELD_OUT * texts.size());
    Config config = options.config();
    MaskedCorpus corpus =
        new MaskedCorpus(
            texts.subList(held, texts.size()), config.vocabulary(), config.positions());
    List<int[]> train = corpus.sequences(texts.subList(held, texts.size()));
    List<MaskedText> heldOut = new ArrayList<>();
    List<int[]> rest = corpus.sequences(texts.subList(0, held));
    for (int i = 0; i + options.batch <= rest.size() && heldOut.size() < HELD_OUT_BATCHES; ) {
      heldOut.add(corpus.hide(rest.subList(i, i += options.batch), fixed));
    }
    out.printf(
        "%d mails, %d sequences of %d tokens to train on, %d held out%n",
        mails.size(), train.size(), options.length, heldOut.size() * options.batch);
    if (train.isEmpty() || heldOut.isEmpty()) {
      throw Failure.ofInput("there is too little text for batches of this size");
    }

    List<Curve> curves = new ArrayList<>();
    for (long seed : run.seeds()) {
      for (State state : new LinkedHashSet<>(run.states)) {
        if (!stop.getAsBoolean()) {
          try (Pretraining training =
                  new Pretraining(options, config, corpus.hidden(), state, seed);
              Progress progress = Progress.start(state + ", seed " + seed, 0, options.steps, out)) {
            List<Curve.Step> steps =
                training.train(
                    corpus,
                    train,
                    stop,
                    s -> progress.step(s.loss(), s.stepMillis(), s.optimizerMillis()));
            if (steps.size() == options.steps) {
              curves.add(training.curve(steps, heldOut));
            }
          }
          report(curves).write(run.results); // in case the next run fails
        }
      }
    }
    out.println();
    out.println(report(curves).table());
    report(curves).write(run.results).lines().forEach(out::println);
    out.flush();
  }

  private PretrainReport report(List<Curve> curves) {
    return new PretrainReport(options.settings(), Machine.here(), Instant.now(), curves);
  }
}
