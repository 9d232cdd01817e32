package io.spd4j;

import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.KernelProvider;
import io.spd4j.kernel.Kernels;
import io.spd4j.kernel.Rule;
import io.spd4j.kernel.Schedule;
import io.spd4j.kernel.SpdDecisions;
import io.spd4j.kernel.StepDriver;
import io.spd4j.kernel.TensorArrays;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * Adam over off-heap float32 arrays, with a decay rule per parameter group: none, {@link
 * WeightDecay} (AdamW), {@link L2SP} or {@link SelectiveProjectionDecay}. A step reads every array
 * once (what SPD projects, a second time) and allocates nothing; its result is the same to the bit
 * on every backend, vector width and number of threads (native/NUMERICS.md).
 *
 * <p>Bad arguments are refused by an exception that names the parameter and the fault, before
 * anything is written. One exception cannot come first: if another thread closes an arena while a
 * step runs, that step may be left half done; the optimizer says so and refuses further steps. On
 * the native backend it is the closing thread that gets the exception, unless it comes between two
 * calls.
 *
 * <p>Not thread-safe: one thread at a time; a second step while one runs is an {@link
 * IllegalStateException}. Segments of a confined arena are stepped by its owner thread alone,
 * without helpers.
 */
public final class Adam implements AutoCloseable {
  private final ParameterGroup[] groups;
  private final Parameter[] parameters;
  private final ParameterGroup[] groupOf;
  private final Backend backend;
  private final int threads;
  private final Arena momentsArena = Arena.ofShared();
  private final BlockTable table;
  private final StepDriver driver;
  private final WrittenMemory written;
  private final AtomicBoolean busy = new AtomicBoolean();

  /** What the schedule was made for. */
  private final boolean[] scheduled;

  private boolean scheduledSpd;
  private Schedule schedule;
  private final Schedule[] alone;

  /** The step count at the last step with SPD. */
  private final long[] spdStep;

  private boolean closed;
  private Throwable broken;

  private Adam(Builder b) {
    groups = b.groups.toArray(ParameterGroup[]::new);
    List<Parameter> all = new ArrayList<>();
    List<ParameterGroup> owners = new ArrayList<>();
    for (ParameterGroup group : groups) {
      for (Parameter parameter : group.parameters()) {
        all.add(parameter);
        owners.add(group);
      }
    }
    parameters = all.toArray(Parameter[]::new);
    groupOf = owners.toArray(ParameterGroup[]::new);
    scheduled = new boolean[parameters.length];
    alone = new Schedule[parameters.length];
    spdStep = new long[parameters.length];
    Kernels kernels = b.kernels != null ? b.kernels : KernelProvider.select(b.backendId());
    backend = Backend.of(kernels.name());
    threads = b.threads;
    written = new WrittenMemory(parameters, groupOf);
    BlockTable newTable = null;
    boolean ready = false;
    try {
      List<TensorArrays> arrays = new Moments(momentsArena).complete(parameters, groupOf);
      newTable = new BlockTable(arrays);
      driver = new StepDriver(kernels, newTable, threads, b.executor);
      for (int i = 0; i < parameters.length; i++) {
        TensorArrays a = arrays.get(i);
        parameters[i].adopt(this, i, a.expAvg(), a.expAvgSq(), a.maxExpAvgSq());
      }
      written.addMoments();
      ready = true;
    } finally {
      if (!ready) {
        momentsArena.close();
        if (newTable != null) {
          newTable.close();
        }
      }
    }
    table = newTable;
  }

  /** An optimizer in steps. */
  public static Builder builder() {
    return new Builder();
  }

  /** The groups, in the order in which they were given. */
  public List<ParameterGroup> groups() {
    return List.of(groups);
  }

  /** The parameters of all groups. */
  public List<Parameter> parameters() {
    return List.of(parameters);
  }

  /** What runs the steps. */
  public Backend backend() {
    return backend;
  }

  /** Threads that work on a step at the most, the caller's among them. */
  public int threads() {
    return threads;
  }

