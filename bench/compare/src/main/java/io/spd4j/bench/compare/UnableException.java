package io.spd4j.bench.compare;

/**
 * Thrown if a competitor cannot do what it was asked to do; the message says why in one sentence.
 */
final class UnableException extends Exception {
  private static final long serialVersionUID = 1L;

  UnableException(String reason) {
    super(reason);
  }
}
