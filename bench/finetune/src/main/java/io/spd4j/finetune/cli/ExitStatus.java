package io.spd4j.finetune.cli;

/** What a program's exit status says. {@link Program} lists them in its help. */
public final class ExitStatus {
  /** Success. */
  public static final int OK = 0;

  /** A check failed. */
  public static final int CHECK = 1;

  /** Bad usage, or an input that cannot be used. */
  public static final int INPUT = 2;

  /** Results could not be written. */
  public static final int OUTPUT = 3;

  /** Training diverged. */
  public static final int DIVERGED = 4;

  /** A checkpoint cannot be used. */
  public static final int CHECKPOINT = 5;

  /** There was not enough memory. */
  public static final int MEMORY = 6;

  /** Interrupted by Ctrl-C; shells expect 128 and the signal's number. */
  public static final int INTERRUPTED = 130;

  private ExitStatus() {}
}
