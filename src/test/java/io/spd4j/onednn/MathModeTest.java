package io.spd4j.onednn;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.Diagnostics;
import io.spd4j.ElementType;
import io.spd4j.onednn.Case.Argument;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import jdk.jfr.Recording;
import jdk.jfr.consumer.RecordedEvent;
import jdk.jfr.consumer.RecordingFile;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.FieldSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Matrix products in bfloat16, also on processors that have no instructions for them. */
class MathModeTest {
  private static final String EVENT = "io.spd4j.onednn.Operation";

  /** A product that is worth the instructions. */
  private static final String LARGE = "128x384 to 128x1536";

  private static final List<Case> ROUNDED = Cases.productsOfRoundedMatrices();

  @BeforeAll
  static void available() {
    Cases.assumeOneDnn();
  }

  private static OneDnn open(MathMode math) {
    return OneDnn.builder().threads(2).math(math).open();
  }

  private static List<ByteBuffer> check(OneDnn oneDnn, Case test) {
    try (Arena arena = Arena.ofConfined()) {
      Buffers buffers = new Buffers(arena, test, 1);
      test.of(oneDnn).run(buffers.segments());
      buffers.assertResult();
      return buffers.results();
    }
  }

  @ParameterizedTest
  @FieldSource("ROUNDED")
  void roundsEachElementOnce(Case test) {
    List<ByteBuffer> first;
    try (OneDnn oneDnn = open(MathMode.BF16)) {
      first = check(oneDnn, test);
      assertThat(check(oneDnn, test)).isEqualTo(first);
    }
    try (OneDnn another = open(MathMode.BF16)) {
      assertThat(check(another, test)).as("opened again").isEqualTo(first);
    }
  }

  /** With the tolerance of float32. */
  @ParameterizedTest
  @MethodSource("io.spd4j.onednn.Cases#productsOfBfloat16")
  void accumulatesInFloat32(Case test) {
    try (OneDnn oneDnn = open(MathMode.BF16)) {
      check(oneDnn, test);
    }
  }

  @Test
  void readsBfloat16ArraysInEveryMode() {
    List<Case> cases = Cases.productsOfBfloat16Arrays();
    assumeTrue(!cases.isEmpty(), OneDnn.autoMath().reason());
    for (MathMode math : List.of(MathMode.FLOAT32, MathMode.BF16)) {
      try (OneDnn oneDnn = open(math)) {
        cases.forEach(test -> check(oneDnn, test));
      }
    }
  }

  /**
   * An operand that is rounded once gives the bits of one that each product rounds. A product with
   * a vector does not round: the mode then gives the bits of float32. All three products of a
   * linear layer have one if there is one row or one feature.
   */
  @ParameterizedTest
  @CsvSource({"65, 384, 96, true", "65, 384, 1, false", "1, 384, 96, false"})
  void anOperandCanBeRoundedBefore(int rows, int in, int out, boolean rounds) {
    assumeTrue(OneDnn.autoMath().mode() == MathMode.BF16, OneDnn.autoMath().reason());
    SplittableRandom random = new SplittableRandom(2);
    try (OneDnn oneDnn = open(MathMode.BF16);
        OneDnn exact = open(MathMode.FLOAT32);
        Arena arena = Arena.ofConfined()) {
      List<MemorySegment> floats =
          Stream.of(rows * out, rows * in, out * in).map(n -> random(arena, random, n)).toList();
      List<MemorySegment> halves =
          floats.stream()
              .map(array -> {
                MemorySegment rounded = arena.allocate(array.byteSize() / 2, 64);
                long numel = array.byteSize() / Float.BYTES;
                oneDnn
                    .conversion(numel, ElementType.FLOAT32, ElementType.BFLOAT16)
                    .forward(array, rounded);
                return rounded;
              })
              .toList();
      List<ByteBuffer> ofMode = results(arena, oneDnn.linear(rows, in, out), floats, 4);
      List<ByteBuffer> ofHalves =
          results(arena, oneDnn.linear(rows, in, out, ElementType.BFLOAT16), halves, 2);
      List<ByteBuffer> ofFloats = results(arena, exact.linear(rows, in, out), floats, 4);
      for (int i = 0; i < 3; i++) {
        assertThat(ofMode.get(i))
            .as("result %d", i)
            .isEqualTo((rounds ? ofHalves : ofFloats).get(i))
            .isNotEqualTo((rounds ? ofFloats : ofHalves).get(i));
      }
    }
  }

  private static MemorySegment random(Arena arena, SplittableRandom random, int numel) {
    MemorySegment segment = arena.allocate(4L * numel, 64);
    for (int i = 0; i < numel; i++) {
      segment.setAtIndex(JAVA_FLOAT, i, (float) random.nextGaussian());
    }
    return segment;
  }

  /**
   * Returns dst, srcGrad and weightGrad.
   *
   * @param operands dstGrad, src and weight
   * @param elementSize of the operands
   */
  private static List<ByteBuffer> results(
      Arena arena, Linear linear, List<MemorySegment> operands, int elementSize) {
    MemorySegment dstGrad = operands.get(0);
    MemorySegment src = operands.get(1);
    MemorySegment weight = operands.get(2);
    List<MemorySegment> results =
        operands.stream().map(o -> arena.allocate(o.byteSize() / elementSize * 4, 64)).toList();
    linear.forward(src, weight, null, results.get(0));
    linear.backwardSource(dstGrad, weight, results.get(1));
    linear.backwardWeights(src, dstGrad, results.get(2), null);
    return results.stream().map(r -> ByteBuffer.wrap(r.toArray(JAVA_BYTE))).toList();
  }

