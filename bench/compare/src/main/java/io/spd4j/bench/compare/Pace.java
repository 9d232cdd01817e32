package io.spd4j.bench.compare;

/**
 * How thoroughly a case is measured.
 *
 * @param checkedNumel tensors are cut to as many elements for the comparison of results
 * @param warmUpSeconds for each competitor
 * @param turnSeconds how long a competitor steps when it is its turn, if one step is not longer
 * @param rounds at the most
 * @param caseSeconds after which no round begins, once there are three
 */
record Pace(
    long checkedNumel, double warmUpSeconds, double turnSeconds, int rounds, double caseSeconds) {
  static final Pace FULL = new Pace(1 << 20, 0.7, 0.06, 15, 8);
  static final Pace QUICK = new Pace(1 << 16, 0.2, 0.02, 7, 2);
  static final int MIN_ROUNDS = 3;
}
