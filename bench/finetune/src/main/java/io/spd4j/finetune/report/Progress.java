package io.spd4j.finetune.report;

import java.io.Console;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import me.tongfei.progressbar.ConsoleProgressBarConsumer;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;
import me.tongfei.progressbar.ProgressState;

/**
 * Shows the progress of a training run: a moving bar on a terminal, elsewhere a line at the first
 * step and at every tenth of the steps. The time left is estimated from the steps so far.
 */
public final class Progress implements AutoCloseable {
  private static final int LINES = 10;
  private static final int MILLIS_BETWEEN_UPDATES = 250;

  /** Fixed, because asking the terminal would load JLine, which takes Ctrl-C away from the JVM. */
  private static final int COLUMNS = 79;

  private final String task;
  private final int steps;
  private final PrintWriter out;
  private final ProgressBar bar;
  private final int before;
  private int step;
  private double millis;

  /**
   * @param before steps taken earlier
   * @param terminal where the bar is drawn; null if there is no terminal and lines go to out
   */
  Progress(String task, int before, int steps, PrintWriter out, ProgressBarConsumer terminal) {
    this.task = task;
    this.before = before;
    step = before;
    this.steps = steps;
    this.out = out;
    bar =
        terminal == null
            ? null
            : new ProgressBarBuilder()
                .setTaskName(task)
                .setInitialMax(steps)
                .startsFrom(before, Duration.ZERO)
                .setUpdateIntervalMillis(MILLIS_BETWEEN_UPDATES)
                .setRenderer(Progress::render)
                .setConsumer(terminal)
                .build();
  }

  /**
   * Begins a run. Nothing else should be printed until it is closed.
   *
   * @param task names the run by rule and seed
   * @param before the number of steps that were taken earlier, before a resume
   * @param steps the run's number of steps
   * @param out where the lines go; a bar always goes to standard output
   */
  public static Progress start(String task, int before, int steps, PrintWriter out) {
    Console console = System.console();
    boolean terminal = console != null && console.isTerminal();
    return new Progress(task, before, steps, out, terminal ? onTerminal() : null);
  }

  static ProgressBarConsumer onTerminal() {
    return new ConsoleProgressBarConsumer(System.out, COLUMNS);
  }

  /**
   * Draws a line with a bar in the remaining space. The library's own line leaves no room for the
   * message in 80 columns.
   */
  private static String render(ProgressState state, int columns) {
    String message = state.getExtraMessage();
    int room = Math.max(0, columns - state.getTaskName().length() - message.length() - 4);
    int done = (int) (room * state.getNormalizedProgress());
    return "%s [%s%s] %s"
        .formatted(state.getTaskName(), "=".repeat(done), " ".repeat(room - done), message);
  }

  /**
   * Records a step.
   *
   * @param loss the batch's loss
   * @param stepMillis milliseconds of the whole step
   * @param optimizerMillis the optimizer's part of stepMillis
   */
  public void step(double loss, double stepMillis, double optimizerMillis) {
    step++;
    millis += stepMillis;
    long left = Math.round(millis / (step - before) * (steps - step) / 1000);
    String message =
        String.format(
            Locale.ROOT,
            "%d/%d, loss %.3f, %.0f ms, optimizer %.0f%%, %d:%02d left",
            step,
            steps,
            loss,
            stepMillis,
            100 * optimizerMillis / stepMillis,
            left / 60,
            left % 60);
    if (bar != null) {
      bar.setExtraMessage(message);
      bar.step();
    } else if (step == before + 1 || tenths(step) > tenths(step - 1)) {
      out.println(task + ": step " + message);
      out.flush();
    }
  }

  private long tenths(int step) {
    return (long) LINES * step / steps;
  }

  /** Ends the bar, which stays on the terminal. */
  @Override
  public void close() {
    if (bar != null) {
      bar.close();
    }
  }
}
