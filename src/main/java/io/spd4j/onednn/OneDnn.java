package io.spd4j.onednn;

import io.spd4j.ElementType;
import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.generated.dnnl.dnnl_version_t;
import io.spd4j.nativelib.NativeLibrary;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * oneDNN's operations on the CPU, forward and backward. Asking again for an operation of the same
 * shape returns the same object. Its primitives, which are compiled for the shape in the first call
 * whose arguments are right, and the scratch memory, which all operations share, are kept until
 * {@link #close}. So keep the number of shapes small: a trainer should round up its sequence
 * lengths.
 *
 * <p>Confined to the thread that opened it, as are its operations: other threads get a {@link
 * WrongThreadException}. The worker threads are OpenMP's and belong to that thread too.
 */
public final class OneDnn implements AutoCloseable {
  /** A limit, because OpenMP ends the process if it cannot start the threads asked for. */
  private static final int MAX_THREADS = 1024;

  private final Engine engine;
  private final Map<List<Object>, Object> operations = new HashMap<>();

  OneDnn(Engine engine) {
    this.engine = engine;
  }

  /**
   * Whether oneDNN can be used here, and the reason.
   *
   * @param available whether {@link OneDnn#open} works
   * @param reason one sentence: what was found, or what is missing and how to get it
   */
  public record Availability(boolean available, String reason) {}

  /** Looks for libdnnl, at the first call only. Thread-safe; never throws. */
  public static Availability availability() {
    NativeLibrary library = NativeLibrary.dnnl();
    if (!library.loaded()) {
      return new Availability(false, library.reason());
    }
    return new Availability(true, library.reason() + ", oneDNN " + version());
  }

  private static String version() {
    MemorySegment version = dnnl_h.dnnl_version().reinterpret(dnnl_version_t.layout().byteSize());
    return "%d.%d.%d"
        .formatted(
            dnnl_version_t.major(version),
            dnnl_version_t.minor(version),
            dnnl_version_t.patch(version));
  }

  /**
   * What {@link MathMode#AUTO} takes on this machine.
   *
   * @param mode FLOAT32 or BF16
   * @param reason why, a part of a sentence
   */
  public record MathChoice(MathMode mode, String reason) {}

  /**
   * Returns what {@link MathMode#AUTO} takes here. Thread-safe.
   *
   * @throws IllegalStateException if oneDNN is not available; the message says why
   */
  public static MathChoice autoMath() {
    checkAvailable();
    int bfloat16 = dnnl_h.dnnl_cpu_isa_avx512_core_bf16(); // with the bits of all that it includes
    return (dnnl_h.dnnl_get_effective_cpu_isa() & bfloat16) == bfloat16
        ? new MathChoice(MathMode.BF16, "the processor has instructions for bfloat16 products")
        : new MathChoice(MathMode.FLOAT32, "oneDNN finds no instructions for bfloat16 products");
  }

  /**
   * Opens oneDNN for the calling thread, with {@link MathMode#FLOAT32}.
   *
   * @param threads how many threads work on an operation, 1 to 1024, including the caller's
   * @throws IllegalArgumentException if threads is out of range
   * @throws IllegalStateException if oneDNN is not available; the message says why
   * @throws OneDnnException if oneDNN fails
   */
  public static OneDnn open(int threads) {
    return builder().threads(threads).open();
  }

  /** Returns a builder with one thread and {@link MathMode#FLOAT32}. */
  public static Builder builder() {
    return new Builder();
  }

  /** Settings with which oneDNN is opened. Not thread-safe. */
  public static final class Builder {
    private int threads = 1;
    private MathMode math = MathMode.FLOAT32;

    private Builder() {}

    /**
     * Sets how many threads work on an operation, including the caller's.
     *
     * @param threads 1 to 1024
     * @throws IllegalArgumentException if threads is out of range
     */
    public Builder threads(int threads) {
      if (threads < 1 || threads > MAX_THREADS) {
        throw new IllegalArgumentException(
            "threads must be 1 to " + MAX_THREADS + ", not " + threads);
      }
      this.threads = threads;
      return this;
    }

    /**
     * Sets how matrix products are computed.
     *
     * @throws NullPointerException if math is null
     */
    public Builder math(MathMode math) {
      this.math = Check.notNull("math", math);
      return this;
    }

    /**
     * Opens oneDNN for the calling thread.
     *
     * @throws IllegalStateException if oneDNN is not available; the message says why
     * @throws OneDnnException if oneDNN fails
     */
    public OneDnn open() {
      checkAvailable();
      return new OneDnn(new Engine(threads, math == MathMode.AUTO ? autoMath().mode() : math));
    }
  }

  private static void checkAvailable() {
    Availability availability = availability();
    if (!availability.available()) {
      throw new IllegalStateException("oneDNN is not available: " + availability.reason());
    }
  }

  /**
   * Returns how matrix products are computed: FLOAT32 or BF16, what AUTO took if it was asked for.
   */
  public MathMode math() {
    return engine.math();
  }

  /**
   * Returns a linear layer over float32 arrays.
   *
   * @param rows the rows of the input: all leading dimensions together
   * @param in the features of the input
   * @param out the features of the output
   * @throws IllegalArgumentException if an argument is not 1 to 2³¹ − 1, or an array would have
   *     more than {@link Layout#MAX_NUMEL} elements
   */
  public Linear linear(long rows, long in, long out) {
    return linear(rows, in, out, ElementType.FLOAT32);
  }

  /**
   * Returns a linear layer. With operands in bfloat16, which a {@link Conversion} makes, each array
   * is rounded once, however many products read it. Where {@link MathMode#BF16} rounds, the results
   * are the same; but that mode leaves some products in float32. The first call throws {@link
   * OneDnnException} if oneDNN has no products of bfloat16 for the processor.
   *
   * @param rows the rows of the input: all leading dimensions together
   * @param in the features of the input
   * @param out the features of the output
   * @param operands FLOAT32 or BFLOAT16: the type of src, weight and dstGrad
   * @throws IllegalArgumentException if a size is not 1 to 2³¹ − 1, an array would have more than
   *     {@link Layout#MAX_NUMEL} elements, or operands is another type
   */
  public Linear linear(long rows, long in, long out, ElementType operands) {
    return kept(
        Arrays.asList("linear", rows, in, out, operands),
        () -> new Linear(engine, rows, in, out, operands));
  }

  /**
   * Returns a batch of matrix products of float32 arrays, c = a·b.
   *
   * @param a [batch…, m, k]
   * @param b [batch…, k, n]
   * @param c [batch…, m, n]
   * @throws IllegalArgumentException if the sizes do not fit together
   */
  public MatMul matMul(Layout a, Layout b, Layout c) {
    return matMul(a, b, c, 1, null);
  }

  /**
   * Returns a batch of scaled matrix products of float32 arrays with an addend, c = scale·a·b +
   * addend.
   *
   * @param a [batch…, m, k]
   * @param b [batch…, k, n]
   * @param c [batch…, m, n]
   * @param scale finite
   * @param addend has c's sizes, or 1 where the same values repeat along a dimension (an attention
   *     mask); null adds nothing
   * @throws IllegalArgumentException if the sizes do not fit together
   */
  public MatMul matMul(Layout a, Layout b, Layout c, float scale, Layout addend) {
    return matMul(a, b, c, scale, addend, ElementType.FLOAT32);
  }

  /**
   * Returns a batch of scaled matrix products with an addend, c = scale·a·b + addend. About
   * operands in bfloat16 see {@link #linear(long, long, long, ElementType)}.
   *
   * @param a [batch…, m, k]
   * @param b [batch…, k, n]
   * @param c [batch…, m, n]
   * @param scale finite
   * @param addend has c's sizes, or 1 where the same values repeat along a dimension (an attention
   *     mask); null adds nothing
   * @param operands FLOAT32 or BFLOAT16: the type of a, b and cGrad
   * @throws IllegalArgumentException if the sizes do not fit together, or operands is another type
   */
  public MatMul matMul(
      Layout a, Layout b, Layout c, float scale, Layout addend, ElementType operands) {
    return kept(
        Arrays.asList("matMul", a, b, c, scale, addend, operands),
        () -> new MatMul(engine, a, b, c, scale, addend, operands));
  }

  /**
   * Returns a layer normalization over the features of each row. The compiled code grows with the
   * number of features: compiling takes up to two seconds for ten million.
   *
   * @param rows all leading dimensions together, 1 to 2³¹ − 1
   * @param features the normalized dimension, 1 to {@link LayerNorm#MAX_FEATURES}
   * @param epsilon added to the variance, more than 0
   * @throws IllegalArgumentException if an argument is out of range, or an array would have more
   *     than {@link Layout#MAX_NUMEL} elements
   */
  public LayerNorm layerNorm(long rows, long features, float epsilon) {
    return kept(
        List.of("layerNorm", rows, features, epsilon),
        () -> new LayerNorm(engine, rows, features, epsilon));
  }

  /**
   * Returns a softmax over each row.
   *
   * @param rows all leading dimensions together
   * @param columns the dimension whose values will add up to 1
   * @throws IllegalArgumentException if an argument is not 1 to 2³¹ − 1, or an array would have
   *     more than {@link Layout#MAX_NUMEL} elements
   */
  public Softmax softmax(long rows, long columns) {
    return kept(List.of("softmax", rows, columns), () -> new Softmax(engine, rows, columns));
  }

  /**
   * Returns a GELU of each element.
   *
   * @param numel the number of elements, 1 to 2³¹ − 1
   * @throws IllegalArgumentException if numel is out of range
   */
  public Gelu gelu(long numel) {
    return kept(List.of("gelu", numel), () -> new Gelu(engine, numel));
  }

  /**
   * Returns the sum or the mean of each column or each row of a matrix.
   *
   * @param kind sum or mean
   * @param rows the rows of the matrix, 1 to 2³¹ − 1
   * @param columns the columns of the matrix, 1 to 2³¹ − 1
   * @param axis the reduced dimension, as in NumPy: 0 for the rows (the result has a value for each
   *     column), 1 for the columns
   * @throws IllegalArgumentException if an argument is out of range, or an array would have more
   *     than {@link Layout#MAX_NUMEL} elements
   */
  public Reduction reduction(Reduction.Kind kind, long rows, long columns, int axis) {
    return kept(
        Arrays.asList("reduction", kind, rows, columns, axis),
        () -> new Reduction(engine, kind, rows, columns, axis));
  }

  /**
   * Returns a conversion of each element to another type.
   *
   * @param numel the number of elements, 1 to 2³¹ − 1
   * @param from FLOAT32, BFLOAT16 or FLOAT16
   * @param to FLOAT32, BFLOAT16 or FLOAT16
   * @throws IllegalArgumentException if numel is out of range, a type is none of these, or one is
   *     BFLOAT16 and the other FLOAT16: convert to FLOAT32 in between
   */
  public Conversion conversion(long numel, ElementType from, ElementType to) {
    return kept(
        Arrays.asList("conversion", numel, from, to),
        () -> new Conversion(engine, numel, from, to));
  }

  private <T> T kept(List<Object> key, Supplier<T> maker) {
    engine.checkUsable();
    Object operation = operations.get(key);
    if (operation == null) {
      operation = maker.get();
      operations.put(key, operation);
    }
    @SuppressWarnings("unchecked") // the key's first element names the type
    T typed = (T) operation;
    return typed;
  }

  /**
   * Frees everything. Operations that are called later throw {@link IllegalStateException}. A
   * second call does nothing.
   *
   * @throws WrongThreadException if another thread opened it; then nothing is freed
   */
  @Override
  public void close() {
    engine.close();
  }
}
