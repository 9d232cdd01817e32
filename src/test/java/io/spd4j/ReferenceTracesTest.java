package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import io.spd4j.oracle.Computation;
import io.spd4j.oracle.Float64Run;
import io.spd4j.safetensors.SafetensorsFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Steps recorded from PyTorch's optimizers and the SPD authors' code, in float64 and in float32.
 * Both our steps and the recorded ones lie within the bounds around our float64 computation, so all
 * compute the same.
 */
class ReferenceTracesTest {
  private static final Path FOLDER = Path.of("src/test/resources/reference");

  /** A trace's initial parameters and its settings. */
  private record Trace(SafetensorsFile file, ParameterGroup group, int steps) {
    static Trace map(Path path, Arena arena) throws IOException {
      SafetensorsFile file = SafetensorsFile.map(path, arena);
      Map<String, String> meta = file.metadata();
      List<Parameter> parameters = new ArrayList<>();
      for (int i = 0; i < Integer.parseInt(meta.get("tensors")); i++) {
        MemorySegment init = file.tensor("p" + i + ".init").data();
        MemorySegment data = arena.allocate(init.byteSize(), 4).copyFrom(init);
        Parameter.Builder builder = Parameter.builder("p" + i, data);
        if (file.tensors().containsKey("p" + i + ".anchor")) {
          builder.anchor(file.tensor("p" + i + ".anchor").data());
        }
        parameters.add(builder.build());
      }
      ParameterGroup group =
          ParameterGroup.builder()
              .lr(Double.parseDouble(meta.get("lr")))
              .betas(Double.parseDouble(meta.get("beta1")), Double.parseDouble(meta.get("beta2")))
              .eps(Double.parseDouble(meta.get("eps")))
              .amsgrad(flag(meta.get("amsgrad")))
              .maximize(flag(meta.get("maximize")))
              .decay(rule(meta.get("rule"), Double.parseDouble(meta.get("weight_decay"))))
              .parameters(parameters)
              .build();
      return new Trace(file, group, Integer.parseInt(meta.get("steps")));
    }

    boolean isSpd() {
      return group.decay() instanceof SelectiveProjectionDecay;
    }

    MemorySegment recorded(Parameter p, String array, int step) {
      return file.tensor(p.name() + "." + array + "." + step).data();
    }

    double condition(Parameter p, int step) {
      return isSpd() ? recorded(p, "condition", step).get(JAVA_DOUBLE, 0) : 0;
    }

    List<Float64Run> oracles(Computation computation) {
      return group.parameters().stream()
          .map(p -> new Float64Run(group, computation, p.data(), p.anchor()))
          .toList();
    }
  }

  static List<Path> traces() throws IOException {
    try (Stream<Path> files = Files.list(FOLDER)) {
      return files.filter(f -> !f.endsWith("minilm_batch.safetensors")).sorted().toList();
    }
  }

  static Stream<Arguments> tracesAndKernels() throws IOException {
    return traces().stream()
        .flatMap(trace -> AllKernels.list().stream().map(k -> Arguments.of(trace, k)));
  }

