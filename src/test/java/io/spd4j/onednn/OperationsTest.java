package io.spd4j.onednn;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.ElementType;
import io.spd4j.onednn.Case.Argument;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What every method writes, and what it leaves alone. */
class OperationsTest {
  @BeforeAll
  static void available() {
    Cases.assumeOneDnn();
  }

  /** Runs a case on memory that begins shift elements into a cache line; returns the results. */
  private static List<ByteBuffer> check(OneDnn oneDnn, Case test, int shift) {
    try (Arena arena = Arena.ofConfined()) {
      Buffers buffers = new Buffers(arena, test, shift);
      test.of(oneDnn).run(buffers.segments());
      buffers.assertResult();
      return buffers.results();
    }
  }

  private static void check(Case test) {
    for (int threads = 1; threads <= 3; threads++) {
      try (OneDnn oneDnn = OneDnn.open(threads)) {
        check(oneDnn, test, threads);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("io.spd4j.onednn.Cases#ofManyShapes")
  void agreesWithFloat64(Case test) {
    check(test);
  }

  @ParameterizedTest
  @MethodSource("io.spd4j.onednn.Cases#large")
  void agreesWithFloat64WhereItIsLarge(Case test) {
    check(test);
  }

  @ParameterizedTest
  @MethodSource("io.spd4j.onednn.Cases#ofEveryMethodWithMoreWork")
  void givesTheSameBitsAgain(Case test) {
    for (int threads = 1; threads <= 3; threads++) {
      List<ByteBuffer> first;
      try (OneDnn oneDnn = OneDnn.open(threads)) {
        first = check(oneDnn, test, 0);
        assertThat(check(oneDnn, test, 0)).as("again").isEqualTo(first);
        assertThat(check(oneDnn, test, 3)).as("elsewhere in a cache line").isEqualTo(first);
      }
      try (OneDnn another = OneDnn.open(threads)) {
        assertThat(check(another, test, 0)).as("opened again").isEqualTo(first);
      }
    }
  }

  @Test
  void operationsShareTheirScratchMemory() {
    List<Case> cases = Cases.ofEveryMethod();
    try (OneDnn small = OneDnn.open(2);
        OneDnn shared = OneDnn.open(2)) {
      List<List<ByteBuffer>> expected = cases.stream().map(c -> check(small, c, 0)).toList();
      cases.forEach(c -> check(shared, c, 0));
      Cases.ofEveryMethodWithMoreWork().forEach(c -> check(shared, c, 0));
      assertThat(cases).extracting(c -> check(shared, c, 0)).isEqualTo(expected);
    }
  }

  @Test
  void differentNumbersOfThreadsWorkInTurn() {
    try (OneDnn one = OneDnn.open(1);
        OneDnn three = OneDnn.open(3)) {
      for (Case test : Cases.ofEveryMethodWithMoreWork()) {
        List<ByteBuffer> first = check(one, test, 0);
        check(three, test, 0);
        assertThat(check(one, test, 0)).isEqualTo(first);
      }
    }
  }

  @Test
  void theSameShapeIsTheSameOperation() {
    Layout a = Layout.rowMajor(2, 3);
    Layout b = Layout.rowMajor(3, 4);
    Layout c = Layout.rowMajor(2, 4);
    try (OneDnn oneDnn = OneDnn.open(1)) {
      assertThat(oneDnn.linear(1, 2, 3))
          .isSameAs(oneDnn.linear(1, 2, 3))
          .isNotSameAs(oneDnn.linear(1, 3, 2));
      assertThat(oneDnn.matMul(a, b, c))
          .isSameAs(oneDnn.matMul(Layout.rowMajor(2, 3), b, c, 1, null))
          .isNotSameAs(oneDnn.matMul(Layout.rowMajor(3, 2).transpose(), b, c))
          .isNotSameAs(oneDnn.matMul(a, b, c, 2, null))
          .isNotSameAs(oneDnn.matMul(a, b, c, 1, c));
      assertThat(oneDnn.layerNorm(1, 2, 0.5f))
          .isSameAs(oneDnn.layerNorm(1, 2, 0.5f))
          .isNotSameAs(oneDnn.layerNorm(1, 2, 0.25f));
      assertThat(oneDnn.softmax(1, 2))
          .isSameAs(oneDnn.softmax(1, 2))
          .isNotSameAs(oneDnn.softmax(2, 1));
      assertThat(oneDnn.gelu(2)).isSameAs(oneDnn.gelu(2)).isNotSameAs(oneDnn.gelu(1));
      assertThat(oneDnn.reduction(Reduction.Kind.SUM, 1, 2, 0))
          .isSameAs(oneDnn.reduction(Reduction.Kind.SUM, 1, 2, 0))
          .isNotSameAs(oneDnn.reduction(Reduction.Kind.SUM, 1, 2, 1))
          .isNotSameAs(oneDnn.reduction(Reduction.Kind.MEAN, 1, 2, 0));
      assertThat(oneDnn.conversion(1, ElementType.FLOAT32, ElementType.BFLOAT16))
          .isSameAs(oneDnn.conversion(1, ElementType.FLOAT32, ElementType.BFLOAT16))
          .isNotSameAs(oneDnn.conversion(1, ElementType.BFLOAT16, ElementType.FLOAT32));
    }
  }

  @ParameterizedTest
  @MethodSource("io.spd4j.onednn.Cases#inPlace")
  void canWriteWhereItReads(Case test) {
    Argument written = test.arguments().getLast();
    int over = test.indexOf(written.over());
    try (OneDnn oneDnn = OneDnn.open(2);
        Arena arena = Arena.ofConfined()) {
      MemorySegment[] segments = new Buffers(arena, test, 0).segments();
      MemorySegment both = segments[segments.length - 1];
      both.copyFrom(segments[over].asSlice(0, written.bytes()));
      segments[over] = both;
      test.of(oneDnn).run(segments);
      Buffers.assertValues(test, written, both);
    }
  }

  @Test
  void readsAFileThatIsMapped(@TempDir Path folder) throws Exception {
    Path file = Files.write(folder.resolve("weights"), new byte[] {0, 0, -128, 63, 0, 0, 0, 64});
    try (OneDnn oneDnn = OneDnn.open(1);
        Arena arena = Arena.ofShared();
        FileChannel channel = FileChannel.open(file)) {
      MemorySegment weight = channel.map(MapMode.READ_ONLY, 0, 8, arena);
      MemorySegment src = arena.allocateFrom(JAVA_FLOAT, 3, 5);
      MemorySegment dst = arena.allocate(JAVA_FLOAT, 1);
      oneDnn.linear(1, 2, 1).forward(src, weight, null, dst);
      assertThat(dst.toArray(JAVA_FLOAT)).containsExactly(13);
      assertThat(weight.toArray(JAVA_BYTE)).isEqualTo(Files.readAllBytes(file));
    }
  }
}
