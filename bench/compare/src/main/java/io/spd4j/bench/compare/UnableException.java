package io.spd4j.bench.compare;

/** A competitor cannot do what it was asked for; the message says why, in one sentence. */
final class UnableException extends Exception {
  private static final long serialVersionUID = 1L;

  UnableException(String reason) {
    super(reason);
  }
}