  /** The shared copies of one product's matrices must not disturb another product. */
  @Test
  void productsShareTheirMemory() {
    try (OneDnn shared = open(MathMode.BF16)) {
      List<List<ByteBuffer>> first = ROUNDED.stream().map(c -> check(shared, c)).toList();
      assertThat(ROUNDED).extracting(c -> check(shared, c)).isEqualTo(first);
    }
  }

  @ParameterizedTest
  @EnumSource(MathMode.class)
  void everythingElseIsFloat32(MathMode math) {
    List<Case> others =
        Cases.ofEveryMethodWithMoreWork().stream()
            .filter(c -> !c.what().startsWith("linear") && !c.what().startsWith("matmul"))
            .toList();
    try (OneDnn expected = open(MathMode.FLOAT32);
        OneDnn oneDnn = open(math)) {
      assertThat(others).hasSizeGreaterThan(10);
      assertThat(others)
          .extracting(c -> check(oneDnn, c))
          .isEqualTo(others.stream().map(c -> check(expected, c)).toList());
    }
  }

  @Test
  void float32IsTheDefault() {
    try (OneDnn opened = OneDnn.open(2);
        OneDnn built = OneDnn.builder().open()) {
      assertThat(opened.math()).isEqualTo(MathMode.FLOAT32);
      assertThat(built.math()).isEqualTo(MathMode.FLOAT32);
    }
    assertThatThrownBy(() -> OneDnn.builder().math(null))
        .isExactlyInstanceOf(NullPointerException.class)
        .hasMessage("math is null");
  }

  @Test
  void autoSaysWhatItTakes() {
    OneDnn.MathChoice auto = OneDnn.autoMath();
    try (OneDnn oneDnn = open(MathMode.AUTO)) {
      assertThat(oneDnn.math()).isEqualTo(auto.mode()).isNotEqualTo(MathMode.AUTO);
    }
    assertThat(Diagnostics.report())
        .contains("AUTO multiplies matrices in " + auto.mode() + ": " + auto.reason());
  }

  /** Only where oneDNN has the instructions; elsewhere it may emulate them or use float32. */
  @Test
  void oneDnnUsesTheInstructions(@TempDir Path folder) throws Exception {
    assumeTrue(OneDnn.autoMath().mode() == MathMode.BF16, OneDnn.autoMath().reason());
    Path file = folder.resolve("recording.jfr");
    try (Recording recording = new Recording();
        OneDnn oneDnn = open(MathMode.AUTO)) {
      recording.enable(EVENT);
      recording.start();
      ROUNDED.stream()
          .filter(test -> test.what().contains(LARGE))
          .forEach(test -> check(oneDnn, test));
      recording.dump(file);
    }
    List<RecordedEvent> products =
        RecordingFile.readAllEvents(file).stream()
            .filter(event -> event.getString("operation").contains(LARGE))
            .toList();
    assertThat(products)
        .hasSizeGreaterThan(10)
        .allSatisfy(event ->
            assertThat(event.getString("implementation")).matches(".*(bf16|fp16|amx|avx10).*"));
  }

  /** 1 + 2⁻⁸ lies halfway between two bfloat16, and the even one is 1. */
  @Test
  void aVectorIsNotRounded() {
    assumeTrue(OneDnn.autoMath().mode() == MathMode.BF16, OneDnn.autoMath().reason());
    float value = 1 + 0x1p-8f;
    try (OneDnn oneDnn = open(MathMode.BF16);
        Arena arena = Arena.ofConfined()) {
      MemorySegment src = arena.allocateFrom(JAVA_FLOAT, value, 0, 0, value);
      MemorySegment weight = arena.allocateFrom(JAVA_FLOAT, 1, 0, 0, 1);
      MemorySegment dst = arena.allocate(JAVA_FLOAT, 4);
      oneDnn.linear(2, 2, 2).forward(src, weight, null, dst);
      assertThat(dst.toArray(JAVA_FLOAT)).containsExactly(1, 0, 0, 1);
      oneDnn.linear(1, 2, 2).forward(src, weight, null, dst);
      assertThat(dst.get(JAVA_FLOAT, 0)).isEqualTo(value);
      oneDnn.linear(2, 2, 1).forward(src, weight, null, dst);
      assertThat(dst.get(JAVA_FLOAT, 0)).isEqualTo(value);
    }
  }

  @Test
  void refusedArgumentsLeaveEverythingAsItWas() {
    try (OneDnn oneDnn = open(MathMode.BF16);
        Arena arena = Arena.ofConfined()) {
      for (Case test : ROUNDED) {
        Argument first = test.arguments().getFirst();
        long needed = first.bytes();
        Buffers buffers = new Buffers(arena, test, 0);
        MemorySegment[] segments = buffers.segments();
        segments[0] = arena.allocate(needed - first.type().byteSize(), 4);
        assertThatThrownBy(() -> test.of(oneDnn).run(segments))
            .isExactlyInstanceOf(IllegalArgumentException.class)
            .hasMessage(
                "%s of %s has %d bytes, but needs %d",
                first.name(), test.what(), needed - first.type().byteSize(), needed);
        buffers.assertUntouched("a short " + first.name());

        int written = 0;
        while (!test.arguments().get(written).written()) {
          written++;
        }
        Argument result = test.arguments().get(written);
        segments[0] = arena.allocate(Math.max(needed, result.bytes()), 64);
        segments[written] = segments[0];
        assertThatThrownBy(() -> test.of(oneDnn).run(segments))
            .isExactlyInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("overlaps");
        assertThat(
                segments[0].mismatch(MemorySegment.ofArray(new byte[(int) segments[0].byteSize()])))
            .isEqualTo(-1);
      }
    }
  }
}
