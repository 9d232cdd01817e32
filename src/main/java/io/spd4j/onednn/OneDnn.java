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
 * oneDNN's operations on the CPU, forward and backward. Asked for an operation of the same shape
 * again, it gives the same object: its primitives (compiled for the shape when they are first used)
 * and the scratch memory, which all share, are kept until {@link #close}. So keep the number of
 * shapes small: a trainer rounds its sequence lengths up.
 *
 * <p>Confined to the thread that opened it, with everything it gives: others get a {@link
 * WrongThreadException}. Its threads are OpenMP's and belong to that thread, too.
 */
public final class OneDnn implements AutoCloseable {
  /** OpenMP ends the process if it cannot start as many threads as it was told to. */
  private static final int MAX_THREADS = 1024;

  private final Engine engine;
  private final Map<List<Object>, Object> operations = new HashMap<>();

  OneDnn(Engine engine) {
    this.engine = engine;
  }

  /**
   * Whether oneDNN can be used here, and why.
   *
   * @param available whether {@link OneDnn#open} works
   * @param reason in one sentence, what was found, or what is missing and how to get it
   */
  public record Availability(boolean available, String reason) {}

  /** Looks for libdnnl, once. Thread-safe; throws nothing. */
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
   * Opens oneDNN for the calling thread.
   *
   * @param threads that work on an operation, 1 to 1024, the caller's among them
   * @throws IllegalArgumentException if threads is out of range
   * @throws IllegalStateException if oneDNN is not available; the message says why
   * @throws OneDnnException if oneDNN fails
   */
  public static OneDnn open(int threads) {
    if (threads < 1 || threads > MAX_THREADS) {
      throw new IllegalArgumentException(
          "threads must be 1 to " + MAX_THREADS + ", not " + threads);
    }
    Availability availability = availability();
    if (!availability.available()) {
      throw new IllegalStateException("oneDNN is not available: " + availability.reason());
    }
    return new OneDnn(new Engine(threads));
  }

  /**
   * A linear layer.
   *
   * @param rows of the input: all leading dimensions together
   * @param in features of the input
   * @param out features of the output
   * @throws IllegalArgumentException if one is not 1 to 2³¹ − 1
   */
  public Linear linear(long rows, long in, long out) {
    return kept(List.of("linear", rows, in, out), () -> new Linear(engine, rows, in, out));
  }

  /**
   * A batch of matrix products, c = a·b.
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
   * A batch of scaled matrix products with something added, c = scale·a·b + addend.
   *
   * @param a [batch…, m, k]
   * @param b [batch…, k, n]
   * @param c [batch…, m, n]
   * @param scale finite
   * @param addend as c, where each size can also be 1: the same values all along that dimension (an
   *     attention mask); null: nothing is added
   * @throws IllegalArgumentException if the sizes do not fit together
   */
  public MatMul matMul(Layout a, Layout b, Layout c, float scale, Layout addend) {
    return kept(
        Arrays.asList("matMul", a, b, c, scale, addend),
        () -> new MatMul(engine, a, b, c, scale, addend));
  }

  /**
   * Layer normalization over the features of each row. What is compiled grows with the features: it
   * takes half a second for ten million.
   *
   * @param rows all leading dimensions together
   * @param features the normalized dimension
   * @param epsilon added to the variance, more than 0
   * @throws IllegalArgumentException if an argument is out of range
   */
  public LayerNorm layerNorm(long rows, long features, float epsilon) {
    return kept(
        List.of("layerNorm", rows, features, epsilon),
        () -> new LayerNorm(engine, rows, features, epsilon));
  }

  /**
   * Softmax over each row.
   *
   * @param rows all leading dimensions together
   * @param columns the dimension whose values will add up to 1
   * @throws IllegalArgumentException if one is not 1 to 2³¹ − 1
   */
  public Softmax softmax(long rows, long columns) {
    return kept(List.of("softmax", rows, columns), () -> new Softmax(engine, rows, columns));
  }

  /**
   * GELU of each element.
   *
   * @param numel the number of elements, 1 to 2³¹ − 1
   * @throws IllegalArgumentException if it is not 1 to 2³¹ − 1
   */
  public Gelu gelu(long numel) {
    return kept(List.of("gelu", numel), () -> new Gelu(engine, numel));
  }

  /**
   * The sum or the mean of each column or each row of a matrix.
   *
   * @param kind what is computed
   * @param rows of the matrix
   * @param columns of the matrix
   * @param axis what is reduced, as in NumPy: 0 for the rows (the result has a value for each
   *     column), 1 for the columns
   * @throws IllegalArgumentException if an argument is out of range
   */
  public Reduction reduction(Reduction.Kind kind, long rows, long columns, int axis) {
    return kept(
        Arrays.asList("reduction", kind, rows, columns, axis),
        () -> new Reduction(engine, kind, rows, columns, axis));
  }

  /**
   * A conversion of each element to another type.
   *
   * @param numel the number of elements, 1 to 2³¹ − 1
   * @param from FLOAT32, BFLOAT16 or FLOAT16
   * @param to FLOAT32, BFLOAT16 or FLOAT16
   * @throws IllegalArgumentException if numel is out of range, a type is another one, or one is
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
   * second time does nothing.
   *
   * @throws WrongThreadException if another thread opened it; nothing is freed
   */
  @Override
  public void close() {
    engine.close();
  }
}
