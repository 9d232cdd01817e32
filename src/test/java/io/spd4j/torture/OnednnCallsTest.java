package io.spd4j.torture;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.Closer;
import io.spd4j.onednn.Layout;
import io.spd4j.onednn.OneDnn;
import io.spd4j.onednn.Reduction;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Calls of oneDNN's operations with random shapes, right and wrong segments, and arenas that
 * another thread closes. A small model says what is refused; a refusal writes nothing, and no call
 * writes beside its result.
 */
class OnednnCallsTest {
  private static final int CALLS = 40;
  private static final int LINE = 64;
  private static final byte GUARD = 0x5a;

  /** A call with its arguments, of which all but the last are read. */
  private record Call(String what, long[] numels, Method method) {}

  private interface Method {
    void run(MemorySegment... arguments);
  }

  @Test
  void theModelKnowsWhatIsRefused() {
    assumeTrue(OneDnn.availability().available(), OneDnn.availability().reason());
    Rounds.run(
        OnednnCallsTest.class,
        25,
        (random, rounds) -> {
          try (OneDnn dnn = OneDnn.open(1)) { // keeps an operation for each shape
            Call call = call(dnn, random);
            for (int i = 0; i < CALLS; i++) {
              refused(call, random, rounds);
              anyShape(dnn, random, rounds);
            }
            closing(call, random, rounds);
          }
        });
  }

  /**
   * Asks for an operation of a shape that is impossible, or for which the segments are too small.
   */
  private static void anyShape(OneDnn dnn, SplittableRandom random, Rounds rounds) {
    long rows = dimension(random);
    long columns = dimension(random);
    int kind = random.nextInt(4);
    boolean possible =
        rows > 0
            && rows <= Integer.MAX_VALUE
            && columns > 0
            && columns <= (kind == 2 ? 1 << 24 : Integer.MAX_VALUE) // layer norm's features
            && rows <= Layout.MAX_NUMEL / columns;
    MemorySegment few = MemorySegment.ofAddress(LINE).reinterpret(4);
    boolean made = false;
    try {
      Method method =
          switch (kind) {
            case 0 -> {
              var linear = dnn.linear(rows, columns, 2);
              yield a -> linear.forward(few, few, few, few);
            }
            case 1 -> {
              var softmax = dnn.softmax(rows, columns);
              yield a -> softmax.forward(few, few);
            }
            case 2 -> {
              var norm = dnn.layerNorm(rows, columns, 1e-5f);
              yield a -> norm.forward(few, few, few, few, few, few);
            }
            default -> {
              var sum = dnn.reduction(Reduction.Kind.SUM, rows, columns, random.nextInt(2));
              yield a -> sum.forward(few, few);
            }
          };
      made = true;
      method.run();
    } catch (IllegalArgumentException e) {
      assertThat(made).as("%d times %d: %s", rows, columns, e.getMessage()).isEqualTo(possible);
      rounds.count("refused calls", 1);
      return;
    }
    throw new AssertionError("%d times %d was accepted".formatted(rows, columns));
  }

  private static long dimension(SplittableRandom random) {
    return switch (random.nextInt(8)) {
      case 0 -> random.nextInt(2) - 1;
      case 1 -> Integer.MAX_VALUE + random.nextLong(2);
      case 2 -> random.nextLong();
      default -> random.nextLong(2, 1L << random.nextInt(2, 32));
    };
  }

  private static Call call(OneDnn dnn, SplittableRandom random) {
    long rows = random.nextInt(1, 40);
    long in = random.nextInt(1, 70);
    long out = random.nextInt(1, 70);
    return switch (random.nextInt(6)) {
      case 0 -> {
        var linear = dnn.linear(rows, in, out);
        yield new Call(
            "linear",
            new long[] {rows * in, out * in, out, rows * out},
            a -> linear.forward(a[0], a[1], a[2], a[3]));
      }
      case 1 -> {
        var linear = dnn.linear(rows, in, out);
        yield new Call(
            "linear backward",
            new long[] {rows * out, out * in, rows * in},
            a -> linear.backwardSource(a[0], a[1], a[2]));
      }
      case 2 -> {
        var softmax = dnn.softmax(rows, in);
        yield new Call(
            "softmax", new long[] {rows * in, rows * in}, a -> softmax.forward(a[0], a[1]));
      }
      case 3 -> {
        var gelu = dnn.gelu(rows * in);
        yield new Call("gelu", new long[] {rows * in, rows * in}, a -> gelu.forward(a[0], a[1]));
      }
      default -> {
        int axis = random.nextInt(2);
        var sum = dnn.reduction(Reduction.Kind.SUM, rows, in, axis);
        yield new Call(
            "reduction",
            new long[] {rows * in, axis == 0 ? in : rows},
            a -> sum.forward(a[0], a[1]));
      }
    };
  }