  /**
   * Steps every parameter that has a gradient and whose group is not frozen.
   *
   * @throws IllegalStateException if the optimizer is closed, another step is under way, an arena
   *     is closed (nothing has changed), or an earlier step broke off half done
   * @throws WrongThreadException if a segment belongs to another thread; nothing has changed
   */
  public void step() {
    step(1);
  }

  /**
   * The same with every gradient multiplied by a factor as it is read: 1/scale undoes loss scaling,
   * a clip coefficient clips. The gradients themselves stay as they are.
   *
   * @param gradScale more than 0 and finite in float32
   * @throws IllegalArgumentException if gradScale is not
   * @throws IllegalStateException as {@link #step()}
   * @throws WrongThreadException as {@link #step()}
   */
  public void step(double gradScale) {
    checkGradScale(gradScale);
    enter();
    try {
      prepare(gradScale);
      run();
    } finally {
      busy.set(false);
    }
  }

  /**
   * Steps with the gradients clipped to a global norm, as torch's {@code clip_grad_norm_}: scaled
   * by min(1, maxNorm / (norm + 1e-6)). If any gradient is NaN or infinite so is the norm, and the
   * step is skipped whole: parameters, moments, step counts and reports stay as they were.
   *
   * @param maxNorm more than 0; infinity only skips
   * @return the norm before clipping; {@link Double#isFinite} tells whether the step was taken
   * @throws IllegalArgumentException if maxNorm is not more than 0
   * @throws IllegalStateException as {@link #step()}
   * @throws WrongThreadException as {@link #step()}
   */
  public double stepClipped(double maxNorm) {
    return stepClipped(maxNorm, 1);
  }

  /**
   * The same for gradients that have to be multiplied by a factor first.
   *
   * @param maxNorm more than 0, for the gradients after the factor
   * @param gradScale more than 0 and finite in float32
   * @return the norm after the factor and before clipping
   * @throws IllegalArgumentException if an argument is out of range
   * @throws IllegalStateException as {@link #step()}
   * @throws WrongThreadException as {@link #step()}
   */
  public double stepClipped(double maxNorm, double gradScale) {
    Checks.positive("maxNorm", maxNorm);
    checkGradScale(gradScale);
    enter();
    try {
      prepare(gradScale);
      double norm = Math.sqrt(driver.gradSq(schedule)) * gradScale;
      if (Double.isFinite(norm)) {
        double clip = Math.min(1, maxNorm / (norm + 1e-6));
        prepare(gradScale * clip);
        run();
      }
      return norm;
    } finally {
      busy.set(false);
    }
  }

  /**
   * The global norm of the gradients of the parameters that the next step would step: the square
   * root of the sum of their squares. It is finite exactly if every gradient is, so one read serves
   * to clip and to skip.
   *
   * @throws IllegalStateException as {@link #step()}
   * @throws WrongThreadException as {@link #step()}
   */
  public double gradientNorm() {
    enter();
    try {
      prepare(1);
      return Math.sqrt(driver.gradSq(schedule));
    } finally {
      busy.set(false);
    }
  }

  /**
   * Steps one parameter now, for steps inside the backward pass. The result is that of a step with
   * all others.
   *
   * @return false if it was left alone: no gradient, or its group is frozen
   * @throws IllegalArgumentException if it is not a parameter of this optimizer
   * @throws IllegalStateException as {@link #step()}
   * @throws WrongThreadException as {@link #step()}
   */
  public boolean stepParameter(Parameter parameter) {
    return stepParameter(parameter, 1);
  }

  /**
   * The same with the gradient multiplied by a factor as it is read.
   *
   * @param gradScale more than 0 and finite in float32
   * @return false if it was left alone: no gradient, or its group is frozen
   * @throws IllegalArgumentException if gradScale is not, or the parameter is another optimizer's
   * @throws IllegalStateException as {@link #step()}
   * @throws WrongThreadException as {@link #step()}
   */
  public boolean stepParameter(Parameter parameter, double gradScale) {
    checkOwned(parameter);
    checkGradScale(gradScale);
    enter();
    try {
      int i = parameter.index();
      if (!active(i)) {
        return false;
      }
      writeScalars(i, i, gradScale);
      table.scalarsOf(i, i);
      if (alone[i] == null) {
        alone[i] = Schedule.of(table, i, i + 1, false, threads);
      }
      checkAccess(alone[i]);
      drive(alone[i]);
      stepped(i);
      return true;
    } finally {
      busy.set(false);
    }
  }