  @ParameterizedTest
  @MethodSource("tracesAndKernels")
  void everyStepIsWithinItsBound(Path path, Kernels kernels) throws IOException {
    try (Arena arena = Arena.ofShared()) {
      Trace trace = Trace.map(path, arena);
      List<Parameter> parameters = trace.group().parameters();
      List<Float64Run> oracles = trace.oracles(Computation.CONTRACT);
      int selected = 0;
      try (Adam adam = Adam.builder().group(trace.group()).kernels(kernels).threads(2).build()) {
        for (int step = 1; step <= trace.steps(); step++) {
          for (Parameter p : parameters) {
            p.gradient(trace.recorded(p, "grad", step));
          }
          adam.step();
          for (int i = 0; i < parameters.size(); i++) {
            Parameter p = parameters.get(i);
            StepWithin.check(oracles.get(i), adam, p, 1, "step " + step);
            if (trace.isSpd()) {
              double condition = trace.condition(p, step);
              SpdReport report = adam.spdReport(p).orElseThrow();
              assertThat(report.selected()).as("%s, step %d", p, step).isEqualTo(condition < 0);
              assertThat(report.condition())
                  .isCloseTo(condition, within(1e-3 * Math.abs(condition)));
              selected += report.selected() ? 1 : 0;
            }
          }
        }
      }
      if (trace.isSpd()) {
        assertThat(selected).isBetween(1, parameters.size() * trace.steps() - 1);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("traces")
  void everyRecordedStepIsWithinItsBound(Path path) throws IOException {
    try (Arena arena = Arena.ofShared()) {
      Trace trace = Trace.map(path, arena);
      List<Parameter> parameters = trace.group().parameters();
      List<Float64Run> oracles = trace.oracles(Computation.RECORDED);
      for (int step = 1; step <= trace.steps(); step++) {
        for (int i = 0; i < parameters.size(); i++) {
          Parameter p = parameters.get(i);
          Float64Run oracle = oracles.get(i);
          MemorySegment param = trace.recorded(p, "param", step);
          MemorySegment expAvg = trace.recorded(p, "exp_avg", step);
          MemorySegment expAvgSq = trace.recorded(p, "exp_avg_sq", step);
          double condition = trace.condition(p, step);
          oracle.step(trace.recorded(p, "grad", step), 1, condition < 0);
          String what = p + ", step " + step;
          assertThat(oracle.selected()).as(what).isEqualTo(condition < 0);
          assertThat(oracle.condition().part(condition)).as(what).isLessThanOrEqualTo(1);
          assertThat(oracle.expAvg().part(expAvg)).as(what).isLessThanOrEqualTo(1);
          assertThat(oracle.expAvgSq().part(expAvgSq)).as(what).isLessThanOrEqualTo(1);
          assertThat(oracle.param().part(param)).as(what).isLessThanOrEqualTo(1);
          oracle.goOnFrom(param, expAvg, expAvgSq, null);
        }
      }
    }
  }

  /** Some projections end almost on the anchor, some go beyond it, and some change nothing. */
  @Test
  void theStrongTracesCoverStrongProjections() throws IOException {
    int near = 0;
    int beyond = 0;
    int none = 0;
    for (Path path : traces()) {
      if (path.getFileName().toString().startsWith("spd_strong")) {
        try (Arena arena = Arena.ofShared()) {
          Trace trace = Trace.map(path, arena);
          List<Parameter> parameters = trace.group().parameters();
          try (Adam adam = Adam.builder().group(trace.group()).build()) {
            for (int step = 1; step <= trace.steps(); step++) {
              for (Parameter p : parameters) {
                p.gradient(trace.recorded(p, "grad", step));
              }
              adam.step();
              for (SpdReport report : adam.spdReports()) {
                double kept = 1 - trace.group().decay().lambda() * report.ratio();
                near += report.selected() && Math.abs(kept) < 0.05 ? 1 : 0;
                beyond += report.selected() && kept < -0.4 ? 1 : 0;
                none += report.selected() && kept == 1 ? 1 : 0;
              }
            }
          }
        }
      }
    }
    assertThat(near).isPositive();
    assertThat(beyond).isPositive();
    assertThat(none).isPositive();
  }

  private static boolean flag(String value) {
    return switch (value) {
      case "true", "True", "1" -> true;
      case "false", "False", "0" -> false;
      default -> throw new AssertionError(value);
    };
  }

  private static DecayRule rule(String rule, double lambda) {
    return switch (rule) {
      case "adamw" -> new WeightDecay(lambda);
      case "l2sp" -> new L2SP(lambda);
      case "l2sp_coupled" -> new L2SP(lambda, true);
      case "spd" -> new SelectiveProjectionDecay(lambda);
      default -> throw new AssertionError(rule);
    };
  }
}
