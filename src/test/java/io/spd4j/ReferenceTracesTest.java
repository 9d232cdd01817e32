package io.spd4j;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import io.spd4j.safetensors.SafetensorsFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The recorded truth: PyTorch's optimizers and the SPD authors' code, in float64. */
class ReferenceTracesTest {
  private static final Path FOLDER = Path.of("src/test/resources/reference");

  /** A few float32 roundings a step, of the largest value that took part. */
  private static final double ROUNDING = 4 * Math.ulp(1f);

  static Stream<Arguments> tracesAndKernels() {
    return Stream.of(
            "adamw",
            "adamw_amsgrad_maximize",
            "l2sp",
            "l2sp_coupled",
            "spd",
            "spd_half_amsgrad",
            "spd_origin")
        .flatMap(trace -> AllKernels.list().stream().map(k -> Arguments.of(trace, k)));
  }

  @ParameterizedTest
  @MethodSource("tracesAndKernels")
  void replays(String trace, Kernels kernels) throws Exception {
    try (Arena arena = Arena.ofShared()) {
      SafetensorsFile file = SafetensorsFile.map(FOLDER.resolve(trace + ".safetensors"), arena);
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
      boolean spd = group.decay() instanceof SelectiveProjectionDecay;
      int selected = 0;
      int left = 0;
      try (Adam adam = Adam.builder().group(group).kernels(kernels).threads(2).build()) {
        for (int step = 1; step <= Integer.parseInt(meta.get("steps")); step++) {
          for (Parameter p : parameters) {
            p.gradient(file.tensor(p.name() + ".grad." + step).data());
          }
          adam.step();
          for (Parameter p : parameters) {
            close(file, p.name() + ".param." + step, p.data(), step);
            close(file, p.name() + ".exp_avg." + step, p.expAvg(), step);
            close(file, p.name() + ".exp_avg_sq." + step, p.expAvgSq(), step);
            if (spd && p.numel() > 0) {
              double condition =
                  file.tensor(p.name() + ".condition." + step).data().get(JAVA_DOUBLE, 0);
              SpdReport report = adam.spdReport(p).orElseThrow();
              assertThat(report.selected()).as("%s, step %d", p, step).isEqualTo(condition < 0);
              assertThat(report.condition())
                  .isCloseTo(condition, org.assertj.core.api.Assertions.withinPercentage(0.1));
              selected += report.selected() ? 1 : 0;
              left += report.selected() ? 0 : 1;
            }
          }
        }
      }
      if (spd) {
        assertThat(selected).isPositive();
        assertThat(left).isPositive();
      }
    }
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

  private static void close(SafetensorsFile file, String name, MemorySegment actual, int step) {
    MemorySegment expected = file.tensor(name).data();
    assertThat(actual.byteSize()).isEqualTo(expected.byteSize());
    double largest = 0;
    double error = 0;
    for (long i = 0; i < actual.byteSize() / 4; i++) {
      double want = expected.getAtIndex(JAVA_FLOAT, i);
      largest = Math.max(largest, Math.abs(want));
      error = Math.max(error, Math.abs(actual.getAtIndex(JAVA_FLOAT, i) - want));
    }
    assertThat(error).as("error of %s", name).isLessThanOrEqualTo(ROUNDING * step * largest);
  }
}
