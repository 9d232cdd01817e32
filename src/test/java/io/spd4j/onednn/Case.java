package io.spd4j.onednn;

import io.spd4j.ElementType;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import java.util.function.Function;

/** A call of one method: its arguments in the method's order, with the expected results. */
public final class Case {
  /** A method of an operation that was made. */
  public interface Call {
    void run(MemorySegment... arguments);
  }

  /**
   * An argument.
   *
   * @param in its values; null if it is not read
   * @param expected the result; null if it is not written
   * @param tolerance of each expected element
   * @param over another argument that may be the same segment, or null
   */
  public record Argument(
      String name,
      ElementType type,
      double[] in,
      double[] expected,
      double[] tolerance,
      String over) {
    public boolean written() {
      return expected != null;
    }

    public int numel() {
      return in == null ? expected.length : in.length;
    }

    public long bytes() {
      return (long) numel() * type.byteSize();
    }
  }

  private final String what;
  private final String variant;
  private final Function<OneDnn, Call> maker;
  private final List<Argument> arguments = new ArrayList<>();

  /**
   * @param what the operation with its shape, as in messages
   * @param variant distinguishes cases that have the same messages
   */
  <T> Case(
      String what,
      String variant,
      Function<OneDnn, T> operation,
      BiConsumer<T, MemorySegment[]> method) {
    this.what = what;
    this.variant = variant;
    maker =
        dnn -> {
          T made = operation.apply(dnn);
          return arguments -> method.accept(made, arguments);
        };
  }

  Case reads(String name, double[] in) {
    return reads(name, ElementType.FLOAT32, in);
  }

  Case reads(String name, ElementType type, double[] in) {
    arguments.add(new Argument(name, type, in, null, null, null));
    return this;
  }

  /** Each element may be off by the magnitude of what went into it times the factor. */
  Case writes(String name, double[] expected, double[] magnitude, double factor) {
    return writesOver(null, name, expected, magnitude, factor);
  }

  Case writesOver(String over, String name, double[] expected, double[] magnitude, double factor) {
    return writes(name, ElementType.FLOAT32, null, expected, scaled(magnitude, factor), over);
  }

  Case addsTo(String name, double[] in, double[] expected, double[] magnitude, double factor) {
    return writes(name, ElementType.FLOAT32, in, expected, scaled(magnitude, factor), null);
  }

  Case writesExactly(String name, ElementType type, double[] expected) {
    return writes(name, type, null, expected, new double[expected.length], null);
  }

  private Case writes(
      String name,
      ElementType type,
      double[] in,
      double[] expected,
      double[] tolerance,
      String over) {
    arguments.add(new Argument(name, type, in, expected, tolerance, over));
    return this;
  }

  private static double[] scaled(double[] values, double factor) {
    double[] scaled = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      scaled[i] = Math.abs(values[i]) * factor;
    }
    return scaled;
  }

  public String what() {
    return what;
  }

  public List<Argument> arguments() {
    return arguments;
  }

  /** Returns an argument's index. */
  int indexOf(String name) {
    return arguments.stream().map(Argument::name).toList().indexOf(name);
  }

  public Call of(OneDnn oneDnn) {
    return maker.apply(oneDnn);
  }

  @Override
  public String toString() {
    return what + (variant.isEmpty() ? "" : ", " + variant);
  }
}
