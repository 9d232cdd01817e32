package io.spd4j.onednn;

/** Thrown when oneDNN refuses or fails; the message gives the operation, shapes and status. */
public final class OneDnnException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String status;

  OneDnnException(String what, String status) {
    super(what + ": oneDNN says " + status);
    this.status = status;
  }

  /** Returns the status as oneDNN names it: {@code unimplemented}, {@code out_of_memory}, ... */
  public String status() {
    return status;
  }
}
