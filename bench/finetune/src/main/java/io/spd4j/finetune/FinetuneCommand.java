package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.Mail;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.finetune.data.SpamAssassin;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.OnnxWeights;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
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
    exitCodeListHeading = "%nExit status:%n",
    exitCodeList = {
      "0:success: all runs are complete and their results are written",
      "1:an error in the program",
      "2:bad usage, an input that cannot be used, or --resume with other options",
      "3:the report, weights or metrics could not all be written",
      "4:a run diverged: no finite loss and gradients in its last "
          + Divergence.STEPS
          + " steps, which ends the run, or in all steps of a shorter one; the other runs are done",
      "5:the checkpoint cannot be used: it is damaged, as is the one before, or not a job's",
      "6:not enough memory",
      "130:interrupted by Ctrl-C (143: by SIGTERM); the report has what was done until then"
    },
    footer = {
      "",
      "Example: java -jar spd4j-finetune.jar finetune --rules spd --lambda spd=0.5,1,2 --seeds 1..10"
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
    job.check(training);
    if (job.export() != null) {
      job.export().check(training.length);
    }
    CommandLine line = spec.commandLine();
    try (Interruption interruption = new Interruption(); // until the processes have left each other
        Processes processes = Processes.open();
        Arena arena = Arena.ofShared();
        MailTokenizer tokenizer = new MailTokenizer()) {
      Log log = processes.log(line.getOut(), line.getErr(), job.quiet);
      List<Mail> mails = processes.firstAlone(() -> SpamAssassin.load(cache));
      log.detail(mails.size() + " mails");
      return new Job(
              job,
              training,
              Config.MINILM_L6,
              OnnxWeights.minilm(arena),
              MailCorpus.of(mails, job, training, tokenizer),
              processes,
              interruption::requested,
              log)
          .run();
    }
  }
}
