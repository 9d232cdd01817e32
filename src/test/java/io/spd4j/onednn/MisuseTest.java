package io.spd4j.onednn;

import static io.spd4j.Refusals.ON_HEAP;
import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.Refusals.nullPointer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.spd4j.ElementType;
import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.onednn.Case.Argument;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AutoClose;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Refused calls: the message names operation, shape and argument, and nothing is written. */
class MisuseTest {
  private static final String OF_EVERY_METHOD = "io.spd4j.onednn.Cases#ofEveryMethod";

  @AutoClose private final Arena arena = Arena.ofShared();
  private final Engine engine = new Engine(2, MathMode.FLOAT32);
  @AutoClose private final OneDnn oneDnn = new OneDnn(engine);

  @BeforeAll
  static void available() {
    Cases.assumeOneDnn();
  }

  private static String what(Case test, int i) {
    return test.arguments().get(i).name() + " of " + test.what();
  }

  /** Asserts that a call with another segment as one argument is refused. */
  private void refused(
      Case test, int i, MemorySegment segment, Class<? extends Throwable> type, String fault) {
    Buffers buffers = new Buffers(arena, test, 0);
    MemorySegment[] segments = buffers.segments();
    segments[i] = segment;
    assertThatThrownBy(() -> test.of(oneDnn).run(segments))
        .isExactlyInstanceOf(type)
        .hasMessage(what(test, i) + " " + fault);
    buffers.assertUntouched(fault);
  }

  private void refused(Case test, int i, MemorySegment segment, String fault) {
    refused(test, i, segment, IllegalArgumentException.class, fault);
  }

  private void works(Case test) {
    Buffers buffers = new Buffers(arena, test, 0);
    test.of(oneDnn).run(buffers.segments());
    buffers.assertResult();
  }

  @ParameterizedTest
  @MethodSource(OF_EVERY_METHOD)
  void segmentsThatCannotBeUsed(Case test) {
    MemorySegment closed;
    try (Arena brief = Arena.ofConfined()) {
      closed = brief.allocate(10_000);
    }
    MemorySegment foreign =
        CompletableFuture.supplyAsync(() -> Arena.ofConfined().allocate(10_000)).join();
    MemorySegment odd = arena.allocate(10_000, 64).asSlice(1);
    for (int i = 0; i < test.arguments().size(); i++) {
      Argument argument = test.arguments().get(i);
      long bytes = argument.bytes();
      int size = argument.type().byteSize();
      if (!argument.name().startsWith("bias")) {
        refused(test, i, null, NullPointerException.class, "is null");
      }
      refused(test, i, MemorySegment.ofArray(new float[10_000]), ON_HEAP);
      refused(test, i, closed, "lies in an arena that is closed");
      refused(
          test,
          i,
          foreign,
          WrongThreadException.class,
          "lies in a confined arena of another thread");
      refused(
          test,
          i,
          arena.allocate(bytes - size, 4),
          "has %d bytes, but needs %d".formatted(bytes - size, bytes));
      refused(test, i, MemorySegment.NULL, "has 0 bytes, but needs " + bytes);
      refused(
          test, i, odd.asSlice(0, bytes), "starts at an address that is not a multiple of " + size);
      refused(
          test,
          i,
          arena.allocate(bytes + 1, 4),
          "has %d bytes, not a multiple of %d".formatted(bytes + 1, size));
      if (argument.written()) {
        refused(test, i, arena.allocate(bytes, 4).asReadOnly(), "is read-only, but is written");
      }
    }
    works(test);
  }

  /** A written argument begins where another one does, or within it. */
  @ParameterizedTest
  @MethodSource(OF_EVERY_METHOD)
  void segmentsThatOverlap(Case test) {
    List<Argument> all = test.arguments();
    for (int i = 0; i < all.size(); i++) {
      for (int j = 0; j < all.size(); j++) {
        if (i != j && all.get(i).written()) {
          overlap(test, i, j, 0, all.get(j).name().equals(all.get(i).over()));
          overlap(test, i, j, all.get(j).bytes() - all.get(j).type().byteSize(), false);
        }
      }
    }
    works(test);
  }

