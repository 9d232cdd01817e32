package io.spd4j.oracle;

/** How a run computes that float64 is compared with. */
public enum Computation {
  /**
   * As native/NUMERICS.md says: float32, SPD's sums in lanes and blocks, its decision in float64.
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
   * By another program, in any precision from float32 up: the same equations in operations of its
   * own, at most two for each of the contract's, with sums in any order, the decision in float32,
   * too, and everything rounded to float32 when it was recorded.
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

  /** That of elements. */
  final Arithmetic elements;

  /** That of SPD's decision. */
  final Arithmetic decision;

  Computation(Arithmetic elements, Arithmetic decision) {
    this.elements = elements;
    this.decision = decision;
  }

  /** A sum over a tensor's elements. */
  abstract Sum sum();

  /** What a run goes on with that has left x in memory. */
  abstract Bounded stored(double x);
}