  /** Makes a call that has perhaps one bad argument. */
  private static void refused(Call call, SplittableRandom random, Rounds rounds) {
    int bad = random.nextInt(2 * call.numels.length);
    int fault = random.nextInt(7);
    int last = call.numels.length - 1;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment[] rooms = rooms(call, arena, random);
      MemorySegment[] a = arguments(call, rooms);
      Faults faults = new Faults();
      if (bad < a.length) {
        faults.illegalArgument(fault == 1 || fault > 2 && (fault < 6 || bad == last));
        faults.nullPointer(fault == 0 && !(call.what.equals("linear") && bad == 2)); // no bias
        a[bad] = bad(a[bad], rooms[bad], fault);
      }
      byte[][] before =
          Stream.of(rooms).map(room -> room.toArray(JAVA_BYTE)).toArray(byte[][]::new);
      Throwable thrown = null;
      try {
        call.method.run(a);
      } catch (RuntimeException e) {
        thrown = e;
      }
      if (!faults.expect(thrown)) {
        throw new AssertionError(
            "%s, argument %d, fault %d: expected %s".formatted(call.what, bad, fault, faults),
            thrown);
      }
      for (int i = 0; i < rooms.length; i++) {
        MemorySegment was = MemorySegment.ofArray(before[i]);
        long written = i == last && thrown == null ? 4 * call.numels[i] : 0;
        assertThat(rooms[i].asSlice(0, LINE).mismatch(was.asSlice(0, LINE))).isEqualTo(-1);
        assertThat(rooms[i].asSlice(LINE + written).mismatch(was.asSlice(LINE + written)))
            .as("%s, around argument %d", call.what, i)
            .isEqualTo(-1);
      }
      rounds.count("calls", 1);
      rounds.count("refused calls", thrown == null ? 0 : 1);
    }
  }

  private static MemorySegment bad(MemorySegment good, MemorySegment room, int fault) {
    long bytes = good.byteSize();
    return switch (fault) {
      case 0 -> null;
      case 1 -> room.asSlice(LINE, bytes - 4);
      case 2 -> room.asSlice(LINE, bytes + 4); // longer than necessary
      case 3 -> room.asSlice(LINE + 2, bytes);
      case 4 -> MemorySegment.ofArray(new float[(int) (bytes / 4)]);
      case 5 -> {
        try (Arena closed = Arena.ofConfined()) {
          yield closed.allocate(bytes, LINE);
        }
      }
      default -> good.asReadOnly();
    };
  }

  /** Calls until another thread has closed the arena of one argument. */
  private static void closing(Call call, SplittableRandom random, Rounds rounds)
      throws InterruptedException {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment[] a = arguments(call, rooms(call, arena, random));
      int odd = random.nextInt(a.length);
      Arena victim = Arena.ofShared();
      a[odd] = victim.allocate(a[odd].byteSize(), LINE).copyFrom(a[odd]);
      Closer closer = new Closer(random.nextLong(300_000), victim);
      RuntimeException thrown = null;
      while (thrown == null) {
        try {
          call.method.run(a);
          Closer.pause(2_000);
        } catch (IllegalArgumentException | IllegalStateException e) {
          thrown = e;
        }
      }
      closer.join();
      assertThat(thrown).hasMessageMatching("Already closed|.* lies in an arena that is closed");
      rounds.count("arenas closed by another thread", 1);
    }
  }

  /** Returns memory for each argument, with a guard on either side. */
  private static MemorySegment[] rooms(Call call, Arena arena, SplittableRandom random) {
    MemorySegment[] rooms = new MemorySegment[call.numels.length];
    for (int i = 0; i < rooms.length; i++) {
      rooms[i] = arena.allocate(4 * call.numels[i] + 2 * LINE, LINE).fill(GUARD);
      for (long k = 0; k < call.numels[i]; k++) {
        rooms[i].setAtIndex(JAVA_FLOAT, LINE / 4 + k, random.nextInt() * 0x1p-31f);
      }
    }
    return rooms;
  }

  private static MemorySegment[] arguments(Call call, MemorySegment[] rooms) {
    MemorySegment[] a = new MemorySegment[rooms.length];
    for (int i = 0; i < a.length; i++) {
      a[i] = rooms[i].asSlice(LINE, 4 * call.numels[i]);
    }
    return a;
  }
}
