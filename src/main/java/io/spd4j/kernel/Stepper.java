package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;

/**
 * Takes an optimizer's steps: with CPU threads, or on a device. It knows the tensors by their index
 * and holds their step counts and SPD's decisions; the groups' settings are read anew by every
 * call.
 *
 * <p>Not thread-safe; only {@link #stepCount} and {@link #decision} may be called at any time. The
 * arguments have been checked. Every call that steps, or looks for what to step, throws an {@link
 * IllegalStateException} if an arena is closed (nothing has changed) or an earlier step broke off
 * half done, and a {@link WrongThreadException} if a segment belongs to another thread (nothing has
 * changed).
 */
public interface Stepper extends AutoCloseable {
  /**
   * Sets the gradient that the next step of a tensor reads.
   *
   * @param gradient null: none, the next step leaves the tensor alone
   */
  void gradient(int tensor, MemorySegment gradient);

  /** Steps every tensor that has a gradient and whose group is not frozen. */
  void step(double gradScale);

  /**
   * Steps with the gradients scaled by min(1, maxNorm / (norm + 1e-6)), or leaves everything as it
   * is if the norm is not finite.
   *
   * @return the norm of the gradients times gradScale, before clipping
   */
  double stepClipped(double maxNorm, double gradScale);

  /** The same without an answer, so that a device need not be waited for. */
  void clipAndStep(double maxNorm, double gradScale);

  /** The norm of the gradients of the tensors that the next step would step. */
  double gradientNorm();

  /**
   * Steps one tensor.
   *
   * @return false if it was left alone: no gradient, or its group is frozen
   */
  boolean stepAlone(int tensor, double gradScale);

  /** How many steps a tensor has taken; also after {@link #close}. */
  long stepCount(int tensor);

  /**
   * What SPD did in its last step of a tensor, null before its first; also after {@link #close}.
   */
  SpdDecision decision(int tensor);

  /** Sends what has changed to the device, for steps that are replayed there; else nothing. */
  void uploadSettings();

  /** Frees what the steps needed; the tensors' arrays are not the stepper's. To be called once. */
  @Override
  void close();
}
