package io.spd4j.oracle;

/** How a run computes whose results are compared with float64. */
public enum Computation {
  /**
   * As native/NUMERICS.md says: in float32, with SPD's sums in lanes and blocks and its decision in
   * float64.
   */
  CONTRACT(Arithmetic.FLOAT32, Arithmetic.FLOAT64) {
    @Override
    Sum sum() {
      return new Sum.InBlocks();
    }

    @Override
    Bounded stored(double x) {
      return Bounded.exact(x);
    }
  },

  /**
   * By another program, in float32 or a higher precision: the same equations, at most two
   * operations for each of the contract's, sums in any order, the decision also in float32, and
   * everything rounded to float32 when recorded.
   */
  RECORDED(Arithmetic.TWICE, Arithmetic.TWICE) {
    @Override
    Sum sum() {
      return new Sum.InAnyOrder();
    }

    @Override
    Bounded stored(double x) {
      return Arithmetic.FLOAT32.rounded(x, 0);
    }
  };

  /** The arithmetic of the elements. */
  final Arithmetic elements;

  /** The arithmetic of SPD's decision. */
  final Arithmetic decision;

  Computation(Arithmetic elements, Arithmetic decision) {
    this.elements = elements;
    this.decision = decision;
  }

  /** Returns a new sum over a tensor's elements. */
  abstract Sum sum();

  /** Returns the number with which a run continues after it left x in memory. */
  abstract Bounded stored(double x);
}
