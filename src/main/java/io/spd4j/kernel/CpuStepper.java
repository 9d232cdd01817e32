package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.function.Function;

/** Steps on the CPU, whichever backend runs them: which tensors, with which scalars. */
public final class CpuStepper implements Stepper {
  private final BlockTable table;
  private final StepDriver driver;
  private final int threads;
  private final Function<MemorySegment.Scope, String> describe;
  private final List<? extends GroupSettings> groups;
  private final GroupSettings[] groupOf;

  /** A tensor's count is its own here, and if it is scheduled {@link #together} on top. */
  private final long[] steps;

  /** Steps that all scheduled tensors took since their rows were assigned; 0 if they are not. */
  private long together;

  /** Which tensors the schedule steps. */
  private final boolean[] scheduled;

  private Schedule schedule;
  private final Schedule[] alone;

  /** What the schedule was made for: which groups are frozen. */
  private final boolean[] frozen;

  /** The first tensor that is stepped with each row of scalars. */
  private final int[] rowTensors;

  private int rows;

  /** Whether the scheduled tensors have the rows of scalars that they were assigned. */
  private boolean rowsValid;

  private Throwable broken;

  /**
   * @param groups the settings that the tensors' group indices mean
   * @param threads threads that work on a step, the caller's among them
   * @param executor runs the helpers; null: own daemon threads
   * @param describe names an array that lies in an arena, for messages
   */
  public CpuStepper(
      Kernels kernels,
      List<Tensor> tensors,
      List<? extends GroupSettings> groups,
      int threads,
      Executor executor,
      Function<MemorySegment.Scope, String> describe) {
    this.threads = threads;
    this.describe = describe;
    this.groups = groups;
    groupOf = tensors.stream().map(t -> groups.get(t.group())).toArray(GroupSettings[]::new);
    steps = tensors.stream().mapToLong(Tensor::step).toArray();
    scheduled = new boolean[steps.length];
    alone = new Schedule[steps.length];
    frozen = new boolean[groups.size()];
    rowTensors = new int[steps.length];
    table = new BlockTable(tensors.stream().map(Tensor::arrays).toList());
    try {
      driver = new StepDriver(kernels, table, threads, executor);
    } catch (RuntimeException | Error e) {
      table.close();
      throw e;
    }
  }

  @Override
  public void gradient(int tensor, MemorySegment gradient) {
    checkSound();
    MemorySegment old = table.arrays(tensor).grad();
    table.grad(tensor, gradient);
    if (old == null || gradient == null || !old.scope().equals(gradient.scope())) {
      schedule = null;
      alone[tensor] = null;
    }
  }

  @Override
  public void step(double gradScale) {
    prepare(gradScale);
    run();
  }

  @Override
  public double stepClipped(double maxNorm, double gradScale) {
    prepare(gradScale);
    double norm = norm() * gradScale;
    if (Double.isFinite(norm)) {
      double clip = Math.min(1, maxNorm / (norm + 1e-6));
      prepare(gradScale * clip);
      run();
    }
    return norm;
  }

  @Override
  public void clipAndStep(double maxNorm, double gradScale) {
    stepClipped(maxNorm, gradScale);
  }

  @Override
  public double gradientNorm() {
    prepare(1);
    return norm();
  }

  @Override
  public boolean stepAlone(int tensor, double gradScale) {
    checkSound();
    if (!active(tensor)) {
      return false;
    }
    if (rowsValid) {
      separate();
    }
    table.scalars(tensor, groupOf[tensor], gradScale, steps[tensor] + 1);
    table.scalarsOf(tensor, tensor);
    if (alone[tensor] == null) {
      alone[tensor] = Schedule.of(table, tensor, tensor + 1, threads);
    }
    checkAccess(alone[tensor]);
    drive(alone[tensor]);
    steps[tensor]++;
    return true;
  }

  @Override
  public long stepCount(int tensor) {
    return steps[tensor] + (scheduled[tensor] ? together : 0);
  }

  @Override
  public SpdDecision decision(int tensor) {
    return driver.decisions().of(tensor);
  }

  @Override
  public void uploadSettings() {
    checkSound();
  }

  private void checkSound() {
    if (broken != null) {
      throw new IllegalStateException("an earlier step broke off half done", broken);
    }
  }

  private boolean active(int tensor) {
    return !groupOf[tensor].frozen() && table.arrays(tensor).grad() != null;
  }

  /** Everything that can be refused, and the scalars of this step. */
  private void prepare(double gradScale) {
    checkSound();
    if (schedule == null || groupsChanged()) {
      schedule();
    } else if (!rowsValid) {
      assignRows();
    }
    for (int row = 0; row < rows; row++) {
      int tensor = rowTensors[row];
      table.scalars(row, groupOf[tensor], gradScale, stepCount(tensor) + 1);
    }
    checkAccess(schedule);
  }

  private boolean groupsChanged() {
    for (int g = 0; g < groups.size(); g++) {
      if (frozen[g] != groups.get(g).frozen()) {
        return true;
      }
    }
    return false;
  }

  private void schedule() {
    separate();
    schedule = null;
    for (int g = 0; g < groups.size(); g++) {
      frozen[g] = groups.get(g).frozen();
    }
    for (int i = 0; i < steps.length; i++) {
      scheduled[i] = active(i);
    }
    assignRows();
    schedule = Schedule.of(table, 0, steps.length, threads);
  }

  /** Consecutive tensors of a group that have taken as many steps share a row of scalars. */
  private void assignRows() {
    rows = 0;
    for (int i = 0; i < steps.length; i++) {
      if (!scheduled[i]) {
        table.scalarsOf(i, -1);
        continue;
      }
      boolean shares =
          i > 0 && scheduled[i - 1] && groupOf[i] == groupOf[i - 1] && steps[i] == steps[i - 1];
      if (!shares) {
        rowTensors[rows++] = i;
      }
      table.scalarsOf(i, rows - 1);
    }
    rowsValid = true;
  }

  /** Ends the counting of common steps, as the scheduled tensors part. */
  private void separate() {
    for (int i = 0; i < steps.length; i++) {
      steps[i] = stepCount(i);
    }
    together = 0;
    rowsValid = false;
  }

  private void checkAccess(Schedule schedule) {
    MemorySegment segment = schedule.inaccessible();
    if (segment == null) {
      return;
    }
    String what = describe.apply(segment.scope());
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException(what + " lies in an arena that is closed");
    }
    throw new WrongThreadException(what + " lies in a confined arena of another thread");
  }

  private double norm() {
    return Math.sqrt(driver.gradSq(schedule));
  }

  private void run() {
    drive(schedule);
    together++;
  }

  private void drive(Schedule schedule) {
    driver.begin(schedule);
    try {
      driver.step(schedule);
    } catch (RuntimeException | Error e) {
      broken = e;
      throw e;
    }
  }

  @Override
  public void close() {
    driver.close();
    table.close();
  }
}
