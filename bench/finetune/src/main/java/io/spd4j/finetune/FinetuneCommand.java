package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.Mail;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.data.SpamAssassin;
import io.spd4j.finetune.minilm.OnnxWeights;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Fine-tunes the model with several rules. */
@Command(
    name = "finetune",
    description = {
      "Fine-tunes all-MiniLM-L6-v2 as a spam classifier, once with each rule, and compares how well "
          + "each result classifies mail like the training mail and other mail."
    },
    footer = {
      "",
      "Example: java -jar spd4j-finetune.jar finetune --rules spd --lambda spd=0.5,1,2 --seeds 1,2,3"
    })
public final class FinetuneCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--cache",
      defaultValue = "bench/cache",
      description = "Folder for the mail corpus; default: ${DEFAULT-VALUE}.")
  private Path cache;

  @Mixin private JobOptions job;

  @Mixin private TrainingOptions training;

  @Override
  public Integer call() throws Failure, IOException, InterruptedException {
    training.check();
    job.check();
    if (job.export() != null) {
      job.export().check(training.length);
    }
    PrintWriter out = spec.commandLine().getOut();
    try (Interruption interruption = new Interruption();
        Arena arena = Arena.ofShared();
        MailTokenizer tokenizer = new MailTokenizer()) {
      List<Mail> mails = SpamAssassin.load(cache);
      out.println(mails.size() + " mails");
      new Job(job, training, OnnxWeights.minilm(arena), tokenizer, interruption::requested, out)
          .run(mails);
    }
    return ExitCode.OK;
  }
}
