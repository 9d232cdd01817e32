package io.spd4j.finetune;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.minilm.Weights;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/** A job on a tiny model. Its main method runs it in a process, which can be killed. */
record TinyJob(int status, String out, String err) {
  /** What {@link #main} prints when the job has read its checkpoint, if there is one. */
  static final String READY = "ready";

  /** What it prints after its first step, or its first batch of a test. */
  static final String WARM = "warm";

  /** Texts, split anew with each seed. */
  record Texts(int count) implements Corpus {
    @Override
    public List<String> testSets() {
      return List.of("near", "far");
    }

    @Override
    public Data data(long seed, double validation, Variation variation) {
      List<Example> all = new ArrayList<>(Fixtures.examples(count, 1));
      Collections.shuffle(all, new SplittableRandom(seed));
      int held = 60 + (int) (validation * (count - 60));
      Data data = new Data(all.subList(held, count), all.subList(60, held), new LinkedHashMap<>());
      data.tests().put("near", all.subList(0, 60));
      data.tests().put("far", Fixtures.examples(40, 2));
      return data;
    }

    @Override
    public String fingerprint() {
      return count + " texts";
    }
  }

  /**
   * Runs a job.
   *
   * @param arguments of the job and of the training
   */
  static TinyJob run(Path results, BooleanSupplier stop, String... arguments)
      throws Failure, IOException, InterruptedException {
    return run(results, new Texts(300), stop, arguments);
  }

  static TinyJob run(Path results, Corpus corpus, BooleanSupplier stop, String... arguments)
      throws Failure, IOException, InterruptedException {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    PrintWriter toOut = new PrintWriter(out);
    PrintWriter toErr = new PrintWriter(err);
    int status = run(results, corpus, Processes.ONE, stop, toOut, toErr, arguments);
    return new TinyJob(status, out.toString(), err.toString());
  }

  private static int run(
      Path results,
      Corpus corpus,
      Processes processes,
      BooleanSupplier stop,
      PrintWriter out,
      PrintWriter err,
      String... arguments)
      throws Failure, IOException, InterruptedException {
    List<String> ofJob = new ArrayList<>(List.of("--name", "tiny", "--results", "" + results));
    List<String> ofTraining = new ArrayList<>();
    List<String> own =
        List.of(
            "--rules",
            "--seeds",
            "--state",
            "--lambda",
            "--wise",
            "--checkpoint-every",
            "--resume",
            "--quiet",
            "--choose-seeds",
            "--validation",
            "--data",
            "--no-weights");
    List<String> taker = ofTraining;
    for (String argument : arguments) {
      if (argument.startsWith("--")) {
        taker = own.contains(argument) ? ofJob : ofTraining;
      }
      taker.add(argument);
    }
    JobOptions job = Fixtures.job(ofJob.toArray(String[]::new));
    TrainingOptions training = Fixtures.tiny(ofTraining.toArray(String[]::new));
    try (Arena arena = Arena.ofShared()) {
      Weights pretrained = Tiny.encoder(arena, Tiny.CONFIG, 8);
      Log log = processes.log(out, err, job.quiet);
      return new Job(job, training, Tiny.CONFIG, pretrained, corpus, processes, stop, log).run();
    }
  }

  /** Starts this program. */
  static Process start(Path results, String... arguments) throws IOException {
    return new ProcessBuilder(command(results, arguments)).start();
  }

  /** Returns the command that starts this program. */
  static List<String> command(Path results, String... arguments) {
    List<String> command =
        new ArrayList<>(
            List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-XX:TieredStopAtLevel=1"));
    command.addAll(List.of("-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path")));
    command.addAll(List.of(TinyJob.class.getName(), results.toString()));
    command.addAll(List.of(arguments));
    return command;
  }

  /** Takes the folder for the results and the arguments of the job and of the training. */
  public static void main(String[] args) throws Failure, IOException, InterruptedException {
    int status;
    AtomicInteger asked = new AtomicInteger();
    try (Interruption interruption = new Interruption();
        Processes processes = Processes.open()) {
      status =
          run(
              Path.of(args[0]),
              new Texts(300),
              processes,
              () -> {
                switch (asked.incrementAndGet()) { // before the data, the run and each step
                  case 1 -> System.out.println(READY);
                  case 4 -> System.out.println(WARM);
                  default -> pause();
                }
                return interruption.requested();
              },
              new PrintWriter(System.out),
              new PrintWriter(System.err),
              Stream.of(args).skip(1).toArray(String[]::new));
    }
    System.exit(status);
  }

  /** Makes every step take a while, so that there is time to kill it. */
  private static void pause() {
    try {
      Thread.sleep(1);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
