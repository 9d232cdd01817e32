package io.spd4j.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.invoke.MethodHandles;

/**
 * The loops over the whole vectors of a block, for one kind of step. They are written once, in
 * {@link VectorTemplate}, and loaded as a class of their own for each kind: to the JIT the kind is
 * a constant, and what one kind does cannot slow down another. One class for all is up to 2.5 times
 * slower in a JVM that has taken steps of several kinds.
 */
interface VectorLoops {
  /**
   * What a loop need not ask in each iteration.
   *
   * @param inRegisters whether the lanes of SPD's sums are four vectors each, and nothing is added
   *     to them behind the loop
   */
  record Kind(Rule rule, boolean anchored, boolean amsgrad, boolean inRegisters) {}

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
      long anchors,
      long expAvg,
      long expAvgSq,
      long max,
      Scalars k,
      int n,
      long lanes);

  /** SPD's projection of n elements, a multiple of the vector's. */
  void project(long param, long anchors, float shrink, int n);

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
      return (VectorLoops)
          MethodHandles.lookup()
              .defineHiddenClassWithClassData(template, kind, true)
              .lookupClass()
              .getDeclaredConstructor()
              .newInstance();
    } catch (ReflectiveOperationException e) {
      throw new AssertionError("this package may define its own classes", e);
    }
  }
}
