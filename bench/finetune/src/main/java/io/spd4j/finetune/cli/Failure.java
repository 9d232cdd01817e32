package io.spd4j.finetune.cli;

import picocli.CommandLine.ExitCode;

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
    return new Failure(ExitCode.USAGE, sentence);
  }

  /** Reports that a check failed. */
  public static Failure ofCheck(String sentence) {
    return new Failure(ExitCode.SOFTWARE, sentence);
  }

  int status() {
    return status;
  }
}
