package io.spd4j.kernel;

/** What a stepper's last step did. A stepper fills the same object again and again. */
public final class LastStep {
  /**
   * The number of tensors that the step was for: with a gradient, in a group that is not frozen.
   */
  public int tensors;

  /** The number of these tensors' elements, of which a process among several steps a shard. */
  public long elements;

  /** The number of CPU threads that had work; 0 on a device. */
  public int threads;

  /** The number of tensors that SPD selected; -1 on a device, which decides later. */
  public int selected;

  /** The norm of the gradients before clipping; NaN if it was not computed, or is not known yet. */
  public double norm;

  /** Whether the step is known to have been skipped, because of its gradients. */
  public boolean skipped;

  public LastStep() {}
}
