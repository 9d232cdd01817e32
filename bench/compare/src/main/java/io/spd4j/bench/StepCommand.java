package io.spd4j.bench;

import io.spd4j.Adam;
import io.spd4j.Backend;
import io.spd4j.Parameter;
import io.spd4j.SpdReport;
import io.spd4j.bench.contest.Spd4jContestant;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.cuda.CudaException;
import io.spd4j.cuda.CudaGraph;
import io.spd4j.cuda.CudaStream;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.report.Json;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** Times whole steps. */
@Command(
    name = "step",
    description = {
      "Times whole optimizer steps over random arrays and prints one line of JSON.",
      "bytes_per_param is counted from the arrays' types: what a step reads and writes, with the "
          + "scales of 8-bit moments, and what the projection of the tensors that the last step "
          + "projected reads and writes. For float32 it is 28 without an anchor, 32 with one, and 8 "
          + "or 12 more for each projected parameter. copy_gb_per_s is the bandwidth of a copy "
          + "within the same amount of memory by the same number of threads, counting the bytes "
          + "read and written.",
      "With --backend cuda the arrays lie in the first device's memory, and median_ms and min_ms "
          + "are device times of steps enqueued without a pause. host_us is the host time of a "
          + "call while the device is idle: if it is longer than a step, the device waits for the "
          + "host."
    },
    footer = {"", "Example: java -jar spd4j-bench.jar step --shape vit-b16 --rule spd --threads 2"})
final class StepCommand implements Callable<Integer> {
  /** cudaErrorMemoryAllocation. */
  private static final int CUDA_OUT_OF_MEMORY = 2;

  @Spec private CommandSpec spec;

  @Option(
      names = "--shape",
      required = true,
      converter = Shape.Converter.class,
      description = "vit-b16, minilm, lora (no anchor), one:N or many:COUNTxN, N as 4096 or 100M.")
  private Shape shape;

  @Option(
      names = "--rule",
      required = true,
      description = "One of ${COMPLETION-CANDIDATES}; lambda is finetune's default for the rule.")
  private Rule rule;

  @Option(
      names = "--backend",
      description =
          "cuda, native, vector or scalar; default: the first of the last three that is available.")
  private Backend backend;

  @Option(
      names = "--threads",
      converter = Count.class,
      description = "Default: the number of processors; cuda uses one.")
  private int threads = Runtime.getRuntime().availableProcessors();

  @Option(
      names = "--select",
      defaultValue = "natural",
      description =
          "Tensors for spd to select: ${COMPLETION-CANDIDATES}; default: ${DEFAULT-VALUE}.")
  private Select select;

  @Option(
      names = "--state",
      defaultValue = "float32",
      converter = State.Converter.class,
      description = "How the arrays are stored: " + State.HELP + "; default: ${DEFAULT-VALUE}.")
  private State state;

  @Option(
      names = "--repeat",
      defaultValue = "30",
      converter = Count.class,
      description = "Number of timed steps; default: ${DEFAULT-VALUE}.")
  private int repeat;

  @Option(
      names = "--graph",
      description = "Also time the step as a captured CUDA graph that is launched repeatedly.")
  private boolean graph;

  @Override
  public Integer call() throws Failure, IOException {
    if (graph && backend != Backend.CUDA) {
      throw Failure.ofInput("--graph needs --backend cuda");
    }
    try {
      StepCase step = new StepCase(shape, rule, select, threads, state);
      Map<String, Object> json = measure(step);
      double copy =
          json.containsKey("device")
              ? CopyBandwidth.onDevice(step.footprint(), repeat)
              : CopyBandwidth.onHost(step.footprint(), threads, repeat);
      json.put("copy_gb_per_s", digits(copy));
      spec.commandLine().getOut().println(Json.line(json));
      return ExitCode.OK;
    } catch (OutOfMemoryError e) {
      throw Failure.ofInput("there is not enough memory for " + shape.name());
    } catch (CudaException e) {
      if (e.code() == CUDA_OUT_OF_MEMORY) {
        throw Failure.ofInput(shape.name() + ": " + e.getMessage());
      }
      throw e;
    }
  }

  private Map<String, Object> measure(StepCase step) throws Failure {
    try (Spd4jContestant contestant = Spd4jContestant.of(backend, step)) {
      Adam adam = contestant.adam();
      CudaStream stream = contestant.stream();
      DeviceTiming device = stream == null ? null : DeviceTiming.of(stream, repeat, adam::step);
      Timing timing = device == null ? Timing.of(repeat, adam::step) : device.device();
      DeviceTiming replayed = graph ? graph(stream, adam) : null;
      Optional<String> fault = contestant.fault();
      if (fault.isPresent()) {
        throw Failure.ofCheck(fault.get());
      }
      long traffic = step.bytes(projected(adam));
      Map<String, Object> json =
          Json.object(
              "shape", shape,
              "rule", rule,
              "backend", adam.backend(),
              "threads", device == null ? threads : 1,
              "select", select,
              "state", state,
              "numel", shape.numel(),
              "tensors", shape.tensors().size(),
              "selected", adam.spdReports().stream().filter(SpdReport::selected).count(),
              "median_ms", digits(timing.medianNanos() / 1e6),
              "min_ms", digits(timing.minNanos() / 1e6),
              "bytes_per_param", digits((double) traffic / shape.numel()),
              "gb_per_s", digits(traffic / timing.medianNanos()));
      if (device != null) {
        json.put("device", stream.device().name());
        json.put("host_us", digits(device.host().medianNanos() / 1e3));
      }
      if (replayed != null) {
        json.put("graph_median_ms", digits(replayed.device().medianNanos() / 1e6));
        json.put("graph_min_ms", digits(replayed.device().minNanos() / 1e6));
        json.put("graph_host_us", digits(replayed.host().medianNanos() / 1e3));
      }
      return json;
    }
  }

  /** Returns the number of elements in the tensors that the last step projected. */
  private static long projected(Adam adam) {
    return adam.parameters().stream()
        .filter(p -> adam.spdReport(p).filter(r -> r.selected() && r.ratio() > 0).isPresent())
        .mapToLong(Parameter::numel)
        .sum();
  }

  private DeviceTiming graph(CudaStream stream, Adam adam) {
    try (CudaGraph step = stream.capture(adam::step)) {
      return DeviceTiming.of(stream, repeat, () -> stream.launch(step));
    }
  }

  /** Rounds to five digits. */
  private static BigDecimal digits(double value) {
    return new BigDecimal(value, new MathContext(5)).stripTrailingZeros();
  }
}
