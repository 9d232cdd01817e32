package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * Takes an optimizer's steps, with CPU threads or on a device. A stepper knows the tensors by their
 * index and keeps their step counts and SPD's decisions. Each call rereads the groups' settings.
 *
 * <p>Not thread-safe, but {@link #stepCount} and {@link #decision} may be called at any time.
 * Callers have checked the arguments. Every call that steps, or finds out what to step, throws an
 * {@link IllegalStateException} if an arena is closed (nothing has changed) or an earlier step
 * broke off half done, and a {@link WrongThreadException} if a segment belongs to another thread
 * (nothing has changed).
 */
public interface Stepper extends AutoCloseable {
  /**
   * Sets the gradient that the next step of a tensor reads.
   *
   * @param gradient null for none: the next step then leaves the tensor alone
   */
  void gradient(int tensor, MemorySegment gradient);

  /** Steps every tensor that has a gradient and whose group is not frozen. */
  void step(double gradScale);

  /**
   * Steps with the gradients scaled by min(1, maxNorm / (norm + 1e-6)), or changes nothing if they
   * are not finite or still too large ({@link Clipping}).
   *
   * @return the norm of the gradients times gradScale, before clipping; not finite exactly if
   *     nothing changed
   */
  double stepClipped(double maxNorm, double gradScale);

  /** Steps as {@link #stepClipped} does, but returns no norm and so waits for no device. */
  void clipAndStep(double maxNorm, double gradScale);

  /** Returns the norm of the gradients that the next step would use. */
  double gradientNorm();

  /**
   * Steps one tensor.
   *
   * @return false if the tensor was left alone: it has no gradient, or its group is frozen
   */
  boolean stepAlone(int tensor, double gradScale);

  /** Returns the number of steps that a tensor has taken; works after {@link #close}, too. */
  long stepCount(int tensor);

  /**
   * Returns what SPD did in its last step of a tensor, null before its first; works after {@link
   * #close}, too.
   */
  SpdDecision decision(int tensor);

  /** Returns what the last step did, until the next one. Steps that threw do not count. */
  LastStep lastStep();

  /**
   * Returns whether SPD decided on a tensor in the last step; false on a device, where it would
   * have to be waited for.
   */
  boolean decidedInLastStep(int tensor);

  /**
   * Returns the tensors with their present gradients, step counts and decisions: another stepper of
   * them goes on where this one is, which must not step after that. Waits for a device. Throws an
   * {@link IllegalStateException} as {@link #checkMayGrow}.
   */
  List<SteppedTensor> tensors();

  /**
   * Throws an {@link IllegalStateException} if tensors cannot be added now, nor their state be
   * saved: an earlier step broke off half done, or this is in a capture.
   */
  void checkMayGrow();

  /** Sends what has changed to the device, for replayed steps; does nothing on the CPU. */
  void uploadSettings();

  /** Frees the stepper's own memory, but not the tensors' arrays. Call it only once. */
  @Override
  void close();
}