  private void overlap(Case test, int written, int other, long offset, boolean allowed) {
    Buffers buffers = new Buffers(arena, test, 0);
    MemorySegment[] segments = buffers.segments();
    Argument argument = test.arguments().get(written);
    MemorySegment both = arena.allocate(offset + 1000, 64);
    segments[other] = both;
    segments[written] = both.asSlice(offset);
    ThrowingCallable call = () -> test.of(oneDnn).run(segments);
    if (allowed) {
      assertThatCode(call).doesNotThrowAnyException();
    } else {
      String name = argument.name();
      String otherName = test.arguments().get(other).name();
      assertThatIllegalArgumentException()
          .isThrownBy(call)
          .withMessageMatching(
              "(?<a>%1$s|%2$s) of \\Q%3$s\\E overlaps (?!\\k<a>)(%1$s|%2$s)"
                  .formatted(name, otherName, test.what()));
      buffers.assertUntouched("an overlap");
      assertThat(both.mismatch(arena.allocate(both.byteSize()))).isEqualTo(-1);
    }
  }

  @ParameterizedTest
  @MethodSource(OF_EVERY_METHOD)
  void anotherThread(Case test) {
    Buffers buffers = new Buffers(arena, test, 0);
    Case.Call first = test.of(oneDnn);
    String owner = "this OneDnn belongs to the thread " + Thread.currentThread().getName();
    for (int i = 0; i < 2; i++) {
      // Also after the first call, which compiles.
      elsewhere(() -> first.run(buffers.segments()), owner);
      elsewhere(() -> test.of(oneDnn), owner);
      buffers.assertUntouched("a call of another thread");
      works(test);
    }
    elsewhere(oneDnn::close, owner);
    works(test);
  }

  private static void elsewhere(ThrowingCallable call, String message) {
    CompletableFuture.runAsync(() ->
            assertThatThrownBy(call).isInstanceOf(WrongThreadException.class).hasMessage(message))
        .join();
  }

  @ParameterizedTest
  @MethodSource(OF_EVERY_METHOD)
  void afterClose(Case test) {
    Buffers buffers = new Buffers(arena, test, 0);
    Case.Call unused = test.of(oneDnn);
    works(test);
    Case.Call used = test.of(oneDnn);
    oneDnn.close();
    oneDnn.close();
    for (ThrowingCallable call :
        List.<ThrowingCallable>of(
            () -> unused.run(buffers.segments()),
            () -> used.run(buffers.segments()),
            () -> test.of(oneDnn))) {
      illegalState("this OneDnn is closed", call);
    }
    buffers.assertUntouched("close");
  }

  private static Layout of(long... sizes) {
    return Layout.rowMajor(sizes);
  }

  private static Arguments bad(String message, ThrowingConsumer call) {
    return arguments(message, call);
  }

  /** Asks for an impossible operation. */
  interface ThrowingConsumer {
    void accept(OneDnn oneDnn);
  }

