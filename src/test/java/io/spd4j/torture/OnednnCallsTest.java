package io.spd4j.torture;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.spd4j.Closer;
import io.spd4j.ElementType;
import io.spd4j.onednn.Buffers;
import io.spd4j.onednn.Case;
import io.spd4j.onednn.Case.Argument;
import io.spd4j.onednn.Cases;
import io.spd4j.onednn.Layout;
import io.spd4j.onednn.MathMode;
import io.spd4j.onednn.OneDnn;
import io.spd4j.onednn.Reduction;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Random calls of oneDNN's operations, right and wrong, on arrays that touch pages nobody may
 * access. What is right has the right results, also after what was wrong; what is wrong is refused
 * as documented and has written nothing.
 */
class OnednnCallsTest {
  private static final int CALLS = 40;

  /** Memory in a confined arena of another thread. */
  private static MemorySegment foreign;

  @BeforeAll
  static void available() {
    Cases.assumeOneDnn();
    foreign = CompletableFuture.supplyAsync(() -> Arena.ofConfined().allocate(1 << 20, 64)).join();
  }

  @Test
  void callsAreRightOrRefused() {
    Rounds.run(OnednnCallsTest.class, 2, OnednnCallsTest::round);
  }

  private static void round(SplittableRandom random, Rounds rounds) throws Exception {
    MathMode math = random.nextInt(3) == 0 ? MathMode.BF16 : MathMode.FLOAT32;
    List<Case> cases = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      cases.addAll(Cases.ofRandomShape(random, math));
    }
    OneDnn oneDnn = OneDnn.builder().threads(1 + random.nextInt(3)).math(math).open();
    Case last;
    Case.Call lastCall;
    try (oneDnn) {
      for (int i = 0; i < CALLS; i++) {
        Case test = cases.get(random.nextInt(cases.size()));
        switch (random.nextInt(10)) {
          case 0, 1, 2 -> wrong(oneDnn, test, random);
          case 3 -> overlapping(oneDnn, test, random);
          case 4 -> elsewhere(oneDnn, test);
          case 5, 6 -> closed(oneDnn, test, random);
          case 7 -> shape(oneDnn, random);
          default -> right(oneDnn, test, random);
        }
      }
      last = cases.get(random.nextInt(cases.size()));
      lastCall = last.of(oneDnn);
      right(oneDnn, last, random);
    }
    try (Arena arena = guarded(random)) {
      MemorySegment[] segments = segments(arena, last);
      assertThatThrownBy(() -> lastCall.run(segments))
          .isExactlyInstanceOf(IllegalStateException.class)
          .hasMessage("this OneDnn is closed");
    }
    rounds.count("oneDNN calls", CALLS + 2);
  }

  private static GuardedArena guarded(SplittableRandom random) {
    return new GuardedArena(
        random.nextBoolean() ? GuardedArena.Guard.AFTER : GuardedArena.Guard.BEFORE);
  }

  /** Returns a case's arguments: the values of those that are read, and NaN in the others. */
  private static MemorySegment[] segments(Arena arena, Case test) {
    return test.arguments().stream()
        .map(argument -> segment(arena, argument))
        .toArray(MemorySegment[]::new);
  }

  private static MemorySegment segment(Arena arena, Argument argument) {
    MemorySegment segment = arena.allocate(argument.bytes(), argument.type().byteSize());
    segment.fill((byte) -1);
    for (int i = 0; argument.in() != null && i < argument.numel(); i++) {
      Buffers.set(segment, argument.type(), i, argument.in()[i]);
    }
    return argument.written() ? segment : segment.asReadOnly();
  }

  private static void right(OneDnn oneDnn, Case test, SplittableRandom random) {
    try (Arena arena = guarded(random)) {
      MemorySegment[] segments = segments(arena, test);
      test.of(oneDnn).run(segments);
      assertRight(test, segments);
    }
  }

  private static void assertRight(Case test, MemorySegment[] segments) {
    try (Arena arena = Arena.ofConfined()) {
      for (int i = 0; i < segments.length; i++) {
        Argument argument = test.arguments().get(i);
        if (argument.written()) {
          Buffers.assertValues(test, argument, segments[i]);
        } else {
          assertSame(segments[i], segment(arena, argument));
        }
      }
    }
  }

  private static void assertSame(MemorySegment segment, MemorySegment expected) {
    assertThat(segment.mismatch(expected)).isEqualTo(-1);
  }

  /** Asserts that a call is refused with a message that names an argument and writes nothing. */
  private static void refused(
      OneDnn oneDnn,
      Case test,
      MemorySegment[] segments,
      Class<? extends Throwable> type,
      String message) {
    List<byte[]> before = contents(segments);
    assertThatThrownBy(() -> test.of(oneDnn).run(segments))
        .isExactlyInstanceOf(type)
        .hasMessageMatching(message);
    assertThat(contents(segments)).usingRecursiveComparison().isEqualTo(before);
  }

  private static List<byte[]> contents(MemorySegment[] segments) {
    List<byte[]> contents = new ArrayList<>();
    for (MemorySegment segment : segments) {
      boolean readable =
          segment != null
              && segment.scope().isAlive()
              && segment.isAccessibleBy(Thread.currentThread());
      contents.add(readable ? segment.toArray(JAVA_BYTE) : new byte[0]);
    }
    return contents;
  }

  private static void wrong(OneDnn oneDnn, Case test, SplittableRandom random) {
    int i = random.nextInt(test.arguments().size());
    Argument argument = test.arguments().get(i);
    int size = argument.type().byteSize();
    long bytes = argument.bytes();
    String what = "\\Q" + argument.name() + " of " + test.what() + "\\E ";
    Class<? extends Throwable> type = IllegalArgumentException.class;
    String fault;
    try (GuardedArena arena = guarded(random)) {
      MemorySegment[] segments = segments(arena, test);
      switch (random.nextInt(argument.written() ? 7 : 6)) {
        case 0 -> {
          long few = size * random.nextLong(bytes / size);
          segments[i] = arena.allocate(few, size);
          fault = "has %d bytes, but needs %d".formatted(few, bytes);
        }
        case 1 -> {
          segments[i] = MemorySegment.ofArray(new byte[(int) bytes]);
          fault = "lies on the Java heap.*";
        }
        case 2 -> {
          try (Arena brief = Arena.ofConfined()) {
            segments[i] = brief.allocate(bytes, size);
          }
          fault = "lies in an arena that is closed";
        }
        case 3 -> {
          segments[i] = foreign.asSlice(0, bytes);
          type = WrongThreadException.class;
          fault = "lies in a confined arena of another thread";
        }
        case 4 -> {
          segments[i] = arena.allocate(bytes + size, size).asSlice(1, bytes);
          fault = "starts at an address that is not a multiple of " + size;
        }
        case 5 -> {
          long odd = bytes + 1 + random.nextInt(size - 1);
          segments[i] = arena.allocate(odd + size, size).asSlice(0, odd);
          fault = "has %d bytes, not a multiple of %d".formatted(odd, size);
        }
        default -> {
          segments[i] = segments[i].asReadOnly();
          fault = "is read-only, but is written";
        }
      }
      refused(oneDnn, test, segments, type, what + fault);
      if (!argument.name().startsWith("bias")) {
        segments[i] = null;
        refused(oneDnn, test, segments, NullPointerException.class, what + "is null");
      }
    }
  }

  private static void overlapping(OneDnn oneDnn, Case test, SplittableRandom random) {
    List<Argument> all = test.arguments();
    List<Integer> written = new ArrayList<>();
    for (int i = 0; i < all.size(); i++) {
      if (all.get(i).written()) {
        written.add(i);
      }
    }
    int i = written.get(random.nextInt(written.size()));
    int j = (i + 1 + random.nextInt(all.size() - 1)) % all.size();
    Argument a = all.get(i);
    Argument b = all.get(j);
    long shift = 4 * random.nextLong((b.bytes() + 3) / 4);
    if (shift == 0 && (b.name().equals(a.over()) || a.name().equals(b.over()))) {
      return; // they may be the same
    }
    try (GuardedArena arena = guarded(random)) {
      MemorySegment[] segments = segments(arena, test);
      MemorySegment both = arena.allocate(shift + Math.max(a.bytes(), b.bytes()), 4);
      segments[i] = both.asSlice(shift, a.bytes());
      segments[j] = both.asSlice(0, b.bytes());
      refused(
          oneDnn,
          test,
          segments,
          IllegalArgumentException.class,
          "(%1$s|%2$s) of \\Q%3$s\\E overlaps (%1$s|%2$s)"
              .formatted(a.name(), b.name(), test.what()));
    }
  }

  /** Another thread may neither call nor close. */
  private static void elsewhere(OneDnn oneDnn, Case test) {
    Case.Call call = test.of(oneDnn);
    try (Arena arena = Arena.ofShared()) {
      MemorySegment[] segments = segments(arena, test);
      List<byte[]> before = contents(segments);
      CompletableFuture.runAsync(
              () -> {
                for (Runnable use :
                    List.<Runnable>of(
                        () -> call.run(segments), () -> test.of(oneDnn), oneDnn::close)) {
                  assertThatThrownBy(use::run).isExactlyInstanceOf(WrongThreadException.class);
                }
              })
          .join();
      assertThat(contents(segments)).usingRecursiveComparison().isEqualTo(before);
    }
  }

  /** The arena of one argument is closed by another thread, before a call or during it. */
  private static void closed(OneDnn oneDnn, Case test, SplittableRandom random) throws Exception {
    Case.Call call = test.of(oneDnn);
    int i = random.nextInt(test.arguments().size());
    GuardedArena victim = guarded(random);
    try (GuardedArena lasting = guarded(random)) {
      MemorySegment[] segments = segments(lasting, test);
      segments[i] = segment(victim, test.arguments().get(i));
      Closer closer = new Closer(random.nextLong(100_000), victim);
      Throwable refusal = null;
      while (refusal == null) {
        boolean closed = closer.hasEnded();
        refusal = catchThrowable(() -> call.run(segments));
        assertThat(refusal != null || !closed).as("a call on closed memory is refused").isTrue();
        for (int j = 0; j < segments.length; j++) {
          if (test.arguments().get(j).in() != null && test.arguments().get(j).written()) {
            segments[j] = j == i ? segments[j] : segment(lasting, test.arguments().get(j));
          }
        }
      }
      closer.join();
      assertThat(refusal.getMessage())
          .matches("Already closed|.* of .* lies in an arena that is closed");
      assertThat(refusal)
          .isInstanceOfAny(IllegalStateException.class, IllegalArgumentException.class);
      for (int j = 0; j < segments.length; j++) {
        if (j != i && !test.arguments().get(j).written()) {
          try (Arena arena = Arena.ofConfined()) {
            assertSame(segments[j], segment(arena, test.arguments().get(j)));
          }
        }
      }
    }
    right(oneDnn, test, random);
  }

  /** Shapes of any size are refused as documented, or are made at once; so are calls of them. */
  private static void shape(OneDnn oneDnn, SplittableRandom random) {
    long x = size(random);
    long y = size(random);
    long z = size(random);
    List<Consumer<OneDnn>> makers =
        List.of(
            d -> d.linear(x, y, z),
            d -> d.matMul(Layout.rowMajor(x, y), Layout.rowMajor(y, z), Layout.rowMajor(x, z)),
            d -> d.layerNorm(x, y, 1),
            d -> d.softmax(x, y),
            d -> d.gelu(x),
            d -> d.reduction(Reduction.Kind.MEAN, x, y, random.nextInt(2)),
            d -> d.conversion(x, ElementType.FLOAT32, ElementType.FLOAT16));
    Consumer<OneDnn> maker = makers.get(random.nextInt(makers.size()));
    try {
      maker.accept(oneDnn);
    } catch (IllegalArgumentException e) {
      assertThat(e).hasMessageMatching(".* must be (1 to|at most) \\d+.*");
    }
    try (Arena arena = guarded(random)) {
      MemorySegment small = arena.allocate(4, 4);
      if (x > 1 && x <= Integer.MAX_VALUE) {
        assertThatThrownBy(() -> oneDnn.gelu(x).forward(small, small))
            .isExactlyInstanceOf(IllegalArgumentException.class)
            .hasMessage("src of GELU forward %d has 4 bytes, but needs %d".formatted(x, 4 * x));
        assertThatThrownBy(
                () -> oneDnn.reduction(Reduction.Kind.SUM, x, 1, 0).forward(small, small))
            .isExactlyInstanceOf(IllegalArgumentException.class)
            .hasMessageEndingWith("has 4 bytes, but needs " + 4 * x);
      }
    }
  }

  private static long size(SplittableRandom random) {
    return switch (random.nextInt(5)) {
      case 0 -> random.nextLong();
      case 1 -> -random.nextInt(3);
      case 2 -> Integer.MAX_VALUE - random.nextInt(3) + random.nextInt(3);
      case 3 -> 1L << random.nextInt(63);
      default -> 1 + random.nextInt(1000);
    };
  }
}
