package io.spd4j.finetune;

import io.spd4j.finetune.Processes.Communication;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.OnnxWeights;
import io.spd4j.finetune.report.History;
import io.spd4j.finetune.report.Json;
import io.spd4j.finetune.report.Statistics;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import jdk.jfr.Recording;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Times the job's training step on random tokens. */
@Command(
    name = "train-step",
    description = {
      "Times a training step of all-MiniLM-L6-v2 (forward, backward, clipping, optimizer) on random "
          + "tokens and prints one line of JSON.",
      "gflops counts the multiplications and additions of the matrix products; sgemm_gflops is what "
          + "oneDNN reaches on a product of 2048x2048 matrices in the same run. "
          + "bench/peers/minilm_step.py times the same step in PyTorch.",
      "With --profile, a table of where the time went follows.",
      "Under mpirun, the processes divide the batch. sent_mb is what each one sends in a step; "
          + "least_mb is what any sharded step must send, the bytes of the gradients and of the "
          + "parameters, but for a process's own share, without low halves. moments_mb is what its moments take, "
          + "and communication_ms the time in which transfers were started and waited for. "
          + "backward_communication_ms is the part of it that falls into the backward passes."
    })
public final class TrainStepCommand implements Callable<Integer> {
  /** Number of untimed steps, in which oneDNN and the JIT compile. */
  private static final int WARM_UP = 10;

  @Spec private CommandSpec spec;

  @Option(
      names = "--rule",
      defaultValue = "adamw",
      description = "One of ${COMPLETION-CANDIDATES}; default: ${DEFAULT-VALUE}.")
  private Method rule;

  @Mixin private NetworkOptions network;

  @Option(
      names = "--state",
      defaultValue = "float32",
      converter = State.Converter.class,
      description =
          "How the optimizer's arrays are stored: " + State.HELP + "; default: ${DEFAULT-VALUE}.")
  private State state;

  @Option(
      names = "--repeat",
      defaultValue = "30",
      converter = Count.class,
      description = "Number of timed steps; default: ${DEFAULT-VALUE}.")
  private int repeat;

  @Option(
      names = "--profile",
      description = {
        "Record the steps with JDK Flight Recorder and print a table by operation: calls and "
            + "milliseconds per step (means over the middle half of the timed steps), their share, "
            + "and the speed of matrix products. The line '"
            + StepProfile.REST
            + "' is the remainder of the step."
      })
  private boolean profile;

  @Option(
      names = "--no-overlap",
      description = "Send gradients in the optimizer's step, not during the backward pass.")
  private boolean noOverlap;

  @Override
  public Integer call() throws Failure, IOException {
    TrainingOptions options = TrainingOptions.defaults();
    options.steps = WARM_UP + repeat;
    options.batch = network.batch;
    options.length = network.length;
    options.threads = network.threads;
    options.backend = network.backend;
    options.math = network.math;
    options.record = options.steps;
    options.check();
    options.overlap = !noOverlap;
    options.probeShare = 0; // lp_ft: a step that trains everything
    try (Processes processes = Processes.open()) {
      options.check(processes);
      time(options, processes);
    }
    return ExitCode.OK;
  }

  private void time(TrainingOptions options, Processes processes) throws Failure, IOException {
    double sgemm = Sgemm.flops(network.threads);
    SplittableRandom random = new SplittableRandom(1);
    List<Example> examples =
        Stream.generate(() -> example(random)).limit(10L * network.batch).toList();
    try (Arena arena = Arena.ofShared();
        Recording recording = StepProfile.recording();
        Model model =
            new Model(
                options,
                Config.MINILM_L6,
                OnnxWeights.minilm(arena),
                new RunSpec(rule, rule.lambda(), options.lrs.getFirst(), state, Variation.PLAIN, 1),
                random.split(),
                null,
                processes)) {
      if (profile) {
        recording.start();
      }
      List<Communication> after = new ArrayList<>();
      List<Long> backward = new ArrayList<>();
      History history =
          new Trainer(options, model, examples, random.split())
              .train(
                  () -> false,
                  s -> {
                    after.add(processes.communication());
                    backward.add(model.subBatches().communicationNanos());
                  });
      if (!processes.isFirst()) {
        return;
      }
      List<History.Step> timed = history.steps().subList(WARM_UP, options.steps);
      double step = median(timed, History.Step::stepMillis);
      double flops =
          3 * Config.MINILM_L6.forwardFlops(network.batch, Tokens.padded(network.length));
      Map<String, Object> line =
          numbers(
              model,
              step,
              median(timed, History.Step::optimizerMillis),
              flops / processes.size(),
              sgemm);
      if (processes.size() > 1) {
        line.put("processes", processes.size());
        Communication first = after.get(WARM_UP - 1);
        Communication last = after.getLast();
        line.put("sent_mb", rounded((last.bytes() - first.bytes()) / 1e6 / repeat));
        line.put("least_mb", rounded(least(model, processes.size()) / 1e6));
        line.put("moments_mb", rounded(moments(model) / 1e6));
        line.put("communication_ms", rounded((last.nanos() - first.nanos()) / 1e6 / repeat));
        line.put(
            "backward_communication_ms",
            rounded((backward.getLast() - backward.get(WARM_UP - 1)) / 1e6 / repeat));
      }
      spec.commandLine().getOut().println(Json.line(line));
      if (profile) {
        recording.stop();
        String table = StepProfile.of(recording, WARM_UP).table(sgemm);
        spec.commandLine().getOut().print(table);
        spec.commandLine().getOut().flush();
      }
    }
  }

  private Example example(SplittableRandom random) {
    int[] tokens = random.ints(network.length, 1000, 30_000).toArray();
    return new Example(tokens, random.nextInt(2));
  }

  private static double median(List<History.Step> steps, ToDoubleFunction<History.Step> value) {
    return Statistics.median(steps.stream().mapToDouble(value).toArray());
  }

  /** Returns the bytes that each process must send: its part of gradients and parameters. */
  private static double least(Model model, int processes) {
    long bytes =
        model.adam().parameters().stream()
            .mapToLong(p -> p.numel() * (p.gradientType().byteSize() + p.type().byteSize()))
            .sum();
    return (double) bytes * (processes - 1) / processes;
  }

  /** Returns the bytes of this process's moments. */
  private static long moments(Model model) {
    return model.adam().parameters().stream()
        .mapToLong(p -> p.expAvg().byteSize() + p.expAvgSq().byteSize())
        .sum();
  }

  private Map<String, Object> numbers(
      Model model, double step, double optimizer, double flops, double sgemm) {
    double gflops = flops / (step - optimizer) / 1e6;
    return Json.object(
        "rule",
        rule,
        "state",
        state.toString(),
        "backend",
        model.adam().backend(),
        "batch",
        network.batch,
        "length",
        network.length,
        "threads",
        network.threads,
        "math",
        network.mathName(),
        "step_ms",
        rounded(step),
        "optimizer_ms",
        rounded(optimizer),
        "gflops",
        rounded(gflops),
        "sgemm_gflops",
        rounded(sgemm / 1e9),
        "of_sgemm",
        Math.round(gflops / (sgemm / 1e9) * 100) / 100.0);
  }

  private static double rounded(double value) {
    return Math.round(value * 10) / 10.0;
  }
}
