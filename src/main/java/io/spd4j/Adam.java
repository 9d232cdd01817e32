package io.spd4j;

import io.spd4j.cuda.CudaException;
import io.spd4j.cuda.CudaStream;
import io.spd4j.kernel.HostPlace;
import io.spd4j.kernel.Kernels;
import io.spd4j.kernel.Place;
import io.spd4j.kernel.Settings;
import io.spd4j.kernel.SpdDecision;
import io.spd4j.kernel.SteppedTensor;
import io.spd4j.kernel.Stepper;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;

/**
 * Adam over off-heap float32 arrays, with a decay rule per parameter group: none, {@link
 * WeightDecay} (AdamW), {@link L2SP} or {@link SelectiveProjectionDecay}. A step reads every array
 * once (what SPD projects, a second time) and, on the CPU, allocates nothing (but the JIT may leave
 * a vector of the Vector API on the heap); its result is the same to the bit on every backend,
 * vector width and number of threads (native/NUMERICS.md).
 *
 * <p>Bad arguments are refused by an exception that names the parameter and the fault, before
 * anything is written. One exception cannot come first: if another thread closes an arena while a
 * step runs, that step may be left half done; the optimizer says so and refuses further steps. On
 * the native backend it is the closing thread that gets the exception, unless it comes between two
 * calls.
 *
 * <p>If the arrays lie in the memory of a CUDA device ({@link io.spd4j.cuda.DeviceArena}), steps
 * are enqueued onto a stream, in the order of its other work, and not waited for: gradients that
 * are computed there before are read, parameters that are read there afterwards have been stepped.
 * A closing arena waits for the steps under way. What does wait for the device: the methods that
 * return a norm, reports and {@link Parameter#step}. If CUDA fails they, or a later step, throw a
 * {@link io.spd4j.cuda.CudaException}.
 *
 * <p>A step, {@link #clipAndStep} and {@link #stepParameter} can be captured in a CUDA graph
 * ({@link io.spd4j.cuda.CudaStream#capture}) and replayed: step counts are kept on the device, and
 * {@link #uploadSettings} sends what has changed. The factor of the gradients and the norm to clip
 * to are those of the capture. Two steps of one optimizer must not run at once: replay on its
 * stream, or on one that waits for it and that it waits for.
 *
 * <p>Not thread-safe: one thread at a time; a second step while one runs is an {@link
 * IllegalStateException}. Segments of a confined arena are stepped by its owner thread alone,
 * without helpers.
 */
public final class Adam implements AutoCloseable {
  private final ParameterGroup[] groups;
  private final Parameter[] parameters;
  private final Backend backend;
  private final int threads;

  private final Arena momentsArena;
  private final Stepper stepper;
  private final ArrayChecks arrays;
  private final AtomicBoolean busy = new AtomicBoolean();
  private boolean closed;

