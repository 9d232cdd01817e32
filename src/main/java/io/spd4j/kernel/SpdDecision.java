package io.spd4j.kernel;

/**
 * What SPD did in its last step of a tensor, and so far. SPD selects the tensor if c = −Σ g·(θ−θ0)
 * is below 0. r = (γ1−γ0)/γ1, clamped to [0, 1], is the share of the deviation that is new: γ0 is
 * the deviation before the update, γ1 after it.
 *
 * @param step the tensor's step count after that step
 * @param gradDot Σ g·(θ−θ0), before the update
 * @param devSq Σ (θ−θ0)², before the update
 * @param newDevSq Σ (θ̃−θ0)², after the update and before the projection
 * @param shrink λ·r if the tensor was selected, else 0
 * @param checked the number of steps in which SPD checked the tensor
 * @param selections the number of steps in which SPD selected the tensor
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
  /** Returns c, given the sum of g·(θ−θ0). */
  static double condition(double gradDot) {
    return -gradDot;
  }

  /** Returns r, given the squared deviations before and after the update. */
  static double ratio(double devSq, double newDevSq) {
    double before = Math.sqrt(devSq);
    double updated = Math.sqrt(newDevSq);
    return updated > 0 ? Math.clamp((updated - before) / updated, 0.0, 1.0) : 0;
  }

  /** Returns λ·r, rounded once to float. */
  static float shrink(double lambda, double ratio) {
    return (float) (lambda * ratio);
  }

  /** Returns c. */
  public double condition() {
    return condition(gradDot);
  }

  /** Returns whether c was below 0. */
  public boolean selected() {
    return condition() < 0;
  }

  /** Returns r. */
  public double ratio() {
    return ratio(devSq, newDevSq);
  }

  /** Returns ‖θ−θ0‖ before the step. */
  public double deviationBefore() {
    return Math.sqrt(devSq);
  }

  /** Returns ‖θ'−θ0‖ after the step: γ1, reduced by the projection. */
  public double deviationAfter() {
    return Math.sqrt(newDevSq) * Math.abs(1.0 - shrink);
  }

  /** Returns the mean of r over the selections; 0 if there were none. */
  public double meanRatio() {
    return selections == 0 ? 0 : ratioSum / selections;
  }
}