  /**
   * What SPD did with a parameter in its last step; empty before its first step with {@link
   * SelectiveProjectionDecay}.
   *
   * @throws IllegalArgumentException if it is not a parameter of this optimizer
   */
  public Optional<SpdReport> spdReport(Parameter parameter) {
    checkOwned(parameter);
    SpdDecisions d = driver.decisions();
    int i = parameter.index();
    if (d.checked(i) == 0) {
      return Optional.empty();
    }
    return Optional.of(
        new SpdReport(
            parameter.name(),
            spdStep[i],
            d.condition(i),
            d.ratio(i),
            d.deviationBefore(i),
            d.deviationAfter(i),
            d.condition(i) < 0,
            d.checked(i),
            d.selected(i),
            d.meanRatio(i)));
  }

  /** The reports of all parameters that have one, in the order of the parameters. */
  public List<SpdReport> spdReports() {
    return parameters().stream().flatMap(p -> spdReport(p).stream()).toList();
  }

  /**
   * Frees the moments that the optimizer allocated and ends its threads. The parameters' own arrays
   * are untouched. Closing twice does nothing.
   *
   * @throws IllegalStateException if a step is under way
   */
  @Override
  public void close() {
    if (!busy.compareAndSet(false, true)) {
      throw new IllegalStateException("a step is under way");
    }
    try {
      if (!closed) {
        momentsArena.close();
        closed = true;
        driver.close();
        table.close();
      }
    } finally {
      busy.set(false);
    }
  }

  /** A parameter's gradient is about to be replaced. */
  void gradient(Parameter parameter, MemorySegment gradient) {
    enter();
    try {
      if (gradient != null) {
        written.checkGradient(parameter, gradient);
      }
      int i = parameter.index();
      MemorySegment old = parameter.gradient();
      table.grad(i, gradient);
      if (old == null || gradient == null || !old.scope().equals(gradient.scope())) {
        schedule = null;
        alone[i] = null;
      }
    } finally {
      busy.set(false);
    }
  }

  private void enter() {
    if (!busy.compareAndSet(false, true)) {
      throw new IllegalStateException("another step is under way");
    }
    if (closed || broken != null) {
      busy.set(false);
      throw closed
          ? new IllegalStateException("the optimizer is closed")
          : new IllegalStateException("an earlier step broke off half done", broken);
    }
  }

  private void checkOwned(Parameter parameter) {
    if (Checks.notNull("parameter", parameter).owner() != this) {
      throw new IllegalArgumentException(
          parameter.name() + " is not a parameter of this optimizer");
    }
  }

  private static void checkGradScale(double gradScale) {
    Checks.finite("gradScale", Checks.positive("gradScale", gradScale));
    if ((float) gradScale == 0) {
      throw new IllegalArgumentException("gradScale " + gradScale + " is 0 in float32");
    }
  }

  private boolean active(int i) {
    return !groupOf[i].frozen() && parameters[i].gradient() != null;
  }

  private static Rule rule(DecayRule decay) {
    return switch (decay) {
      case NoDecay none -> Rule.ADAMW;
      case WeightDecay weight -> Rule.ADAMW;
      case L2SP l2sp -> l2sp.coupled() ? Rule.L2SP_COUPLED : Rule.L2SP;
      case SelectiveProjectionDecay spd -> Rule.SPD;
    };
  }

