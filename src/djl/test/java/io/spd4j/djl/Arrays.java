package io.spd4j.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import io.spd4j.ElementType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Supplier;

/** Arrays for the tests. */
final class Arrays {
  private Arrays() {}

  /** Returns an array in PyTorch's own memory, with values from -1 to 1. */
  static NDArray random(NDManager manager, SplittableRandom random, DataType type, long... shape) {
    Shape of = new Shape(shape);
    float[] values = new float[Math.toIntExact(of.size())];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextDouble(-1, 1);
    }
    // toType may share memory, which here belongs to a Java buffer; duplicate copies it.
    try (NDArray floats = manager.create(values, of);
        NDArray typed = floats.toType(type, false)) {
      return typed.duplicate();
    }
  }

  static NDArray random(NDManager manager, SplittableRandom random, long... shape) {
    return random(manager, random, DataType.FLOAT32, shape);
  }

  /** Returns a copy of the elements in row-major order. */
  static MemorySegment copy(NDArray array, Arena arena) {
    byte[] bytes = bytes(array);
    return arena.allocate(bytes.length, 64).copyFrom(MemorySegment.ofArray(bytes));
  }

  /** Returns the elements' bytes in row-major order. */
  static byte[] bytes(NDArray array) {
    ByteBuffer elements = array.toByteBuffer();
    byte[] bytes = new byte[elements.remaining()];
    elements.get(bytes);
    return bytes;
  }

  static byte[] bytes(MemorySegment segment) {
    return segment.toArray(ValueLayout.JAVA_BYTE);
  }

  static ElementType type(DataType type) {
    return type == DataType.FLOAT16 ? ElementType.FLOAT16 : ElementType.FLOAT32;
  }

  /** Returns the address of an array's own memory. */
  static long address(NDArray array) {
    return MemorySegment.ofBuffer(array.toByteBuffer(true)).address();
  }

  /**
   * Returns an array of another engine: some methods answer differently.
   *
   * @param answers by the method's name
   */
  static NDArray with(NDArray array, Map<String, Supplier<Object>> answers) {
    return (NDArray)
        Proxy.newProxyInstance(
            NDArray.class.getClassLoader(),
            new Class<?>[] {NDArray.class},
            (proxy, method, arguments) -> {
              Supplier<Object> answer = answers.get(method.getName());
              if (answer != null) {
                return answer.get();
              }
              try {
                return method.invoke(array, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
