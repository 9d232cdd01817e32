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
  private final GroupSettings[] groupOf;
  private final long[] steps;

  /** What the schedule was made for. */
  private final boolean[] scheduled;

  private boolean scheduledSpd;
  private Schedule schedule;
  private final Schedule[] alone;
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
    groupOf = tensors.stream().map(t -> groups.get(t.group())).toArray(GroupSettings[]::new);
    steps = tensors.stream().mapToLong(Tensor::step).toArray();
    scheduled = new boolean[steps.length];
    alone = new Schedule[steps.length];
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
    table.scalars(tensor, groupOf[tensor], gradScale, steps[tensor] + 1);
    table.scalarsOf(tensor, tensor);
    if (alone[tensor] == null) {
      alone[tensor] = Schedule.of(table, tensor, tensor + 1, false, threads);
    }
    checkAccess(alone[tensor]);
    drive(alone[tensor]);
    steps[tensor]++;
    return true;
  }

  @Override
  public long stepCount(int tensor) {
    return steps[tensor];
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
    boolean changed = schedule == null;
    boolean spd = false;
    int row = -1;
    for (int i = 0; i < steps.length; i++) {
      boolean active = active(i);
      changed |= active != scheduled[i];
      scheduled[i] = active;
      if (!active) {
        table.scalarsOf(i, -1);
        continue;
      }
      spd |= groupOf[i].rule() == Rule.SPD;
      boolean shares =
          i > 0 && scheduled[i - 1] && groupOf[i] == groupOf[i - 1] && steps[i] == steps[i - 1];
      if (!shares) {
        table.scalars(++row, groupOf[i], gradScale, steps[i] + 1);
      }
      table.scalarsOf(i, row);
    }
    if (changed || spd != scheduledSpd) {
      schedule = null;
      schedule = Schedule.of(table, 0, steps.length, spd, threads);
      scheduledSpd = spd;
    }
    checkAccess(schedule);
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
    for (int i = 0; i < steps.length; i++) {
      if (scheduled[i]) {
        steps[i]++;
      }
    }
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
