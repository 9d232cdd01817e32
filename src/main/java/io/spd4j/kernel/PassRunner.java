package io.spd4j.kernel;

import java.util.concurrent.Executor;

/**
 * Runs the passes of a step on several threads, whichever backend computes them. Between two passes
 * it decides on the tensors that threads share.
 */
final class PassRunner implements AutoCloseable {
  private final Kernels kernels;
  private final BlockTable table;
  private final Team team;
  private final SpdDecisions decisions;
  private final Team.Work part = this::runPart;
  private Pass pass;
  private Schedule schedule;

  /**
   * @param threads threads that work on a step, the caller's among them
   * @param executor runs the helpers; null: own daemon threads
   */
  PassRunner(Kernels kernels, BlockTable table, int threads, Executor executor) {
    this.kernels = kernels;
    this.table = table;
    decisions = new SpdDecisions(table);
    table.decisions(decisions);
    team = new Team(threads, executor);
  }

  /** What SPD decided in the last step of each tensor. */
  SpdDecisions decisions() {
    return decisions;
  }

  /** Steps the tensors of a begun schedule with the rows of scalars that they have in the table. */
  void step(Schedule schedule) {
    try {
      run(Pass.UPDATE, schedule);
      if (decide(schedule.shared())) {
        run(Pass.PROJECT, schedule);
      }
    } finally {
      team.end();
    }
  }

  /** Decides on those of the tensors that are stepped with SPD; true if any is projected. */
  private boolean decide(int[] tensors) {
    boolean any = false;
    for (int t : tensors) {
      boolean decides = table.scalars(table.scalarsOf(t)).rule.decides();
      float shrink = decides ? decisions.decide(t) : 0;
      table.shrink(t, shrink);
      any |= shrink > 0;
    }
    return any;
  }

  /**
   * The sum of the squared gradients of a schedule's tensors, finite exactly if all of them are.
   */
  double gradSq(Schedule schedule) {
    double sum = 0;
    begin(schedule);
    try {
      run(Pass.GRAD_SQ, schedule);
      for (int t = schedule.first(); t < schedule.end(); t++) {
        if (table.scalarsOf(t) >= 0) {
          sum += decisions.sum(t, TableLayout.GRAD_SQ);
        }
      }
    } finally {
      team.end();
    }
    return sum;
  }

  /** Gets ready; nothing is written yet, whatever the caller's executor throws. */
  void begin(Schedule schedule) {
    table.holds(schedule.holds());
    if (schedule.runs() > 1) {
      team.begin();
    }
  }

  private void run(Pass pass, Schedule schedule) {
    this.pass = pass;
    this.schedule = schedule;
    if (schedule.runs() == 1) {
      runPart(0);
    } else {
      team.run(part);
    }
  }

  private void runPart(int part) {
    if (part >= schedule.runs()) {
      return;
    }
    long begin = schedule.bound(part);
    long end = schedule.bound(part + 1);
    if (pass == Pass.PROJECT) {
      project(begin, end);
    } else if (begin < end) {
      if (pass == Pass.UPDATE) {
        kernels.update(table, begin, end);
      } else {
        kernels.gradSq(table, begin, end);
      }
    }
  }

  /** Projects those blocks of the run that belong to shared tensors, the newest first. */
  private void project(long begin, long end) {
    int[] shared = schedule.shared();
    for (int i = shared.length - 1; i >= 0; i--) {
      long from = Math.max(begin, table.firstBlock(shared[i]));
      long to = Math.min(end, table.firstBlock(shared[i] + 1));
      if (from < to) {
        kernels.project(table, from, to);
      }
    }
  }

  /** Ends the threads; what SPD decided can still be asked for. */
  @Override
  public void close() {
    team.close();
    decisions.detach();
  }
}