  static Stream<Arguments> operationsThatCannotBe() {
    long huge = Integer.MAX_VALUE;
    return Stream.of(
        bad("rows must be 1 to 2147483647, not 0", d -> d.linear(0, 1, 1)),
        bad("rows must be 1 to 2147483647, not 2147483648", d -> d.linear(huge + 1, 1, 1)),
        bad("in must be 1 to 2147483647, not -1", d -> d.linear(1, -1, 1)),
        bad("out must be 1 to 2147483647, not 0", d -> d.linear(1, 1, 0)),
        bad(
            "rows times in must be at most 70368744177664, not 2147483647 times 2147483647",
            d -> d.linear(huge, huge, 1)),
        bad(
            "out times in must be at most 70368744177664, not 2147483647 times 2147483647",
            d -> d.linear(1, huge, huge)),
        bad(
            "rows times out must be at most 70368744177664, not 2147483647 times 32769",
            d -> d.linear(huge, 1, 32_769)),
        bad(
            "the product of the sizes [2147483647, 32769] must be at most 70368744177664",
            d -> d.matMul(of(huge, 1), of(1, 32_769), of(huge, 32_769))),
        bad("features must be 1 to 16777216, not 16777217", d -> d.layerNorm(1, 16_777_217, 1)),
        bad(
            "rows times features must be at most 70368744177664, not 2147483647 times 5000000",
            d -> d.layerNorm(huge, 5_000_000, 1)),
        bad(
            "rows times columns must be at most 70368744177664, not 2147483647 times 2147483647",
            d -> d.softmax(huge, huge)),
        bad(
            "rows times columns must be at most 70368744177664, not 2147483647 times 2147483647",
            d -> d.reduction(Reduction.Kind.SUM, huge, huge, 1)),
        bad("2x3 times 4x5 cannot give 2x5", d -> d.matMul(of(2, 3), of(4, 5), of(2, 5))),
        bad("2x3 times 3x5 cannot give 5x2", d -> d.matMul(of(2, 3), of(3, 5), of(5, 2))),
        bad("2x3 times 3x5 cannot give 1x5", d -> d.matMul(of(2, 3), of(3, 5), of(1, 5))),
        bad("2x3 times 3x5 cannot give 2x4", d -> d.matMul(of(2, 3), of(3, 5), of(2, 4))),
        bad("3 times 3 cannot give 3", d -> d.matMul(of(3), of(3), of(3))),
        bad("1x2x3 times 3x5 cannot give 2x5", d -> d.matMul(of(1, 2, 3), of(3, 5), of(2, 5))),
        bad(
            "7x2x3 times 1x3x5 cannot give 7x2x5",
            d -> d.matMul(of(7, 2, 3), of(1, 3, 5), of(7, 2, 5))),
        bad(
            "7x2x3 times 7x3x5 cannot give 1x2x5",
            d -> d.matMul(of(7, 2, 3), of(7, 3, 5), of(1, 2, 5))),
        bad("1x3 cannot be added to 2x5", d -> d.matMul(of(2, 3), of(3, 5), of(2, 5), 1, of(1, 3))),
        bad("5 cannot be added to 2x5", d -> d.matMul(of(2, 3), of(3, 5), of(2, 5), 1, of(5))),
        bad(
            "scale must be finite, not NaN",
            d -> d.matMul(of(2, 3), of(3, 5), of(2, 5), Float.NaN, null)),
        bad(
            "scale must be finite, not -Infinity",
            d -> d.matMul(of(2, 3), of(3, 5), of(2, 5), Float.NEGATIVE_INFINITY, null)),
        bad("rows must be 1 to 2147483647, not 0", d -> d.layerNorm(0, 1, 1)),
        bad("features must be 1 to 2147483647, not 0", d -> d.layerNorm(1, 0, 1)),
        bad("epsilon must be more than 0 and finite, not 0.0", d -> d.layerNorm(1, 1, 0)),
        bad("epsilon must be more than 0 and finite, not NaN", d -> d.layerNorm(1, 1, Float.NaN)),
        bad(
            "epsilon must be more than 0 and finite, not Infinity",
            d -> d.layerNorm(1, 1, Float.POSITIVE_INFINITY)),
        bad("rows must be 1 to 2147483647, not -3", d -> d.softmax(-3, 1)),
        bad("columns must be 1 to 2147483647, not 0", d -> d.softmax(1, 0)),
        bad("numel must be 1 to 2147483647, not 0", d -> d.gelu(0)),
        bad("rows must be 1 to 2147483647, not 0", d -> d.reduction(Reduction.Kind.SUM, 0, 1, 0)),
        bad(
            "columns must be 1 to 2147483647, not 0",
            d -> d.reduction(Reduction.Kind.SUM, 1, 0, 0)),
        bad("axis must be 0 or 1, not 2", d -> d.reduction(Reduction.Kind.MEAN, 1, 1, 2)),
        bad("axis must be 0 or 1, not -1", d -> d.reduction(Reduction.Kind.MEAN, 1, 1, -1)),
        bad(
            "numel must be 1 to 2147483647, not 0",
            d -> d.conversion(0, ElementType.FLOAT32, ElementType.FLOAT16)),
        bad(
            "there is no conversion from BFLOAT16 to FLOAT16: convert to FLOAT32 in between",
            d -> d.conversion(3, ElementType.BFLOAT16, ElementType.FLOAT16)),
        bad(
            "operands must be FLOAT32 or BFLOAT16, not FLOAT16",
            d -> d.linear(1, 1, 1, ElementType.FLOAT16)),
        bad(
            "operands must be FLOAT32 or BFLOAT16, not FLOAT16",
            d -> d.matMul(of(2, 3), of(3, 5), of(2, 5), 1, null, ElementType.FLOAT16)),
        bad(
            "there is no conversion from FLOAT16 to BFLOAT16: convert to FLOAT32 in between",
            d -> d.conversion(3, ElementType.FLOAT16, ElementType.BFLOAT16)));
  }