  private Adam(Builder b) {
    groups = b.groups.toArray(ParameterGroup[]::new);
    parameters = b.groups.stream().flatMap(g -> g.parameters().stream()).toArray(Parameter[]::new);
    threads = b.threads;
    arrays = new ArrayChecks(parameters, groups);
    Place place = b.place();
    backend = Backend.of(place.backend());
    arrays.checkPlace(place);
    momentsArena = place.openArena();
    List<SteppedTensor> tensors;
    try {
      tensors = Moments.complete(groups, momentsArena);
      List<Supplier<Settings>> settings = new ArrayList<>();
      b.groups.forEach(group -> settings.add(group::settings));
      stepper = place.stepper(tensors, List.copyOf(settings), arrays::describe);
    } catch (RuntimeException | Error e) {
      try {
        momentsArena.close();
      } catch (CudaException lost) {
        e.addSuppressed(lost);
      }
      throw e;
    }
    for (int i = 0; i < parameters.length; i++) {
      SteppedTensor t = tensors.get(i);
      parameters[i].adopt(this, i, t.expAvg(), t.expAvgSq(), t.maxExpAvgSq());
    }
    arrays.addMoments();
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

  /** Threads that work on a step at the most, the caller's among them; CUDA uses none. */
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
      stepper.step(gradScale);
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
      return stepper.stepClipped(maxNorm, gradScale);
    } finally {
      busy.set(false);
    }
  }

  /**
   * The same as {@link #stepClipped(double)} without an answer, so that nothing waits for a device:
   * a step that can be captured in a CUDA graph.
   *
   * @param maxNorm more than 0; infinity only skips
   * @throws IllegalArgumentException if maxNorm is not more than 0
   * @throws IllegalStateException as {@link #step()}
   * @throws WrongThreadException as {@link #step()}
   */
  public void clipAndStep(double maxNorm) {
    clipAndStep(maxNorm, 1);
  }

  /**
   * The same for gradients that have to be multiplied by a factor first.
   *
   * @param maxNorm more than 0, for the gradients after the factor
   * @param gradScale more than 0 and finite in float32
   * @throws IllegalArgumentException if an argument is out of range
   * @throws IllegalStateException as {@link #step()}
   * @throws WrongThreadException as {@link #step()}
   */
  public void clipAndStep(double maxNorm, double gradScale) {
    Checks.positive("maxNorm", maxNorm);
    checkGradScale(gradScale);
    enter();
    try {
      stepper.clipAndStep(maxNorm, gradScale);
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
      return stepper.gradientNorm();
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
      return stepper.stepAlone(parameter.index(), gradScale);
    } finally {
      busy.set(false);
    }
  }

  /**
   * Sends to the device what has changed in the groups (learning rate, λ, frozen) and which
   * gradients there are, so that a replayed CUDA graph works with it. Needed before a replay and
   * before a capture alone, as every other step does so itself; on the CPU there is nothing to
   * send. A rule that becomes SPD, or is no longer, takes a new capture: until then there are no
   * decisions.
   *
   * @throws IllegalStateException if the optimizer is closed, a step is under way, or an earlier
   *     one broke off half done
   */
  public void uploadSettings() {
    enter();
    try {
      stepper.uploadSettings();
    } finally {
      busy.set(false);
    }
  }

  /**
   * What SPD did with a parameter in its last step; empty before its first step with {@link
   * SelectiveProjectionDecay}.
   *
   * @throws IllegalArgumentException if it is not a parameter of this optimizer
   * @throws IllegalStateException in the capture of a CUDA graph
   */
  public Optional<SpdReport> spdReport(Parameter parameter) {
    checkOwned(parameter);
    SpdDecision d = stepper.decision(parameter.index());
    if (d == null) {
      return Optional.empty();
    }
    return Optional.of(
        new SpdReport(
            parameter.name(),
            d.step(),
            d.condition(),
            d.ratio(),
            d.deviationBefore(),
            d.deviationAfter(),
            d.selected(),
            d.checked(),
            d.selections(),
            d.meanRatio()));
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
   * @throws CudaException if CUDA or the steps that were waited for failed; it is closed then
   */
  @Override
  public void close() {
    if (!busy.compareAndSet(false, true)) {
      throw new IllegalStateException("a step is under way");
    }
    try {
      if (!closed) {
        closeOnce();
      }
    } finally {
      busy.set(false);
    }
  }

  private void closeOnce() {
    try {
      momentsArena.close();
    } catch (CudaException lost) { // the arena is closed nevertheless
      closed = true;
      try {
        stepper.close();
      } catch (CudaException e) {
        lost.addSuppressed(e);
      }
      throw lost;
    }
    closed = true;
    stepper.close();
  }

  /** A parameter's gradient is about to be replaced. */
  void gradient(Parameter parameter, MemorySegment gradient) {
    enter();
    try {
      if (gradient != null) {
        arrays.checkGradient(parameter, gradient);
      }
      stepper.gradient(parameter.index(), gradient);
    } finally {
      busy.set(false);
    }
  }

  /** How many steps a parameter has taken. */
  long stepCount(Parameter parameter) {
    return stepper.stepCount(parameter.index());
  }

  private void enter() {
    if (!busy.compareAndSet(false, true)) {
      throw new IllegalStateException("another step is under way");
    }
    if (closed) {
      busy.set(false);
      throw new IllegalStateException("the optimizer is closed");
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

  /** Collects what an optimizer has. Not thread-safe. */
  public static final class Builder {
    private static final int MAX_THREADS = 1024;

    private final List<ParameterGroup> groups = new ArrayList<>();
    private Backend backend;
    private int threads = Math.min(MAX_THREADS, Runtime.getRuntime().availableProcessors());
    private Executor executor;
    private Kernels kernels;
    private CudaStream stream;

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
     * The backend. Unless it is set, {@code -Dspd4j.backend} decides, and otherwise CUDA steps
     * device memory, and the first available of the others the host's.
     */
    public Builder backend(Backend backend) {
      this.backend = Checks.notNull("backend", backend);
      return this;
    }

    /**
     * The stream that CUDA steps are enqueued onto: that on which the gradients are computed.
     * Unless it is set, it is the legacy default stream of the parameters' device; work on streams
     * from {@link CudaStream#create} is not ordered with that one, and a step on it cannot be
     * captured. The stream is not closed by the optimizer and must not be closed before.
     */
    public Builder stream(CudaStream stream) {
      this.stream = Checks.notNull("stream", stream);
      return this;
    }

    /** One implementation in particular: tests hold all of them against each other. */
    Builder kernels(Kernels kernels) {
      this.kernels = kernels;
      return this;
    }

    /**
     * Threads that work on a step, the caller's among them; as many as there are processors unless
     * set. Small steps use fewer, CUDA none.
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
     *     an optimizer already, or arrays overlap; if one lies in memory that the backend does not
     *     step; or if {@code -Dspd4j.backend} names no backend
     * @throws IllegalStateException if the backend asked for is not available; the message says why
     * @throws OutOfMemoryError if there is no memory for the moments
     * @throws CudaException if CUDA fails, as it does where there is not enough device memory
     */
    public Adam build() {
      return new Adam(this);
    }

    private MemorySegment first() {
      return groups.stream()
          .flatMap(g -> g.parameters().stream())
          .findFirst()
          .map(Parameter::data)
          .orElse(MemorySegment.NULL);
    }

    private Place place() {
      return kernels != null
          ? new HostPlace(kernels, threads, executor)
          : Place.of(backendId(), first(), stream, threads, executor);
    }

    private String backendId() {
      return backend != null ? backend.id() : System.getProperty("spd4j.backend");
    }
  }
}
