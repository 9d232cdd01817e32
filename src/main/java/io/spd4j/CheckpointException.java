package io.spd4j;

import java.io.IOException;

/** Thrown when a file is not a whole checkpoint. The message names the file and the fault. */
public final class CheckpointException extends IOException {
  private static final long serialVersionUID = 1L;

  CheckpointException(String message, Throwable cause) {
    super(message, cause);
  }
}
