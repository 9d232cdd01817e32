package io.spd4j.kernel;

/**
 * How a step clips gradients to a norm, and when it is skipped instead; {@code norm.cu} does the
 * same. A norm is that of the gradients as stored, in double.
 */
public final class Clipping {
  /**
   * A step takes in gradients whose norm is below this. They are then finite in float32, and so are
   * their squares, which the second moment adds up, with room for its roundings.
   */
  private static final double LIMIT = 0x1p63;

  private Clipping() {}

  /** Returns what the gradients are multiplied by: as in torch's {@code clip_grad_norm_}. */
  static double factor(double norm, double gradScale, double maxNorm) {
    return gradScale * Math.min(1, maxNorm / (norm * gradScale + 1e-6));
  }

  /** Returns whether a step with this factor changes nothing. */
  static boolean skips(double norm, double factor) {
    return !(norm * (float) factor < LIMIT);
  }

  /** Returns a norm to tell the caller: not finite exactly if the step was skipped. */
  public static double reported(double norm, boolean skipped) {
    return skipped ? norm + Double.POSITIVE_INFINITY : norm;
  }
}
