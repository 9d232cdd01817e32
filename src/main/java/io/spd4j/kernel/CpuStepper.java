package io.spd4j.kernel;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/** Steps on the CPU with any backend: decides which tensors are stepped, with which scalars. */
public final class CpuStepper implements Stepper {
  /** In place of a maximum norm: no step follows. */
  private static final double NORM_ONLY = 0;

  private final BlockTable table;
  private final Exchange exchange;
  private final PassRunner passes;
  private final int threads;
  private final Function<MemorySegment.Scope, String> describe;
  private final List<Supplier<Settings>> groups;
  private final int[] groupOf;

  /** Step counts of the tensors; to those of scheduled tensors, add {@link #together}. */
  private final long[] steps;

  /** Steps of all scheduled tensors since their rows were assigned; 0 if none are assigned. */
  private long together;

  /** Whether the schedule steps a tensor. */
  private final boolean[] scheduled;

  private Schedule schedule;
  private final Schedule[] alone;

  /** The groups' settings that the schedule was made for. */
  private final Settings[] scheduledSettings;

  /** The first tensor that is stepped with each row of scalars. */
  private final int[] rowTensors;

  private int rows;

  /** Whether the scheduled tensors still have the rows of scalars that they were assigned. */
  private boolean rowsValid;

  private final LastStep lastStep = new LastStep();

  /** What the last step was for. */
  private Schedule lastSchedule;

  private Throwable broken;

  /**
   * @param groups the groups' current settings, by the tensors' group index
   * @param threads the most threads that work on a step, the caller's included
   * @param executor runs the helpers; null for daemon threads of the optimizer
   * @param describe names an array that lies in an arena, for messages
   * @param exchange with the other processes, if the tensors are shards
   */
  public CpuStepper(
      Kernels kernels,
      List<SteppedTensor> tensors,
      List<Supplier<Settings>> groups,
      int threads,
      Executor executor,
      Function<MemorySegment.Scope, String> describe,
      Exchange exchange) {
    this.exchange = exchange;
    this.threads = threads;
    this.describe = describe;
    this.groups = groups;
    groupOf = tensors.stream().mapToInt(SteppedTensor::group).toArray();
    steps = tensors.stream().mapToLong(SteppedTensor::step).toArray();
    scheduled = new boolean[steps.length];
    alone = new Schedule[steps.length];
    scheduledSettings = new Settings[groups.size()];
    rowTensors = new int[steps.length];
    table = new BlockTable(tensors, exchange.shards());
    try {
      passes = new PassRunner(kernels, table, exchange, threads, executor);
    } catch (RuntimeException | Error e) {
      table.close();
      throw e;
    }
  }

  @Override
  public void gradient(int tensor, MemorySegment gradient) {
    checkSound();
    MemorySegment old = table.tensor(tensor).grad();
    table.grad(tensor, gradient);
    if (old == null || gradient == null || !old.scope().equals(gradient.scope())) {
      schedule = null;
      alone[tensor] = null;
    }
  }

  @Override
  public void step(double gradScale) {
    prepare(gradScale);
    addGradients(gradScale, Double.NaN);
    run();
    done(schedule, Double.NaN, false);
  }

  @Override
  public double stepClipped(double maxNorm, double gradScale) {
    prepare(gradScale);
    addGradients(gradScale, maxNorm);
    double norm = norm();
    double factor = Clipping.factor(norm, gradScale, maxNorm);
    boolean skipped = Clipping.skips(norm, factor);
    if (!skipped) {
      prepareClipped(factor);
      run();
    }
    double scaled = Clipping.reported(norm * gradScale, skipped);
    done(schedule, scaled, skipped);
    return scaled;
  }

  @Override
  public void clipAndStep(double maxNorm, double gradScale) {
    stepClipped(maxNorm, gradScale);
  }

  @Override
  public double gradientNorm() {
    prepare(1);
    if (!table.isSharded()) {
      return norm();
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment[] own = ownGradients(arena);
      addGradients(1, NORM_ONLY);
      double norm = norm();
      for (int t = 0; t < own.length; t++) {
        if (own[t] != null) {
          table.tensor(t).grad().copyFrom(own[t]);
        }
      }
      return norm;
    }
  }

  /** Returns copies of this shard's gradients, which the other processes' are to be added to. */
  private MemorySegment[] ownGradients(Arena arena) {
    MemorySegment[] own = new MemorySegment[steps.length];
    for (int t = 0; t < own.length; t++) {
      if (scheduled[t]) {
        MemorySegment grad = table.tensor(t).grad();
        own[t] = arena.allocate(grad.byteSize()).copyFrom(grad);
      }
    }
    return own;
  }

  /**
   * Adds the other processes' gradients to this one's. From then on, other processes rely on this
   * one: if it fails, they cannot go on together.
   */
  private void addGradients(double gradScale, double maxNorm) {
    exchange.agree(scheduled, gradScale, maxNorm);
    try {
      exchange.gradients(scheduled, maxNorm == NORM_ONLY);
    } catch (RuntimeException | Error e) {
      lost(e);
      throw e;
    }
  }

  private void prepareClipped(double gradScale) {
    try {
      prepare(gradScale);
    } catch (RuntimeException | Error e) { // an arena was closed meanwhile
      lost(e);
      throw e;
    }
  }

