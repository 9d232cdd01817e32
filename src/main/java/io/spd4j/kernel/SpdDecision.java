package io.spd4j.kernel;

/**
 * What SPD did in its last step of a tensor, as the sums it decided on, and so far: c = −Σ g·(θ−θ0)
 * below 0 selects the tensor, r = (γ1−γ0)/γ1 within [0, 1] is how much of its deviation is new.
 *
 * @param step the tensor's step count at that step
 * @param gradDot Σ g·(θ−θ0), before the update
 * @param devSq Σ (θ−θ0)², before the update
 * @param newDevSq Σ (θ̃−θ0)², after the update and before the projection
 * @param shrink λ·r if the tensor was selected, else 0
 * @param checked steps in which SPD looked at the tensor
 * @param selections steps in which it selected it
 * @param ratioSum the sum of r over the selections
 */
public record SpdDecision(
    long step,
    double gradDot,
    double devSq,
    double newDevSq,
    float shrink,
    long checked,
    long selections,
    double ratioSum) {
  /** c, from the sum of g·(θ−θ0). */
  static double condition(double gradDot) {
    return -gradDot;
  }

  /** r, from the squared deviations before the update and after it. */
  static double ratio(double devSq, double newDevSq) {
    double before = Math.sqrt(devSq);
    double updated = Math.sqrt(newDevSq);
    return updated > 0 ? Math.clamp((updated - before) / updated, 0.0, 1.0) : 0;
  }

  /** λ·r, rounded once to float. */
  static float shrink(double lambda, double ratio) {
    return (float) (lambda * ratio);
  }

  /** c. */
  public double condition() {
    return condition(gradDot);
  }

  /** Whether c was below 0. */
  public boolean selected() {
    return condition() < 0;
  }

  /** r. */
  public double ratio() {
    return ratio(devSq, newDevSq);
  }

  /** ‖θ−θ0‖ before the step. */
  public double deviationBefore() {
    return Math.sqrt(devSq);
  }

  /** ‖θ'−θ0‖ after the step: γ1, less the projection. */
  public double deviationAfter() {
    return Math.sqrt(newDevSq) * Math.abs(1.0 - shrink);
  }

  /** The mean of r over the selections, 0 without any. */
  public double meanRatio() {
    return selections == 0 ? 0 : ratioSum / selections;
  }
}
