package io.spd4j.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;

/**
 * The loops over the whole vectors of a block, for one kind of step. They are written once, in
 * {@link VectorTemplate}, and loaded as a class of their own for each kind: to the JIT the kind is
 * a constant, and what one kind does cannot slow down another. One class for all is up to 2.5 times
 * slower in a JVM that has taken steps of several kinds.
 */
interface VectorLoops {
  /** What a loop need not ask in each iteration. */
  record Kind(Rule rule, boolean anchored, boolean amsgrad) {}

  /** The elements of a block up to a bound; for SPD also their lanes, which are 0 before. */
  void update(
      BlockTable table, long block, TensorArrays a, Scalars k, int bound, MemorySegment lanes);

  /** SPD's projection of the elements of a block up to a bound. */
  void project(BlockTable table, long block, TensorArrays a, float shrink, int bound);

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