  /** Everything that can be refused, and the scalars of this step. */
  private void prepare(double gradScale) {
    boolean changed = schedule == null;
    boolean spd = false;
    int row = -1;
    for (int i = 0; i < parameters.length; i++) {
      boolean active = active(i);
      changed |= active != scheduled[i];
      scheduled[i] = active;
      if (!active) {
        table.scalarsOf(i, -1);
        continue;
      }
      spd |= groupOf[i].decay() instanceof SelectiveProjectionDecay;
      boolean shares =
          i > 0
              && scheduled[i - 1]
              && groupOf[i] == groupOf[i - 1]
              && parameters[i].step() == parameters[i - 1].step();
      if (!shares) {
        writeScalars(++row, i, gradScale);
      }
      table.scalarsOf(i, row);
    }
    if (changed || spd != scheduledSpd) {
      schedule = null;
      schedule = Schedule.of(table, 0, parameters.length, spd, threads);
      scheduledSpd = spd;
    }
    checkAccess(schedule);
  }

  private void writeScalars(int row, int i, double gradScale) {
    ParameterGroup g = groupOf[i];
    table.scalars(
        row,
        rule(g.decay()),
        g.lr(),
        g.beta1(),
        g.beta2(),
        g.eps(),
        g.decay().lambda(),
        g.maximize() ? -gradScale : gradScale,
        parameters[i].step() + 1);
  }

  private void checkAccess(Schedule schedule) {
    MemorySegment segment = schedule.inaccessible();
    if (segment == null) {
      return;
    }
    String what = written.describe(segment.scope());
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException(what + " lies in an arena that is closed");
    }
    throw new WrongThreadException(what + " lies in a confined arena of another thread");
  }

  private void run() {
    drive(schedule);
    for (int i = 0; i < parameters.length; i++) {
      if (scheduled[i]) {
        stepped(i);
      }
    }
  }

  private void stepped(int i) {
    parameters[i].stepped();
    if (groupOf[i].decay() instanceof SelectiveProjectionDecay) {
      spdStep[i] = parameters[i].step();
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

  /** Collects what an optimizer has. Not thread-safe. */
  public static final class Builder {
    private static final int MAX_THREADS = 1024;

    private final List<ParameterGroup> groups = new ArrayList<>();
    private Backend backend;
    private int threads = Math.min(MAX_THREADS, Runtime.getRuntime().availableProcessors());
    private Executor executor;
    private Kernels kernels;

    private Builder() {}

    /** Adds a group. */
    public Builder group(ParameterGroup group) {
      groups.add(Checks.notNull("group", group));
      return this;
    }

    /** Adds a group of parameters with torch's defaults and a rule and a learning rate. */
    public Builder group(double lr, DecayRule decay, Collection<Parameter> parameters) {
      return group(ParameterGroup.builder().lr(lr).decay(decay).parameters(parameters).build());
    }

    /**
     * The backend. Unless it is set, {@code -Dspd4j.backend} decides, and otherwise the first that
     * is available is taken.
     */
    public Builder backend(Backend backend) {
      this.backend = Checks.notNull("backend", backend);
      return this;
    }

    /** One implementation in particular: tests hold all of them against each other. */
    Builder kernels(Kernels kernels) {
      this.kernels = kernels;
      return this;
    }

    /**
     * Threads that work on a step, the caller's among them; as many as there are processors unless
     * set. Small steps use fewer.
     *
     * @throws IllegalArgumentException if threads is less than 1 or more than 1024
     */
    public Builder threads(int threads) {
      if (threads < 1 || threads > MAX_THREADS) {
        throw new IllegalArgumentException(
            "threads must be 1 to " + MAX_THREADS + ", not " + threads);
      }
      this.threads = threads;
      return this;
    }

    /**
     * Runs the helpers instead of threads of the optimizer's own. A step never waits for the
     * executor: what it does not start, the caller's thread does. The executor is not closed by the
     * optimizer.
     */
    public Builder executor(Executor executor) {
      this.executor = Checks.notNull("executor", executor);
      return this;
    }

    /**
     * The optimizer; allocates the moments that were not brought.
     *
     * @throws IllegalArgumentException if two parameters have one name or are the same, belong to
     *     an optimizer already, or arrays overlap; or if {@code -Dspd4j.backend} names no backend
     * @throws IllegalStateException if the backend asked for is not available; the message says why
     * @throws OutOfMemoryError if there is no memory for the moments
     */
    public Adam build() {
      return new Adam(this);
    }

    private String backendId() {
      return backend != null ? backend.id() : System.getProperty("spd4j.backend");
    }
  }
}
