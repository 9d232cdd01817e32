package io.spd4j.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/**
 * The loops over the whole vectors of a block, for one kind of step. They are written once, in
 * {@link VectorTemplate}, and loaded as a separate class for each kind: the JIT sees the kind as a
 * constant, and no kind can slow down another. One class for all kinds is up to 2.5 times slower in
 * a JVM that has taken steps of several kinds.
 *
 * <p>The loops are called through method handles that are not constants to C2, so that C2 compiles
 * each loop alone, once it is hot. Otherwise C2 would inline a loop that has hardly run into a
 * caller that other kinds made hot, but not the methods that had not run yet: the loop's vectors
 * would go to the heap for good.
 */
final class VectorLoops {
  /**
   * What stays constant during a loop.
   *
   * @param types of the arrays that the step reads: an array that it does not is said to be float32
   * @param split whether the parameter is in two halves
   * @param inRegisters whether four vectors hold the lanes of each of SPD's sums, and nothing is
   *     added to the lanes after the loop
   */
  record Kind(
      Rule rule,
      Types types,
      boolean split,
      boolean anchored,
      boolean amsgrad,
      boolean inRegisters) {}

  private static final MethodType UPDATE =
      MethodType.methodType(void.class, VectorArrays.class, Scalars.class, int.class, long.class);
  private static final MethodType PROJECT =
      MethodType.methodType(void.class, VectorArrays.class, float.class, int.class);

  private final MethodHandle update;
  private final MethodHandle project;

  private VectorLoops(MethodHandle update, MethodHandle project) {
    this.update = update;
    this.project = project;
  }

  /** Returns the class file that all loops are made from. */
  static byte[] template() {
    try (InputStream code = VectorLoops.class.getResourceAsStream("VectorTemplate.class")) {
      if (code == null) {
        throw new IllegalStateException("VectorTemplate.class is not where VectorLoops.class is");
      }
      return code.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns the loops of a kind of step, in a new class. */
  static VectorLoops of(Kind kind, byte[] template) {
    try {
      MethodHandles.Lookup loops =
          MethodHandles.lookup().defineHiddenClassWithClassData(template, kind, true);
      return new VectorLoops(
          loops.findStatic(loops.lookupClass(), "update", UPDATE),
          loops.findStatic(loops.lookupClass(), "project", PROJECT));
    } catch (ReflectiveOperationException e) {
      throw new AssertionError("a class of this package cannot be defined", e);
    }
  }

  /**
   * Updates n elements, a multiple of the vector length. Arrays that the kind does not have are not
   * read.
   *
   * @param lanes the address of the lanes of SPD's sums: three sets of {@link BlockTable#LANES}
   *     floats, all 0 before. If the lanes are in registers, only the first vector of each set is
   *     written: the sum of all four
   */
  void update(VectorArrays arrays, Scalars k, int n, long lanes) {
    try {
      update.invokeExact(arrays, k, n, lanes);
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  /** Projects n elements, a multiple of the vector length. */
  void project(VectorArrays arrays, float shrink, int n) {
    try {
      project.invokeExact(arrays, shrink, n);
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  static Error unchecked(Throwable e) {
    if (e instanceof RuntimeException runtime) {
      throw runtime;
    }
    return e instanceof Error error ? error : new AssertionError("an undeclared exception", e);
  }
}
