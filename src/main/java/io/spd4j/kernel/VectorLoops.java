package io.spd4j.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;

/**
 * The loops over the whole vectors of a block, for one kind of step. They are written once, in
 * {@link VectorTemplate}, and loaded as a class of their own for each kind: to the JIT the kind is
 * a constant, and what one kind does cannot slow down another. One class for all is up to 2.5 times
 * slower in a JVM that has taken steps of several kinds.
 *
 * <p>They are called through method handles that are no constants to C2, so that it compiles each
 * loop alone, when that loop is hot. Into a caller that other kinds made hot it would inline one
 * that has hardly run, without the methods that did not run yet: its vectors went to the heap, for
 * good.
 */
final class VectorLoops {
  /**
   * What a loop need not ask in each iteration.
   *
   * @param inRegisters whether the lanes of SPD's sums are four vectors each, and nothing is added
   *     to them behind the loop
   */
  record Kind(Rule rule, boolean anchored, boolean amsgrad, boolean inRegisters) {}

  private static final MethodType UPDATE =
      MethodType.methodType(
          void.class,
          long.class,
          long.class,
          long.class,
          long.class,
          long.class,
          long.class,
          Scalars.class,
          int.class,
          long.class);
  private static final MethodType PROJECT =
      MethodType.methodType(void.class, long.class, long.class, float.class, int.class);

  private final MethodHandle update;
  private final MethodHandle project;

  private VectorLoops(MethodHandle update, MethodHandle project) {
    this.update = update;
    this.project = project;
  }

  /** The class file that all are made from. */
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

  /** The loops of a kind of step, in a new class. */
  static VectorLoops of(Kind kind, byte[] template) {
    try {
      MethodHandles.Lookup loops =
          MethodHandles.lookup().defineHiddenClassWithClassData(template, kind, true);
      return new VectorLoops(
          loops.findStatic(loops.lookupClass(), "update", UPDATE),
          loops.findStatic(loops.lookupClass(), "project", PROJECT));
    } catch (ReflectiveOperationException e) {
      throw new AssertionError("this package may define its own classes", e);
    }
  }

  /**
   * Updates n elements, a multiple of the vector's, of the arrays at these addresses; an array that
   * the kind has not is not read.
   *
   * @param lanes where the lanes of SPD's sums lie, three sets of {@link BlockTable#LANES} floats,
   *     0 before; if they are in registers, the first vector of each set is written: the four of
   *     them added up
   */
  void update(
      long param,
      long grad,
      long anchor,
      long expAvg,
      long expAvgSq,
      long maxExpAvgSq,
      Scalars k,
      int n,
      long lanes) {
    try {
      update.invokeExact(param, grad, anchor, expAvg, expAvgSq, maxExpAvgSq, k, n, lanes);
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  /** SPD's projection of n elements, a multiple of the vector's. */
  void project(long param, long anchor, float shrink, int n) {
    try {
      project.invokeExact(param, anchor, shrink, n);
    } catch (Throwable e) {
      throw unchecked(e);
    }
  }

  private static Error unchecked(Throwable e) {
    if (e instanceof RuntimeException runtime) {
      throw runtime;
    }
    return e instanceof Error error ? error : new AssertionError("not declared", e);
  }
}
