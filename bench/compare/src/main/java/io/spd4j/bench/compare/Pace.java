package io.spd4j.bench.compare;

/**
 * How thoroughly a case is measured.
 *
 * @param checkedNumel tensors are cut to this many elements when results are compared
 * @param warmUpSeconds seconds of warm-up for each competitor
 * @param turnSeconds seconds of a competitor's turn, unless one step takes longer
 * @param rounds the largest number of rounds
 * @param caseSeconds no round begins after this many seconds, once there are three rounds
 */
record Pace(
    long checkedNumel, double warmUpSeconds, double turnSeconds, int rounds, double caseSeconds) {
  static final Pace FULL = new Pace(1 << 20, 0.7, 0.06, 15, 8);
  static final Pace QUICK = new Pace(1 << 16, 0.2, 0.02, 7, 2);
  static final int MIN_ROUNDS = 3;
}
