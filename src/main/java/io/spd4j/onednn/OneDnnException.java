package io.spd4j.onednn;

/** oneDNN refused or failed; the message says what was asked for, with shapes and its status. */
public final class OneDnnException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String status;

  OneDnnException(String what, String status) {
    super(what + ": oneDNN says " + status);
    this.status = status;
  }

  /** oneDNN's name of the status, such as {@code unimplemented} or {@code out_of_memory}. */
  public String status() {
    return status;
  }
}
