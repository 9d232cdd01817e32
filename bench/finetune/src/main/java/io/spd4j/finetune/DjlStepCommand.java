package io.spd4j.finetune;

import ai.djl.ndarray.NDArray;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import io.spd4j.djl.SpdOptimizer;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.OnnxWeights;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.finetune.report.Json;
import io.spd4j.finetune.report.Statistics;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Times optimizers in DJL. */
@Command(
    name = "djl-step",
    description = {
      "Times the optimizer's part of a training step in DJL, on the weights of all-MiniLM-L6-v2 and"
          + " the gradients of a batch: DJL's AdamW and spd4j's AdamW and SPD, by Trainer.step and by"
          + " SpdOptimizer.stepClipped. They take turns. Prints a line of JSON for each.",
      "cpu_ms is the calling thread's time on a processor: with --threads 1, what other work on the"
          + " machine leaves unchanged.",
      "PyTorch must be on the class path: `make djl-step` fetches it."
    })
public final class DjlStepCommand implements Callable<Integer> {
  /** Number of untimed rounds, in which the JIT compiles and moments are allocated. */
  private static final int WARM_UP = 5;

  private static final float LR = 1e-6f;

  @Spec private CommandSpec spec;

  @Option(
      names = "--repeat",
      defaultValue = "20",
      converter = Count.class,
      description = "Number of timed steps of each; default: ${DEFAULT-VALUE}.")
  private int repeat;

  @Option(
      names = "--threads",
      converter = Count.class,
      description = "Threads of PyTorch and of spd4j; default: the number of processors.")
  private int threads = Runtime.getRuntime().availableProcessors();

  /** A trainer with its own copy of the model, and how it takes its step. */
  private record Contender(
      String name, DjlTraining training, List<MemorySegment> gradients, Runnable step) {}

  @Override
  public Integer call() throws Failure, IOException {
    System.setProperty("ai.djl.pytorch.num_threads", Integer.toString(threads));
    DjlTraining.checkEngine();
    List<Contender> contenders = new ArrayList<>();
    try (Arena arena = Arena.ofShared()) {
      Weights weights =
          OnnxWeights.minilm(arena)
              .with(
                  Classifier.head(arena, Config.MINILM_L6, Model.CLASSES, new SplittableRandom(1)));
      contenders.add(
          contender(
              "DJL's AdamW, Trainer.step",
              weights,
              block ->
                  Optimizer.adamW()
                      .optLearningRateTracker(Tracker.fixed(LR))
                      .optWeightDecays(0.01f)
                      .build(),
              false,
              arena));
      for (boolean clipped : new boolean[] {false, true}) {
        String how = clipped ? ", stepClipped" : ", Trainer.step";
        contenders.add(
            contender(
                "SpdOptimizer, AdamW" + how,
                weights,
                block -> builder(block).rule(new WeightDecay(0.01)).build(),
                clipped,
                arena));
        contenders.add(
            contender(
                "SpdOptimizer, SPD" + how,
                weights,
                block -> builder(block).rule(new SelectiveProjectionDecay(1)).build(),
                clipped,
                arena));
      }
      time(contenders);
    } finally {
      contenders.forEach(contender -> contender.training.close());
    }
    return ExitCode.OK;
  }

  private SpdOptimizer.Builder builder(Block block) {
    return SpdOptimizer.builder()
        .block(block)
        .threads(threads)
        .optLearningRateTracker(Tracker.fixed(LR));
  }

  private static Contender contender(
      String name,
      Weights weights,
      Function<Block, Optimizer> optimizer,
      boolean clipped,
      Arena arena) {
    List<Optimizer> made = new ArrayList<>();
    DjlTraining training =
        new DjlTraining(
            Config.MINILM_L6,
            weights,
            block -> {
              made.add(optimizer.apply(block));
              return made.getFirst();
            });
    SplittableRandom random = new SplittableRandom(2);
    training.backward(Stream.generate(() -> example(random)).limit(4).toList());
    List<MemorySegment> gradients = new ArrayList<>();
    for (Parameter parameter : training.block().getParameters().values()) {
      MemorySegment gradient = gradient(parameter);
      gradients.add(arena.allocate(gradient.byteSize(), 64).copyFrom(gradient));
    }
    Runnable step =
        clipped
            ? () -> ((SpdOptimizer) made.getFirst()).stepClipped(1)
            : () -> training.trainer().step();
    return new Contender(name, training, gradients, step);
  }

  private static Example example(SplittableRandom random) {
    return new Example(random.ints(64, 1000, 30_000).toArray(), random.nextInt(2));
  }

  private static MemorySegment gradient(Parameter parameter) {
    // The gradient's memory belongs to the parameter, not to this NDArray.
    try (NDArray gradient = parameter.getArray().getGradient()) {
      return MemorySegment.ofBuffer(gradient.toByteBuffer(true));
    }
  }

  private void time(List<Contender> contenders) throws IOException {
    double[][] millis = new double[contenders.size()][repeat];
    double[][] cpuMillis = new double[contenders.size()][repeat];
    ThreadMXBean thread = ManagementFactory.getThreadMXBean();
    for (int round = 0; round < WARM_UP + repeat; round++) {
      for (int i = 0; i < contenders.size(); i++) {
        Contender contender = contenders.get(i);
        List<Parameter> parameters = contender.training.block().getParameters().values();
        for (int p = 0; p < parameters.size(); p++) {
          gradient(parameters.get(p)).copyFrom(contender.gradients.get(p)); // a step sets it to 0
        }
        long cpu = thread.getCurrentThreadCpuTime();
        long start = System.nanoTime();
        contender.step.run();
        if (round >= WARM_UP) {
          millis[i][round - WARM_UP] = (System.nanoTime() - start) / 1e6;
          cpuMillis[i][round - WARM_UP] = (thread.getCurrentThreadCpuTime() - cpu) / 1e6;
        }
      }
    }
    for (int i = 0; i < contenders.size(); i++) {
      spec.commandLine()
          .getOut()
          .println(
              Json.line(
                  Json.object(
                      "optimizer",
                      contenders.get(i).name,
                      "threads",
                      threads,
                      "step_ms",
                      rounded(Statistics.median(millis[i])),
                      "cpu_ms",
                      rounded(Statistics.median(cpuMillis[i])))));
    }
  }

  private static double rounded(double value) {
    return Math.round(value * 10) / 10.0;
  }
}
