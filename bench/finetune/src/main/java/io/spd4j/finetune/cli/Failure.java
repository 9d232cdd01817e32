package io.spd4j.finetune.cli;

/** Ends a command with a one-sentence message for the user. */
public final class Failure extends Exception {
  private static final long serialVersionUID = 1L;
  private final int status;

  private Failure(int status, String sentence) {
    super(sentence);
    this.status = status;
  }

  /** Reports that the input cannot be used. */
  public static Failure ofInput(String sentence) {
    return new Failure(ExitStatus.INPUT, sentence);
  }

  /** Reports that a check failed. */
  public static Failure ofCheck(String sentence) {
    return new Failure(ExitStatus.CHECK, sentence);
  }

  /** Reports that results cannot be written. */
  public static Failure ofOutput(String sentence) {
    return new Failure(ExitStatus.OUTPUT, sentence);
  }

  /** Reports that a checkpoint cannot be used. */
  public static Failure ofCheckpoint(String sentence) {
    return new Failure(ExitStatus.CHECKPOINT, sentence);
  }

  /** Returns the status that the program exits with. */
  public int status() {
    return status;
  }
}
