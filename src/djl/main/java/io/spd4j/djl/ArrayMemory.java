package io.spd4j.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import io.spd4j.ElementType;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * The memory of NDArrays. The methods may make temporary arrays: call them in an {@link
 * ai.djl.ndarray.NDScope}, which frees these.
 */
final class ArrayMemory {
  private ArrayMemory() {}

  /**
   * Returns the type of an array's elements.
   *
   * @param what names the array in messages
   * @throws IllegalArgumentException if steps do not take the type, or the array is too large
   */
  static ElementType type(String what, NDArray array) {
    ElementType type =
        switch (array.getDataType()) {
          case FLOAT32 -> ElementType.FLOAT32;
          case FLOAT16 -> ElementType.FLOAT16;
          default ->
              throw new IllegalArgumentException(
                  what + " is " + array.getDataType().name() + ", not FLOAT32 or FLOAT16");
        };
    long bytes = array.size() * type.byteSize();
    if (bytes > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          what + " has " + bytes + " bytes; DJL gives access to at most " + Integer.MAX_VALUE);
    }
    return type;
  }

  /**
   * Returns the elements in row-major order: the array's own memory if the engine and the device
   * allow it ({@link #isOwn}), else a copy.
   */
  static ByteBuffer elements(NDArray array) {
    return array.toByteBuffer(true);
  }

  /** Returns whether elements are an array's own memory. */
  static boolean isOwn(ByteBuffer elements, NDArray array) {
    if (!elements.isDirect()) {
      return false;
    }
    // While the first is reachable and the scope open, a copy would lie elsewhere.
    ByteBuffer again = elements(array);
    boolean own = again.isDirect() && address(again) == address(elements);
    Reference.reachabilityFence(elements);
    return own;
  }

  /** Returns the address of the elements in a direct buffer. */
  static long address(ByteBuffer elements) {
    return MemorySegment.ofBuffer(elements).address();
  }

  /** Sets all elements to 0, NaNs included. */
  static void zero(NDArray array) {
    ByteBuffer elements = elements(array);
    if (isOwn(elements, array)) {
      MemorySegment.ofBuffer(elements).fill((byte) 0);
    } else {
      array.set(new NDIndex("..."), 0);
    }
  }

  /**
   * Replaces the elements of an array in place.
   *
   * @param values in row-major order, of the array's type
   */
  static void replace(NDArray array, MemorySegment values) {
    // Its elements are the array's, but it takes part in no gradient: so the engine lets us write.
    NDArray alias = array.stopGradient();
    try (NDManager manager = array.getManager().newSubManager(array.getDevice())) {
      ByteBuffer buffer = values.asByteBuffer().order(ByteOrder.nativeOrder());
      NDArray source = manager.create(buffer, array.getShape(), array.getDataType());
      alias.set(new NDIndex("..."), source);
    }
  }
}
