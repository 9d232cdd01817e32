package io.spd4j.kernel;

import java.util.concurrent.Executor;

/**
 * Runs the passes of a step on several threads, with any CPU backend. Between the passes it decides
 * on the tensors that threads share.
 */
final class PassRunner implements AutoCloseable {
  private final Kernels kernels;
  private final BlockTable table;
  private final Exchange exchange;
  private final Team team;
  private final SpdDecisions decisions;
  private final Team.Work part = this::runPart;
  private Pass pass;
  private Schedule schedule;

  /**
   * @param exchange with the other processes, if the tensors are shards
   * @param threads the most threads that work on a step, the caller's included
   * @param executor runs the helpers; null for daemon threads of the optimizer
   */
  PassRunner(Kernels kernels, BlockTable table, Exchange exchange, int threads, Executor executor) {
    this.kernels = kernels;
    this.table = table;
    this.exchange = exchange;
    decisions = new SpdDecisions(table);
    if (!table.isSharded()) {
      table.decisions(decisions);
    }
    team = new Team(threads, executor);
  }

  /** Returns what SPD decided in the last step of each tensor. */
  SpdDecisions decisions() {
    return decisions;
  }

  /** Steps the tensors of a schedule, after {@link #begin}, with their rows of scalars. */
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

  /** Decides on the tensors whose rule is SPD; returns whether any is to be projected. */
  private boolean decide(int[] tensors) {
    boolean exchanged = false;
    boolean any = false;
    for (int t : tensors) {
      boolean decides = table.scalars(table.scalarsOf(t)).rule.decides();
      if (decides && !exchanged) {
        exchange.sums(table.sums(), table.wholeSums());
        exchanged = true;
      }
      float shrink = decides ? decisions.decide(t) : 0;
      table.shrink(t, shrink);
      any |= shrink > 0;
    }
    return any;
  }

  /**
   * Returns the sum of the squared gradients of a schedule's tensors; it is finite exactly if all
   * gradients are.
   */
  double gradSq(Schedule schedule) {
    double sum = 0;
    begin(schedule);
    try {
      run(Pass.GRAD_SQ, schedule);
      exchange.sums(table.sums(), table.wholeSums());
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

  /** Prepares a schedule. The caller's executor may throw here: nothing has been written yet. */
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

  /**
   * Runs a part on any thread, and leaves the thread's interrupt flag as it was: the JVM sets it
   * when it breaks off an access because the arena is closed.
   */
  private void runPart(int part) {
    if (part >= schedule.runs()) {
      return;
    }
    boolean interrupted = Thread.currentThread().isInterrupted();
    try {
      runBlocks(part);
    } finally {
      boolean now = Thread.currentThread().isInterrupted();
      if (now && !interrupted && schedule.inaccessible() != null) {
        Thread.interrupted();
      }
    }
  }

  private void runBlocks(int part) {
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

  /** Projects the run's blocks of shared tensors, the most recently updated first. */
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

  /** Ends the threads. SPD's decisions can still be read. */
  @Override
  public void close() {
    team.close();
    decisions.detach();
  }
}
