package io.spd4j.djl;

import ai.djl.ndarray.types.Shape;
import io.spd4j.ElementType;
import io.spd4j.Parameter;
import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.NoSuchElementException;
import java.util.function.UnaryOperator;
import java.util.stream.LongStream;

/**
 * The pre-trained values of the parameters.
 *
 * @param file has them; null for the values that parameters have when they are first updated
 * @param tensorName maps a parameter's name to that of its tensor in the file
 */
record Anchors(SafetensorsFile file, UnaryOperator<String> tensorName) {
  /** Bytes of a cache line and of the widest vector. */
  static final long ALIGNMENT = 64;

  /** The values that parameters have when they are first updated. */
  static final Anchors AT_START = new Anchors(null, UnaryOperator.identity());

  /**
   * Gives a parameter its anchor.
   *
   * @param name the parameter's
   * @param data its present values
   * @throws IllegalArgumentException if the file has no such tensor, or one of another shape or of
   *     a type that steps do not take
   */
  void give(
      Parameter.Builder parameter,
      String name,
      Shape shape,
      MemorySegment data,
      ElementType type,
      Arena arena) {
    if (file == null) {
      parameter.anchor(copy(data, arena), type);
      return;
    }
    Tensor tensor = tensor(name);
    if (!tensor.shape().equals(LongStream.of(shape.getShape()).boxed().toList())) {
      throw new IllegalArgumentException(
          "anchor of %s has shape %s in the file, not %s".formatted(name, tensor.shape(), shape));
    }
    // A file need not align its tensors.
    boolean aligned = tensor.data().address() % tensor.dtype().byteSize() == 0;
    parameter.anchor(aligned ? tensor.data() : copy(tensor.data(), arena), tensor.dtype());
  }

  private Tensor tensor(String name) {
    try {
      return file.tensor(tensorName.apply(name));
    } catch (NoSuchElementException e) {
      throw new IllegalArgumentException("anchor of " + name + " is missing", e);
    }
  }

  private static MemorySegment copy(MemorySegment values, Arena arena) {
    return arena.allocate(values.byteSize(), ALIGNMENT).copyFrom(values);
  }
}