  /** Notes a failure after the exchange with other processes has begun. */
  private void lost(Throwable failure) {
    if (table.isSharded()) {
      broken = failure;
    }
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
    table.scalars(tensor).set(settings(tensor), gradScale, steps[tensor] + 1);
    table.scalarsOf(tensor, tensor);
    if (alone[tensor] == null) {
      alone[tensor] = Schedule.of(table, tensor, tensor + 1, threads);
    }
    checkAccess(alone[tensor]);
    drive(alone[tensor]);
    steps[tensor]++;
    done(alone[tensor], Double.NaN, false);
    return true;
  }

  private void done(Schedule schedule, double norm, boolean skipped) {
    lastSchedule = schedule;
    lastStep.norm = norm;
    lastStep.skipped = skipped;
  }

  @Override
  public LastStep lastStep() {
    lastStep.tensors = 0;
    lastStep.elements = 0;
    lastStep.threads = lastSchedule.runs();
    lastStep.selected = 0;
    for (int t = lastSchedule.first(); t < lastSchedule.end(); t++) {
      if (table.scalarsOf(t) >= 0) {
        lastStep.tensors++;
        lastStep.elements += table.tensor(t).numel();
        lastStep.selected += decidedInLastStep(t) && passes.decisions().selected(t) ? 1 : 0;
      }
    }
    return lastStep;
  }

  @Override
  public boolean decidedInLastStep(int tensor) {
    int row = table.scalarsOf(tensor);
    return tensor >= lastSchedule.first()
        && tensor < lastSchedule.end()
        && row >= 0
        && table.scalars(row).rule.decides()
        && !lastStep.skipped;
  }

  @Override
  public long stepCount(int tensor) {
    return steps[tensor] + (scheduled[tensor] ? together : 0);
  }

  @Override
  public SpdDecision decision(int tensor) {
    return passes.decisions().of(tensor);
  }

  @Override
  public List<SteppedTensor> tensors() {
    checkSound();
    return IntStream.range(0, steps.length)
        .mapToObj(t -> table.tensor(t).after(stepCount(t), decision(t)))
        .toList();
  }

  @Override
  public void checkMayGrow() {
    checkSound();
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

  private Settings settings(int tensor) {
    return groups.get(groupOf[tensor]).get();
  }

  private boolean active(int tensor) {
    return !settings(tensor).frozen() && table.tensor(tensor).grad() != null;
  }

  /** Checks all that can be refused, and sets the scalars of this step. */
  private void prepare(double gradScale) {
    checkSound();
    if (schedule == null || frozenGroupsChanged()) {
      schedule();
    } else if (!rowsValid) {
      assignRows();
    }
    for (int row = 0; row < rows; row++) {
      int tensor = rowTensors[row];
      table.scalars(row).set(settings(tensor), gradScale, stepCount(tensor) + 1);
    }
    checkAccess(schedule);
  }

  private boolean frozenGroupsChanged() {
    boolean changed = false;
    for (int g = 0; g < scheduledSettings.length; g++) {
      Settings now = groups.get(g).get();
      if (now != scheduledSettings[g]) {
        changed |= now.frozen() != scheduledSettings[g].frozen();
        scheduledSettings[g] = now;
      }
    }
    return changed;
  }

  private void schedule() {
    separate();
    schedule = null;
    for (int g = 0; g < scheduledSettings.length; g++) {
      scheduledSettings[g] = groups.get(g).get();
    }
    for (int i = 0; i < steps.length; i++) {
      scheduled[i] = active(i);
    }
    assignRows();
    schedule = Schedule.of(table, 0, steps.length, threads);
  }

  /** Assigns rows of scalars: consecutive tensors share one if group and step count are equal. */
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

  /** Adds {@link #together} to each count, because the scheduled tensors no longer step alike. */
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
    try {
      return Math.sqrt(passes.gradSq(schedule));
    } catch (IllegalStateException e) {
      IllegalStateException named = named(e, schedule, "is closed");
      lost(named);
      throw named;
    } catch (RuntimeException | Error e) {
      lost(e);
      throw e;
    }
  }

  private void run() {
    drive(schedule);
    together++;
  }

  private void drive(Schedule schedule) {
    begin(schedule);
    try {
      passes.step(schedule);
      exchange.parameters(scheduled);
    } catch (IllegalStateException e) {
      IllegalStateException named = named(e, schedule, "was closed during the step");
      broken = named;
      throw named;
    } catch (RuntimeException | Error e) {
      broken = e;
      throw e;
    }
  }

  /** Names an array if a pass broke off because an arena was closed: Java's exception does not. */
  private IllegalStateException named(IllegalStateException e, Schedule schedule, String isClosed) {
    MemorySegment segment = schedule.inaccessible();
    return segment == null || segment.scope().isAlive()
        ? e
        : new IllegalStateException(
            describe.apply(segment.scope()) + " lies in an arena that " + isClosed, e);
  }

  private void begin(Schedule schedule) {
    try {
      passes.begin(schedule);
    } catch (RuntimeException | Error e) { // the caller's executor
      lost(e);
      throw e;
    }
  }

  @Override
  public void close() {
    passes.close();
    table.close();
  }
}