  @ParameterizedTest
  @MethodSource
  void operationsThatCannotBe(String message, ThrowingConsumer call) {
    illegalArgument(message, () -> call.accept(oneDnn));
    Cases.ofEveryMethod().forEach(this::works);
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"FLOAT32", "BFLOAT16", "FLOAT16"})
  void otherTypesAreRefusedFirst(ElementType type) {
    String refusal = " must be FLOAT32, BFLOAT16 or FLOAT16, not " + type;
    illegalArgument("from" + refusal, () -> oneDnn.conversion(0, type, type));
    illegalArgument("to" + refusal, () -> oneDnn.conversion(0, ElementType.FLOAT32, type));
  }

  static Stream<Arguments> operationsOfNull() {
    return Stream.of(
        bad("a is null", d -> d.matMul(null, of(3, 5), of(2, 5))),
        bad("b is null", d -> d.matMul(of(2, 3), null, of(2, 5))),
        bad("c is null", d -> d.matMul(of(2, 3), of(3, 5), null)),
        bad("operands is null", d -> d.linear(1, 1, 1, null)),
        bad("operands is null", d -> d.matMul(of(2, 3), of(3, 5), of(2, 5), 1, null, null)),
        bad("kind is null", d -> d.reduction(null, 1, 1, 0)),
        bad("from is null", d -> d.conversion(1, null, ElementType.FLOAT32)),
        bad("to is null", d -> d.conversion(1, ElementType.FLOAT32, null)));
  }

  @ParameterizedTest
  @MethodSource
  void operationsOfNull(String message, ThrowingConsumer call) {
    for (int i = 0; i < 2; i++) {
      nullPointer(message, () -> call.accept(oneDnn));
    }
  }

  @Test
  void anAddendIsGivenWhereThereIsOne() {
    MemorySegment s = arena.allocate(1000, 4);
    MatMul plain = oneDnn.matMul(of(2, 3), of(3, 5), of(2, 5));
    MatMul masked = oneDnn.matMul(of(2, 3), of(3, 5), of(2, 5), 1, of(1, 5));
    illegalState(
        "the product 2x3 by 3x5 was made without an addend", () -> plain.forward(s, s, s, s));
    illegalState(
        "the product 2x3 by 3x5 was made with an addend of 1x5", () -> masked.forward(s, s, s));
  }

  @Test
  void aBiasGradientIsNotSummedFromBfloat16() {
    MemorySegment s = arena.allocate(1000, 4);
    Linear linear = oneDnn.linear(2, 3, 5, ElementType.BFLOAT16);
    illegalArgument(
        "biasGrad of linear backward (weights) 2x3 to 2x5 of BFLOAT16 must be null: sum the rows of"
            + " a float32 dstGrad with a Reduction",
        () -> linear.backwardWeights(s, s, s, s));
  }

  @Test
  void threads() {
    for (int threads : new int[] {0, -1, 1025, Integer.MAX_VALUE}) {
      illegalArgument("threads must be 1 to 1024, not " + threads, () -> OneDnn.open(threads));
    }
  }

  /** Uses a wrong recipe: no public call is known that oneDNN refuses on every processor. */
  @Test
  void whatOneDnnRefusesLeavesNothingBehind() {
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(this::wrongProduct)
          .isInstanceOfSatisfying(
              OneDnnException.class, e -> assertThat(e.status()).isEqualTo("invalid_arguments"))
          .hasMessage("2x3 by 4x5: oneDNN says invalid_arguments");
    }
    Cases.ofEveryMethod().forEach(this::works);
  }

  private void wrongProduct() {
    Recipe recipe = new Recipe(engine, "2x3 by 4x5");
    Recipe.Argument a = recipe.reads("a", dnnl_h.DNNL_ARG_SRC(), of(2, 3));
    Recipe.Argument b = recipe.reads("b", dnnl_h.DNNL_ARG_WEIGHTS(), of(4, 5));
    Recipe.Argument c = recipe.writes("c", dnnl_h.DNNL_ARG_DST(), of(2, 5));
    Call call = recipe.product(a, b, null, c);
    call.bind(0, arena.allocate(24, 4))
        .bind(1, arena.allocate(80, 4))
        .bind(2, arena.allocate(40, 4));
    call.run();
  }
}
