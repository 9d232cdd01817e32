package io.spd4j.kernel;

import java.util.List;
import java.util.concurrent.Executor;

/**
 * A step on the CPU, whichever backend runs it: threads, and SPD's decisions between two passes.
 */
final class StepDriver implements AutoCloseable {
  private enum Pass {
    UPDATE,
    PROJECT,
    GRAD_SQ
  }

  private final Kernels kernels;
  private final BlockTable table;
  private final Team team;
  private final SpdDecisions decisions;
  private final Team.Work part = this::runPart;
  private Pass pass;
  private long[] bounds;

  /**
   * @param threads threads that work on a step, the caller's among them
   * @param executor runs the helpers; null: own daemon threads
   */
  StepDriver(Kernels kernels, BlockTable table, int threads, Executor executor) {
    this.kernels = kernels;
    this.table = table;
    team = new Team(threads, executor);
    decisions = new SpdDecisions(table.tensorCount());
  }

  /** What SPD decided in the last step of each tensor. */
  SpdDecisions decisions() {
    return decisions;
  }

  /** Steps the tensors of a begun schedule with the rows of scalars that they have in the table. */
  void step(Schedule schedule) {
    try {
      List<Schedule.Wave> waves = schedule.waves();
      for (int w = 0; w < waves.size(); w++) {
        Schedule.Wave wave = waves.get(w);
        run(Pass.UPDATE, wave);
        if (decisions.decide(table, wave.first(), wave.end())) {
          run(Pass.PROJECT, wave);
        }
      }
    } finally {
      team.end();
    }
  }

  /**
   * The sum of the squared gradients of a schedule's tensors, finite exactly if all of them are.
   */
  double gradSq(Schedule schedule) {
    double sum = 0;
    begin(schedule);
    try {
      List<Schedule.Wave> waves = schedule.waves();
      for (int w = 0; w < waves.size(); w++) {
        Schedule.Wave wave = waves.get(w);
        run(Pass.GRAD_SQ, wave);
        for (int t = wave.first(); t < wave.end(); t++) {
          if (table.scalarsOf(t) >= 0) {
            sum += decisions.sum(table, t, TableLayout.GRAD_SQ);
          }
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
    if (schedule.parallel()) {
      team.begin();
    }
  }

  private void run(Pass pass, Schedule.Wave wave) {
    this.pass = pass;
    bounds = wave.bounds();
    if (bounds.length == 2) {
      runPart(0);
    } else {
      team.run(part);
    }
  }

  private void runPart(int part) {
    if (part + 1 >= bounds.length || bounds[part] == bounds[part + 1]) {
      return;
    }
    switch (pass) {
      case UPDATE -> kernels.update(table, bounds[part], bounds[part + 1]);
      case PROJECT -> kernels.project(table, bounds[part], bounds[part + 1]);
      case GRAD_SQ -> kernels.gradSq(table, bounds[part], bounds[part + 1]);
    }
  }

  /** Ends the threads. */
  @Override
  public void close() {
    team.close();
  }
}
