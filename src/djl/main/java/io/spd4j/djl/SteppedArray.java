package io.spd4j.djl;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDScope;
import ai.djl.ndarray.types.Shape;
import io.spd4j.DecayRule;
import io.spd4j.ElementType;
import io.spd4j.MomentType;
import io.spd4j.NoDecay;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.WeightDecay;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;

/**
 * A weight on one device, and the parameter that steps it: in the weight's own memory or, if the
 * engine gives no access to that, in a copy. Call the methods in an {@link NDScope}.
 */
final class SteppedArray implements AutoCloseable {
  private final String name;
  private final Shape shape;
  private final ElementType type;
  private final Arena arena;

  /**
   * Shares the weight's memory, so that it is not freed, nor used for another array, when the
   * weight is closed. Null if a copy is stepped.
   */
  private final NDArray holder;

  private final MemorySegment data;
  private final Parameter parameter;
  private ParameterGroup group;

  /** Keeps the memory of the gradient that the present step reads. */
  private ByteBuffer gradient;

  private MemorySegment gradientCopy;
  private boolean checkedDelivery;

  /**
   * @param name the parameter's, unique in the optimizer
   * @param tensor the name by which anchors are found
   * @param arena for the anchor and copies
   * @throws IllegalArgumentException if the weight or the anchor cannot be used
   */
  SteppedArray(
      String name,
      String tensor,
      NDArray weight,
      DecayRule rule,
      Anchors anchors,
      MomentType moments,
      Arena arena) {
    this.name = name;
    this.arena = arena;
    shape = weight.getShape();
    type = ArrayMemory.type("weight of " + name, weight);
    if (weight.isSparse()) {
      throw new IllegalArgumentException("weight of " + name + " is sparse");
    }
    ByteBuffer elements = ArrayMemory.elements(weight);
    MemorySegment values = MemorySegment.ofBuffer(elements);
    holder = ArrayMemory.isOwn(elements, weight) ? holder(weight, values.address()) : null;
    try {
      Parameter.Builder builder;
      if (holder != null) {
        builder = Parameter.ofAddress(name, values.address(), weight.size(), type);
      } else {
        builder =
            Parameter.builder(name, arena.allocate(values.byteSize(), Anchors.ALIGNMENT), type);
      }
      if (!(rule instanceof NoDecay || rule instanceof WeightDecay)) {
        anchors.give(builder, tensor, shape, values, type, arena);
      }
      parameter = builder.gradient(null, type).momentType(moments).build();
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
    data = parameter.data();
  }

  private static NDArray holder(NDArray weight, long address) {
    NDArray holder = weight.stopGradient();
    ByteBuffer elements = ArrayMemory.elements(holder);
    if (!elements.isDirect() || ArrayMemory.address(elements) != address) {
      return null; // an engine that copies here
    }
    holder.detach();
    NDScope.unregister(holder);
    return holder;
  }

  Parameter parameter() {
    return parameter;
  }

  ParameterGroup group() {
    return group;
  }

  void group(ParameterGroup group) {
    this.group = group;
  }

  /** Returns the name of the parameter. */
  String name() {
    return name;
  }

  /**
   * Checks that a weight and its gradient can be stepped together.
   *
   * @throws IllegalArgumentException if they cannot
   */
  static void checkFit(String name, NDArray weight, NDArray grad) {
    ElementType type = ArrayMemory.type("weight of " + name, weight);
    ElementType other = ArrayMemory.type("gradient of " + name, grad);
    if (!grad.getShape().equals(weight.getShape())) {
      throw new IllegalArgumentException(
          "gradient of %s has shape %s, not %s"
              .formatted(name, grad.getShape(), weight.getShape()));
    }
    if (other != type) {
      throw new IllegalArgumentException("gradient of " + name + " is " + other + ", not " + type);
    }
  }

  /**
   * Checks the arrays of a step.
   *
   * @throws IllegalArgumentException if they do not fit this parameter
   */
  void check(NDArray weight, NDArray grad) {
    checkShape("weight", weight);
    checkShape("gradient", grad);
    checkType("weight", weight);
    checkType("gradient", grad);
  }

  private void checkShape(String array, NDArray actual) {
    if (!actual.getShape().equals(shape)) {
      throw new IllegalArgumentException(
          "%s of %s has shape %s, not %s".formatted(array, name, actual.getShape(), shape));
    }
  }

  private void checkType(String array, NDArray actual) {
    String what = array + " of " + name;
    ElementType actualType = ArrayMemory.type(what, actual);
    if (actualType != type) {
      throw new IllegalArgumentException(what + " is " + actualType + ", not " + type);
    }
  }

  /** Makes the arrays those that the next step reads and writes; throws as {@link #bring}. */
  void bring(NDArray weight, NDArray grad) {
    bring(weight);
    gradient = ArrayMemory.elements(grad.isSparse() ? grad.toDense() : grad);
    if (gradient.isDirect()) {
      parameter.gradient(ArrayMemory.address(gradient));
    } else {
      if (gradientCopy == null) {
        gradientCopy = arena.allocate(gradient.remaining(), Anchors.ALIGNMENT);
      }
      parameter.gradient(gradientCopy.copyFrom(MemorySegment.ofBuffer(gradient)));
    }
  }

  /**
   * Copies the weight if a copy is stepped.
   *
   * @throws IllegalStateException if the weight is closed or no longer lies where it was stepped
   */
  void bring(NDArray weight) {
    ByteBuffer elements = ArrayMemory.elements(weight);
    if (holder == null) {
      data.copyFrom(MemorySegment.ofBuffer(elements));
    } else if (ArrayMemory.address(elements) != data.address()) {
      // The memory where it was may be freed: not even a copy can be stepped there.
      throw new IllegalStateException(
          "the weight of "
              + name
              + " was moved to other memory after its first update, as NDArray.set and copyTo do:"
              + " build a new optimizer");
    }
  }

  /** Leaves this parameter out of the next step of all parameters. */
  void leaveOut() {
    gradient = null;
    parameter.gradient(null);
  }

  /** Returns whether a copy is stepped, and not the weight's own memory. */
  boolean isCopy() {
    return holder == null;
  }

  /**
   * Gives the weight its new values if a copy was stepped.
   *
   * @throws IllegalStateException if the engine does not let them reach the weight
   */
  void deliver(NDArray weight) {
    if (!isCopy()) {
      return;
    }
    ArrayMemory.replace(weight, data);
    if (!checkedDelivery) {
      if (data.mismatch(MemorySegment.ofBuffer(ArrayMemory.elements(weight))) >= 0) {
        throw new IllegalStateException(
            "the engine does not let new values reach the weight of " + name);
      }
      checkedDelivery = true;
    }
  }

  /** Lets go of the weight's memory. */
  @Override
  public void close() {
    if (holder != null) {
      holder.close();
    }
  }
}
