package io.spd4j.finetune;

import io.spd4j.finetune.report.Progress;
import java.io.PrintWriter;

/**
 * What a job says.
 *
 * @param out for what goes on and for results
 * @param err for problems
 * @param quiet whether only results and problems are said
 */
record Log(PrintWriter out, PrintWriter err, boolean quiet) {
  /** Says what goes on. */
  void detail(String line) {
    if (!quiet) {
      out.println(line);
      out.flush();
    }
  }

  void result(String text) {
    out.println(text);
    out.flush();
  }

  void problem(String line) {
    err.println(line);
    err.flush();
  }

  /**
   * Returns the progress of a run; null if it is not to be shown.
   *
   * @param before the number of steps that were taken earlier
   */
  Progress progress(String task, int before, int steps) {
    return quiet ? null : Progress.start(task, before, steps, out);
  }
}
