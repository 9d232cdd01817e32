package io.spd4j.kernel;

/** The kernels' decay rules, in the order of {@code spd4j_rule}. */
public enum Rule {
  /** θ·(1−ηλ) − u; with a factor of 1 plain Adam. */
  ADAMW,
  /** (θ − ηλ·(θ−θ0)) − u. */
  L2SP,
  /** θ − u with λ·(θ−θ0) added to the gradient. */
  L2SP_COUPLED,
  /** θ − u and the sums that decide on the projection. */
  SPD
}
