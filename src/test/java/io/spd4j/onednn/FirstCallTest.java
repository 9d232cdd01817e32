package io.spd4j.onednn;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.spd4j.onednn.Case.Argument;
import io.spd4j.onednn.Reduction.Kind;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Until the arguments of a call are right, oneDNN is asked for nothing and no memory is taken. */
class FirstCallTest {
  private static final int LARGE = 100_000_000;

  @AutoClose private final Arena arena = Arena.ofShared();
  private final Engine engine = new Engine(2, MathMode.FLOAT32);
  @AutoClose private final OneDnn oneDnn = new OneDnn(engine);

  @BeforeAll
  static void available() {
    Cases.assumeOneDnn();
  }

  private long scratch() {
    return engine.scratch().segment().byteSize();
  }

  @ParameterizedTest
  @MethodSource("io.spd4j.onednn.Cases#ofEveryMethod")
  void refusedCallsMakeNothing(Case test) {
    int made = engine.made();
    Case.Call call = test.of(oneDnn);
    for (int i = 0; i < test.arguments().size(); i++) {
      MemorySegment[] segments = new Buffers(arena, test, 0).segments();
      Argument argument = test.arguments().get(i);
      segments[i] = arena.allocate(argument.bytes() - argument.type().byteSize(), 4);
      assertThatIllegalArgumentException().isThrownBy(() -> call.run(segments));
      if (argument.written()) {
        segments[i] = segments[i == 0 ? 1 : 0];
        assertThatIllegalArgumentException().isThrownBy(() -> call.run(segments));
      }
      assertThat(engine.made()).isEqualTo(made);
      assertThat(scratch()).isZero();
    }
    call.run(new Buffers(arena, test, 0).segments());
    assertThat(engine.made()).isGreaterThan(made);
  }

  /** The weights of such a sum take 400 MB, and the compiled code for such rows almost as much. */
  @ParameterizedTest
  @EnumSource(Kind.class)
  @EnabledOnOs(OS.LINUX)
  void refusedCallsTakeNoMemory(Kind kind) throws Exception {
    int made = engine.made();
    long before = residentBytes();
    MemorySegment small = arena.allocate(64, 64);
    for (int axis = 0; axis < 2; axis++) {
      Reduction sum = oneDnn.reduction(kind, axis == 0 ? LARGE : 13, axis == 0 ? 13 : LARGE, axis);
      refused(() -> sum.forward(small, small));
      refused(() -> sum.backward(small, small));
    }
    LayerNorm norm = oneDnn.layerNorm(3, 10_000_000, 1);
    refused(() -> norm.forward(small, small, small, small, small, small));
    refused(() -> norm.backward(small, small, small, small, small, small, small, small));
    assertThat(engine.made()).isEqualTo(made);
    assertThat(residentBytes() - before).isLessThan(LARGE);
  }

  private static void refused(Runnable call) {
    assertThatIllegalArgumentException()
        .isThrownBy(call::run)
        .withMessageMatching(".* has 64 bytes, but needs \\d+");
  }

  private static long residentBytes() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmRSS"))
        .mapToLong(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
        .sum();
  }
}
