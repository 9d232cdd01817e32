package io.spd4j;

import io.spd4j.cuda.CudaStream;
import io.spd4j.kernel.Exchange;
import io.spd4j.kernel.HostPlace;
import io.spd4j.kernel.Kernels;
import io.spd4j.kernel.Place;
import io.spd4j.kernel.Settings;
import io.spd4j.kernel.SpdDecision;
import io.spd4j.kernel.SteppedTensor;
import io.spd4j.kernel.Stepper;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;

/**
 * Adam over off-heap arrays, with a {@link DecayRule} per parameter group. A step reads each array
 * once, and a second time what SPD projects. On the CPU it allocates nothing, except that the JIT
 * may leave a Vector API vector on the heap. The result is the same to the bit on every backend, at
 * every vector width and with any number of threads (native/NUMERICS.md).
 *
 * <p>Bad arguments, null among them, are refused before anything is written; the exception names
 * the parameter and the fault. Only one fault cannot be found in advance: if another thread closes
 * an arena during a step, the step may end half done. The optimizer then says so and refuses
 * further steps. On the native and vector backends the closing thread gets the exception instead,
 * unless it closes the arena between two calls of the kernels. The JVM interrupts a thread to break
 * off its access to a closed arena; a step takes that back, and with it any other interrupt that
 * came in such a step.
 *
 * <p>If the arrays lie in the memory of a CUDA device ({@link io.spd4j.cuda.DeviceArena}), a step
 * is enqueued onto a stream and returns without waiting. It reads gradients that earlier work on
 * the stream computed, and later work on the stream sees the stepped parameters. Closing an arena
 * waits for the steps under way. The methods that return a norm, the reports, {@link
 * Parameter#step} and {@link #close} wait for the device, too. If CUDA fails, they or a later step
 * throw a {@link io.spd4j.cuda.CudaException}.
 *
 * <p>{@link #step()}, {@link #clipAndStep} and {@link #stepParameter} can be captured in a CUDA
 * graph ({@link io.spd4j.cuda.CudaStream#capture}) and replayed: step counts are kept on the
 * device, and {@link #uploadSettings} sends changed settings. Replays use the gradient factor and
 * the maximum norm of the capture. Two steps of one optimizer must not run at once: replay on the
 * optimizer's stream, or make the two streams wait for each other's steps.
 *
 * <p>Flight Recorder records each step as an event {@code io.spd4j.Step} and, if {@code
 * io.spd4j.SpdSelection} is enabled, what SPD decided about each parameter. On CUDA the event's
 * duration is that of enqueueing, and SPD's decisions are not recorded.
 *
 * <p>Not thread-safe: use it from one thread at a time. A second step while one runs throws an
 * {@link IllegalStateException}. Arrays in a confined arena can only be stepped by the arena's
 * owner thread, and helper threads take no part in that step.
 */
public final class Adam implements AutoCloseable {
  /** The index of a parameter that the stepper does not know yet. */
  private static final int JOINING = -1;

  private ParameterGroup[] groups;
  private final Place place;
  private final Backend backend;
  private final int threads;
  private final long seed;

  private final Arena momentsArena;
  private final ArrayChecks arrays;
  private final StepRecorder recorder;

  /** Null if this process steps all elements. */
  private final ShardExchange exchange;

  /** The parameters of all groups. */
  private List<Parameter> parameters;

  /** Steps the parameters by their {@link Parameter#index}. */
  private Stepper stepper;

  /** The number of parameters that have a gradient. */
  private int gradients;

  private boolean warned;

  /** Whether parameters have joined that the stepper does not know yet. */
  private boolean joining;

  private final AtomicBoolean busy = new AtomicBoolean();
  private boolean closed;

  private Adam(Builder b) {
    groups = b.groups.toArray(ParameterGroup[]::new);
    parameters = parameters(groups);
    threads = b.threads;
    boolean sharded = b.ranks != null && b.ranks.size() > 1;
    arrays = new ArrayChecks(groups, sharded);
    checkGroups(groups);
    place = b.place();
    backend = Backend.of(place.backend());
    recorder = new StepRecorder(backend);
    arrays.checkPlace(place);
    exchange = sharded ? exchange(b) : null;
    Restore restore;
    try {
      restore = b.checkpoint == null ? null : restore(b);
      long ownSeed = b.seed == null ? 0 : b.seed;
      seed = restore == null ? ownSeed : restore.seed(ownSeed);
      momentsArena = place.openArena();
    } catch (RuntimeException | Error e) {
      closeExchange();
      throw e;
    }
    List<SteppedTensor> tensors;
    try {
      tensors =
          Moments.complete(groups, momentsArena, seed, exchange == null ? null : exchange.shards());
      if (restore != null) {
        tensors = restore.continued(tensors);
      }
      stepper = stepper(tensors);
    } catch (RuntimeException | Error e) {
      try {
        momentsArena.close();
      } catch (RuntimeException lost) {
        e.addSuppressed(lost);
      }
      closeExchange();
      throw e;
    }
    for (int i = 0; i < tensors.size(); i++) {
      adopt(parameters.get(i), i, tensors.get(i));
    }
    gradients = (int) parameters.stream().filter(p -> p.gradient() != null).count();
    b.groups.forEach(group -> group.adopt(this));
    arrays.addMoments();
    apply(restore, b.ranks);
  }

  private ShardExchange exchange(Builder b) {
    if (backend == Backend.CUDA) {
      throw new IllegalArgumentException(
          "several ranks step host memory only, but the backend is CUDA");
    }
    for (Parameter p : parameters) {
      if (p.expAvg() != null) {
        throw new IllegalArgumentException(
            "moments of "
                + p.name()
                + " are given, but each rank allocates those of its shard: to continue a training,"
                + " restore a checkpoint");
      }
    }
    SameOnRanks.requireSameShapes(b.ranks, groups);
    return new ShardExchange(b.ranks, groups, parameters, b.chunk);
  }

  private void apply(Restore restore, Ranks ranks) {
    try {
      if (restore != null) {
        restore.apply();
      }
      if (exchange != null) {
        SameOnRanks.requireSameSettings(ranks, groups, seed);
        SameOnRanks.requireSameValues(ranks, parameters);
      }
    } catch (RuntimeException | Error e) { // CUDA failed, or the ranks differ
      try {
        close();
      } catch (RuntimeException lost) {
        e.addSuppressed(lost);
      }
      throw e;
    }
  }

  private Restore restore(Builder b) {
    arrays.checkAccess();
    return new Restore(b.checkpoint, b.groups, b.seed, place, exchange);
  }

  private void adopt(Parameter parameter, int index, SteppedTensor t) {
    parameter.adopt(this, index, t.expAvg(), t.expAvgSq(), t.maxExpAvgSq());
  }

  private static void checkGroups(ParameterGroup[] groups) {
    if (groups.length == 0) {
      throw new IllegalArgumentException(
          "the optimizer has no group: add one, which may be empty until addParameter fills it");
    }
    Set<ParameterGroup> given = new HashSet<>();
    for (ParameterGroup group : groups) {
      if (!given.add(group)) {
        throw new IllegalArgumentException("a group is given twice");
      }
      if (group.owner() != null) {
        throw new IllegalArgumentException("a group belongs to another optimizer: build a new one");
      }
    }
  }

  /** Returns a builder. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns the groups, in the order in which they were added. */
  public List<ParameterGroup> groups() {
    return List.of(groups);
  }

  /** Returns the parameters of all groups, in the order of the groups. */
  public List<Parameter> parameters() {
    return parameters;
  }

  /**
   * Adds a parameter to a group, which may be a new one, between two steps: for frameworks that
   * name their parameters only when they first update them. From then on, all results are the same
   * to the bit as if the optimizer had been built with the parameter in this place: last in its
   * group. The other parameters' moments, step counts and reports stay.
   *
   * <p>The next step prepares anew what it needs, once for all parameters that have joined. On CUDA
   * it waits for the steps under way, and graphs captured before can no longer be launched: call
   * {@link #uploadSettings} and capture them again.
   *
   * @param group one of {@link #groups()}, or a new one without parameters, which becomes the last
   * @throws IllegalArgumentException if the group is neither, or if {@link Builder#build} would
   *     refuse the parameter; nothing has changed
   * @throws IllegalStateException as {@link #step()}, in the capture of a CUDA graph, or with
   *     several ranks; nothing has changed
   * @throws OutOfMemoryError if there is no memory for the moments; nothing has changed
   * @throws io.spd4j.cuda.CudaException if CUDA fails
   */
  public void addParameter(ParameterGroup group, Parameter parameter) {
    ParameterGroup[] with = withGroup(Checks.notNull("group", group));
    int g = Arrays.asList(with).indexOf(group);
    if (Checks.notNull("parameter", parameter).owner() == this) {
      throw new IllegalArgumentException(
          parameter.name() + " is already a parameter of this optimizer");
    }
    enter();
    try {
      if (exchange != null) {
        throw new IllegalStateException(
            "no parameter can join an optimizer of several ranks, whose shards are cut when it is"
                + " built");
      }
      stepper.checkMayGrow();
      arrays.checkAdded(parameter, group);
      adopt(
          parameter, JOINING, Moments.complete(parameter, g, group.amsgrad(), momentsArena, seed));
      arrays.add(parameter);
      groups = with;
      group.adopt(this);
      group.add(parameter);
      parameters = parameters(groups);
      joining = true;
      gradients += parameter.gradient() == null ? 0 : 1;
    } finally {
      busy.set(false);
    }
  }

  private static List<Supplier<Settings>> settings(ParameterGroup[] groups) {
    return Arrays.stream(groups).<Supplier<Settings>>map(group -> group::settings).toList();
  }

  private static List<Parameter> parameters(ParameterGroup[] groups) {
    return Arrays.stream(groups).flatMap(group -> group.parameters().stream()).toList();
  }

  /** Returns the groups, with a new one at the end if this is one. */
  private ParameterGroup[] withGroup(ParameterGroup group) {
    if (group.owner() == this) {
      return groups;
    }
    if (group.owner() != null) {
      throw new IllegalArgumentException("the group belongs to another optimizer");
    }
    if (!group.parameters().isEmpty()) {
      throw new IllegalArgumentException(
          "the group has parameters, but is not one of this optimizer; a new group joins it without"
              + " parameters");
    }
    ParameterGroup[] with = Arrays.copyOf(groups, groups.length + 1);
    with[groups.length] = group;
    return with;
  }

  /** Returns the stepper of all parameters. It is made again if some have joined. */
  private Stepper stepper() {
    if (!joining) {
      return stepper;
    }
    List<SteppedTensor> old = stepper.tensors();
    List<SteppedTensor> all = new ArrayList<>();
    for (int g = 0; g < groups.length; g++) {
      for (Parameter p : groups[g].parameters()) {
        boolean joins = p.index() == JOINING;
        all.add(
            joins
                ? Moments.complete(p, g, groups[g].amsgrad(), momentsArena, seed)
                : old.get(p.index()));
      }
    }
    Stepper before = stepper;
    stepper = stepper(all);
    for (int i = 0; i < all.size(); i++) {
      adopt(parameters.get(i), i, all.get(i));
    }
    joining = false;
    before.close();
    return stepper;
  }

  private Stepper stepper(List<SteppedTensor> tensors) {
    return place.stepper(
        tensors, settings(groups), arrays::describe, exchange == null ? Exchange.NONE : exchange);
  }

  /** Returns the backend that runs the steps. */
  public Backend backend() {
    return backend;
  }

  /** Returns the most threads that work on a step, the caller's included. CUDA uses none. */
  public int threads() {
    return threads;
  }

  /**
   * Steps every parameter that has a gradient and whose group is not frozen. If not one parameter
   * has a gradient, nothing changes; the first time, a warning is logged ({@link System.Logger}
   * {@code io.spd4j}).
   *
   * @throws IllegalStateException if the optimizer is closed, another step is under way, an arena
   *     is closed (nothing has changed), an earlier step broke off half done, or, in the capture of
   *     a CUDA graph, the settings must be uploaded first ({@link #uploadSettings})
   * @throws WrongThreadException if a segment belongs to another thread; nothing has changed
   */
  public void step() {
    step(1);
  }

  /**
   * Steps as {@link #step()} does, with every gradient multiplied by a factor as it is read:
   * 1/scale undoes loss scaling, a clip coefficient clips. The gradients in memory do not change.
   *
   * <p>As in PyTorch, nothing is skipped. An element whose gradient times the factor is NaN or
   * infinite in float32 becomes NaN. One whose second moment overflows, which takes a gradient of
   * at least 2^64, keeps an infinite one and moves no more, except by decay. {@link #stepClipped}
   * skips both.
   *
   * @param gradScale more than 0 and finite in float32
   * @throws IllegalArgumentException if gradScale is out of range
   * @throws IllegalStateException as {@link #step()}
   * @throws WrongThreadException as {@link #step()}
   */
  public void step(double gradScale) {
    checkGradScale(gradScale);
    enter();
    try {
      begin();
      stepper().step(gradScale);
      recorder.end(stepper, parameters);
    } finally {
      busy.set(false);
    }
  }

  /**
   * Clips the gradients to a global norm and steps. As in torch's {@code clip_grad_norm_}, the
   * gradients are scaled by min(1, maxNorm / (norm + 1e-6)), but only as they are read. If any
   * gradient is NaN or infinite, so is the norm, and the whole step is skipped: parameters,
   * moments, step counts and reports stay as they were. A step is also skipped if the norm of what
   * it would take in, so after clipping, is 2^63 (9.2e18) or more: squares of such gradients would
   * overflow the second moment, which is float32. That needs a maxNorm as large.
   *
   * @param maxNorm more than 0; infinity turns off clipping, but not the skipping
   * @return the norm before clipping; infinite or NaN exactly if the step was skipped
   * @throws IllegalArgumentException if maxNorm is not more than 0
   * @throws IllegalStateException as {@link #step()}, or in the capture of a CUDA graph, where the
   *     norm is not known: use {@link #clipAndStep}
   * @throws WrongThreadException as {@link #step()}
   */
  public double stepClipped(double maxNorm) {
    return stepClipped(maxNorm, 1);
  }

  /**
   * Clips and steps as {@link #stepClipped(double)} does, with every gradient multiplied by a
   * factor first.
   *
   * @param maxNorm more than 0; it applies after the factor
   * @param gradScale more than 0 and finite in float32
   * @return the norm after the factor and before clipping; infinite or NaN exactly if the step was
   *     skipped
   * @throws IllegalArgumentException if an argument is out of range
   * @throws IllegalStateException as {@link #stepClipped(double)}
   * @throws WrongThreadException as {@link #step()}
   */
  public double stepClipped(double maxNorm, double gradScale) {
    Checks.positive("maxNorm", maxNorm);
    checkGradScale(gradScale);
    enter();
    try {
      begin();
      double norm = stepper().stepClipped(maxNorm, gradScale);
      recorder.end(stepper, parameters);
      return norm;
    } finally {
      busy.set(false);
    }
  }

  /**
   * Clips and steps as {@link #stepClipped(double)} does, but returns no norm. It does not wait for
   * a device and can be captured in a CUDA graph.
   *
   * @param maxNorm more than 0; infinity turns off clipping, but not the skipping
   * @throws IllegalArgumentException if maxNorm is not more than 0
   * @throws IllegalStateException as {@link #step()}
   * @throws WrongThreadException as {@link #step()}
   */
  public void clipAndStep(double maxNorm) {
    clipAndStep(maxNorm, 1);
  }

  /**
   * Clips and steps as {@link #clipAndStep(double)} does, with every gradient multiplied by a
   * factor first.
   *
   * @param maxNorm more than 0; it applies after the factor
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
      begin();
      stepper().clipAndStep(maxNorm, gradScale);
      recorder.end(stepper, parameters);
    } finally {
      busy.set(false);
    }
  }

  /**
   * Returns the global norm of the gradients that the next step would use: the square root of the
   * sum of their squares. It is finite exactly if every gradient is, so one call serves to clip and
   * to skip. It can be beyond the range of float32.
   *
   * @throws IllegalStateException as {@link #step()}, or in the capture of a CUDA graph
   * @throws WrongThreadException as {@link #step()}
   */
  public double gradientNorm() {
    enter();
    try {
      return stepper().gradientNorm();
    } finally {
      busy.set(false);
    }
  }

  /**
   * Announces that the gradients of some parameters are final for the next step. With {@linkplain
   * Builder#ranks several ranks} they are then sent in the background, while the backward pass
   * computes those of other layers; the step sends what was not announced. The bits are the same.
   * Without ranks this does nothing, except that it refuses parameters that are given twice in this
   * call or belong to another optimizer.
   *
   * <p>Parameters without a gradient, and those of frozen groups, are left out, so a whole layer
   * can be given. Until the step returns, leave announced gradients unchanged and their arenas
   * open: if one is closed, no step can be taken any more. To replace one throws. Nothing is
   * written before the step. An announcement holds for one step, even one that skips because a
   * gradient is not finite. {@link #gradientNorm} and a step that is refused leave it in place; it
   * cannot be taken back.
   *
   * <p>Collective: each rank gives the same parameters in the same calls. What a rank announces it
   * sends in its next call of this or of a step, when the others have told that they announce the
   * same, so give each layer as soon as it is done. If the ranks differ, that next call throws on
   * all of them, and what differs is not announced. A call waits for ranks that are more than a
   * call behind, or once about a quarter of all gradients is under way. MPI moves data only while
   * it is called: in these calls, among others.
   *
   * <p>Takes off-heap memory until the optimizer is closed: from the first call on for half of all
   * gradients, which are sent from one half of it and received in the other, and for the totals of
   * this rank's shard of what is announced.
   *
   * @throws IllegalArgumentException if a parameter is given twice, does not belong to this
   *     optimizer, or, with several ranks, was announced already; nothing has changed
   * @throws IllegalStateException if the optimizer is closed, another call is under way, or, with
   *     several ranks: an arena is closed (nothing has changed), an earlier step or exchange broke
   *     off half done, or the ranks differ in what they call or announce
   * @throws WrongThreadException if a gradient belongs to another thread; nothing has changed
   * @throws OutOfMemoryError if there is no memory for what is announced; nothing has changed
   */
  public void gradientsReady(Collection<Parameter> parameters) {
    List<Parameter> ready = new ArrayList<>(Checks.notNull("parameters", parameters));
    ready.forEach(this::checkOwned);
    Set<Parameter> given = new HashSet<>();
    for (Parameter p : ready) {
      if (!given.add(p)) {
        throw new IllegalArgumentException(p.name() + " is given twice to gradientsReady");
      }
    }
    enter();
    try {
      if (exchange != null) {
        stepper.checkMayGrow();
        exchange.announce(ready);
      }
    } finally {
      busy.set(false);
    }
  }

  /**
   * Steps one parameter now, for steps inside the backward pass. Its result is the same as in a
   * step of all parameters.
   *
   * @return false if the parameter was left alone: it has no gradient, or its group is frozen
   * @throws IllegalArgumentException if the parameter does not belong to this optimizer
   * @throws IllegalStateException as {@link #step()}, or with several ranks
   * @throws WrongThreadException as {@link #step()}
   */
  public boolean stepParameter(Parameter parameter) {
    return stepParameter(parameter, 1);
  }

  /**
   * Steps one parameter as {@link #stepParameter(Parameter)} does, with its gradient multiplied by
   * a factor as it is read.
   *
   * @param gradScale more than 0 and finite in float32
   * @return false if the parameter was left alone: it has no gradient, or its group is frozen
   * @throws IllegalArgumentException if gradScale is out of range, or the parameter does not belong
   *     to this optimizer
   * @throws IllegalStateException as {@link #step()}, or with several ranks
   * @throws WrongThreadException as {@link #step()}
   */
  public boolean stepParameter(Parameter parameter, double gradScale) {
    checkOwned(parameter);
    checkGradScale(gradScale);
    enter();
    try {
      if (exchange != null) {
        throw new IllegalStateException(
            "several ranks step all parameters together: call step() or one that clips");
      }
      recorder.begin();
      boolean stepped = stepper().stepAlone(parameter.index(), gradScale);
      if (stepped) {
        recorder.end(stepper, parameters);
      }
      return stepped;
    } finally {
      busy.set(false);
    }
  }

  /**
   * Sends changed settings of the groups (learning rate, λ, frozen) and changed gradients'
   * addresses to the device, so that a replayed CUDA graph uses them. Only replays and captures
   * need this call: other steps send changes themselves, and on the CPU there is nothing to send.
   * If a rule becomes SPD or ceases to be SPD, capture again: until then, replays take no
   * decisions.
   *
   * @throws IllegalStateException as {@link #step()}
   */
  public void uploadSettings() {
    enter();
    try {
      stepper().uploadSettings();
    } finally {
      busy.set(false);
    }
  }

  /**
   * Returns what SPD did in its last step of a parameter; empty before the parameter's first step
   * with {@link SelectiveProjectionDecay}.
   *
   * @throws IllegalArgumentException if the parameter does not belong to this optimizer
   * @throws IllegalStateException in the capture of a CUDA graph
   */
  public Optional<SpdReport> spdReport(Parameter parameter) {
    checkOwned(parameter);
    SpdDecision d = parameter.index() == JOINING ? null : stepper.decision(parameter.index());
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

  /**
   * Returns the reports of all parameters that have one, in order; throws as {@link #spdReport}.
   */
  public List<SpdReport> spdReports() {
    return parameters().stream().flatMap(p -> spdReport(p).stream()).toList();
  }

  /**
   * Writes a checkpoint of the optimizer, without the parameters' values: {@code
   * Checkpoint.of(this).write(path)}. {@link Builder#restore(Path)} reads it.
   *
   * @throws IllegalStateException if the optimizer is closed, a step is under way, an earlier step
   *     broke off half done, or an arena is closed
   * @throws WrongThreadException if a segment belongs to another thread
   * @throws IOException if the file cannot be written; the old one is unchanged
   */
  public void save(Path path) throws IOException {
    Checkpoint.of(this).write(path);
  }

  /**
   * Brings the low halves of exact masters ({@link Parameter#low}) to every rank, for example to
   * export float32 values. With several ranks, a step leaves the low halves of a shard with the
   * rank that steps it, as no network reads them; {@link #save} with the parameters' values gathers
   * them itself. All ranks call this together. Without ranks it does nothing.
   *
   * @throws IllegalStateException if the optimizer is closed, a step is under way, an earlier step
   *     broke off half done, or an arena is closed
   * @throws WrongThreadException if a segment belongs to another thread
   */
  public void gatherLow() {
    beginSave();
    try {
      if (exchange != null) {
        exchange.gatherLow();
      }
    } finally {
      endSave();
    }
  }

  /** Keeps steps away while a checkpoint is written; {@link #endSave} must follow. */
  void beginSave() {
    if (closed) {
      throw new IllegalStateException(
          "the optimizer is closed and its moments are freed: save before close()");
    }
    enter();
    try {
      stepper.checkMayGrow();
      arrays.checkAccess();
    } catch (RuntimeException | Error e) {
      busy.set(false);
      throw e;
    }
  }

  void endSave() {
    busy.set(false);
  }

  Place place() {
    return place;
  }

  /** Returns what is exchanged with other ranks; null if this process steps all elements. */
  ShardExchange exchange() {
    return exchange;
  }

  /** Returns the seed of the random bits. */
  long seed() {
    return seed;
  }

  /** Returns what SPD did in its last step of a parameter; null if there is none. */
  SpdDecision decision(Parameter parameter) {
    return parameter.index() == JOINING ? null : stepper.decision(parameter.index());
  }

  /**
   * Frees the moments that the optimizer allocated and ends its threads. The caller's arrays are
   * untouched. Closing twice does nothing. With several ranks, waits for gradients under way that
   * {@link #gradientsReady} announced for a step that was not taken; after a failure it waits for
   * nothing, and the buffers of transfers stay until the process ends, as one may still use them.
   *
   * @throws IllegalStateException if a step is under way
   * @throws io.spd4j.cuda.CudaException if CUDA or a step under way failed; the optimizer is closed
   *     all the same
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
      closeExchange();
    } finally {
      closeMoments();
    }
  }

  private void closeExchange() {
    if (exchange != null) {
      exchange.close();
    }
  }

  private void closeMoments() {
    try {
      momentsArena.close();
    } catch (RuntimeException e) {
      closed =
          !momentsArena.scope().isAlive(); // a device's arena is closed even if the device is lost
      if (closed) {
        closeStepper(e);
      }
      throw e;
    }
    closed = true;
    stepper.close();
  }

  private void closeStepper(RuntimeException failure) {
    try {
      stepper.close();
    } catch (RuntimeException e) {
      failure.addSuppressed(e);
    }
  }

  /** Replaces the gradient that the next step of a parameter reads; null for none. */
  void gradient(Parameter parameter, MemorySegment gradient) {
    enter();
    try {
      if (exchange != null && exchange.isAnnounced(parameter)) {
        throw new IllegalStateException(
            "gradient of "
                + parameter.name()
                + (parameter.gradient().scope().isAlive()
                    ? " is announced for the next step, which must be taken before it is replaced"
                    : " was announced, but its arena is closed: no step can be taken any more"));
      }
      if (gradient != null) {
        arrays.checkGradient(parameter, gradient);
      } else {
        arrays.dropGradient(parameter);
      }
      if (parameter.index() != JOINING) {
        stepper.gradient(
            parameter.index(),
            gradient == null || exchange == null
                ? gradient
                : exchange.shard(parameter.index(), gradient, parameter.gradientType()));
      }
      gradients += (gradient == null ? 0 : 1) - (parameter.gradient() == null ? 0 : 1);
    } finally {
      busy.set(false);
    }
  }

  /** Returns the number of steps that a parameter has taken; at first it has taken startStep. */
  long stepCount(Parameter parameter, long startStep) {
    return parameter.index() == JOINING ? startStep : stepper.stepCount(parameter.index());
  }

  boolean isClosed() {
    return closed;
  }

  private void enter() {
    if (!busy.compareAndSet(false, true)) {
      throw new IllegalStateException("a step is under way, or another call of the optimizer");
    }
    if (closed) {
      busy.set(false);
      throw new IllegalStateException("the optimizer is closed");
    }
  }

  /** Begins a step of all parameters. Warns, once, if no gradient was given to any of them. */
  private void begin() {
    recorder.begin();
    if (gradients == 0 && !warned) {
      warned = true;
      System.getLogger("io.spd4j")
          .log(
              Level.WARNING,
              parameters.isEmpty()
                  ? "a step changed nothing: the optimizer has no parameters yet"
                  : "a step changed nothing: no parameter has a gradient, such as "
                      + parameters.getFirst().name());
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

  /** Collects the groups and options of an optimizer. Not thread-safe. */
  public static final class Builder {
    private static final int MAX_THREADS = 1024;

    private final List<ParameterGroup> groups = new ArrayList<>();
    private Backend backend;
    private int threads = Math.min(MAX_THREADS, Runtime.getRuntime().availableProcessors());
    private Executor executor;
    private Kernels kernels;
    private CudaStream stream;
    private Long seed;
    private Checkpoint checkpoint;
    private Ranks ranks;
    private long chunk;

    private Builder() {}

    /** Adds a group. */
    public Builder group(ParameterGroup group) {
      groups.add(Checks.notNull("group", group));
      return this;
    }

    /**
     * Adds a group with this learning rate and decay rule; its other settings are torch's defaults.
     *
     * @throws IllegalArgumentException if lr is negative, NaN, or infinite in float32
     */
    public Builder group(double lr, DecayRule decay, Collection<Parameter> parameters) {
      return group(ParameterGroup.builder().lr(lr).decay(decay).parameters(parameters).build());
    }

    /**
     * Sets the backend. Unless it is set, {@code -Dspd4j.backend} decides; without either, CUDA
     * steps device memory, and the first available of the other backends host memory.
     */
    public Builder backend(Backend backend) {
      this.backend = Checks.notNull("backend", backend);
      return this;
    }

    /**
     * Sets the stream that CUDA steps are enqueued onto, usually the one that computes the
     * gradients. Unless it is set, steps go to the legacy default stream of the parameters' device:
     * work on streams from {@link CudaStream#create} is not ordered with that stream, and steps on
     * it cannot be captured. The optimizer does not close the stream; do not close it before the
     * optimizer.
     */
    public Builder stream(CudaStream stream) {
      this.stream = Checks.notNull("stream", stream);
      return this;
    }

    /**
     * Sets the seed of the random bits that stochastic rounding uses, 0 unless set. They depend on
     * the seed, the parameter's name, its step count and the element's index, and on nothing else.
     * To continue a training, set the same seed; {@link #restore(Checkpoint)} does.
     */
    public Builder seed(long seed) {
      this.seed = seed;
      return this;
    }

    /**
     * Reads a checkpoint to {@linkplain #restore(Checkpoint) continue} from. It stays mapped until
     * it is garbage.
     *
     * @throws IOException as {@link Checkpoint#read}
     */
    public Builder restore(Path path) throws IOException {
      return restore(Checkpoint.read(path, Arena.ofAuto()));
    }

    /**
     * Makes {@link #build} continue from a checkpoint. It must fit the groups: {@code build}
     * compares the names, the order in which they were added, sizes, types, moment types and
     * anchors of the parameters, and the groups' betas, eps, amsgrad and maximize. It then takes
     * from the checkpoint, whatever was set before: the moments, which are copied into the caller's
     * arrays if there are any; the step counts; SPD's reports; the learning rate, decay rule, λ and
     * frozen of each group; the seed; and the parameters' values if the checkpoint has them. If it
     * has not, they must be those of the moment when it was written. To continue with another
     * learning rate, set it after build.
     *
     * <p>The result of further steps is the same to the bit as without the interruption, on every
     * backend. A checkpoint {@linkplain Checkpoint written by others} has only moments and step
     * counts, and perhaps parameters; the rest is left as it was set.
     */
    public Builder restore(Checkpoint checkpoint) {
      this.checkpoint = Checks.notNull("checkpoint", checkpoint);
      return this;
    }

    /**
     * Makes several processes step one model together, each a shard of it (ZeRO stage 1). All have
     * the same groups, settings, parameters' values and anchors; {@link #build} compares them. Each
     * holds the whole data, gradients and anchors, but moments of its shard only: of each parameter
     * contiguous blocks of 4096 elements, about 1/size() of all. {@link Parameter#expAvg} and the
     * others are these.
     *
     * <p>A step adds up the gradients of all ranks along a binary tree in the order of the ranks,
     * in the gradients' own type (16 bits are added in float32 and rounded to nearest, ties to
     * even). The result is the same to the bit as if one process had stepped these sums. {@link
     * GradientTree} makes the sums themselves independent of the number of ranks. After a step,
     * every rank has all data, step counts and reports; in {@link Parameter#gradient} the total of
     * its own shard, and in the rest of it what was there.
     *
     * <p>The calls of {@code build}, steps, {@link Adam#gradientNorm}, {@link Adam#gradientsReady},
     * {@link Adam#gatherLow} and {@link Adam#save} are collective: each rank makes the same calls
     * in the same order, with the same settings, and has a gradient for the same parameters; a step
     * checks that. {@link Adam#save} writes on rank 0 the file that one process would write. {@link
     * #restore} reads a file on each rank, whatever number of ranks wrote it. A rank that throws
     * before it has sent anything, for example because an arena is closed, leaves the others
     * waiting until it ends.
     *
     * <p>Gradients are written, so they must not be read-only and not overlap any other array.
     * Parameters cannot bring moments. {@link Adam#addParameter} and {@link Adam#stepParameter}
     * throw. Only host memory can be stepped. With one rank, all is as without ranks.
     *
     * @throws IllegalArgumentException if the number of ranks is not a power of two
     */
    public Builder ranks(Ranks ranks) {
      Checks.ranks(Checks.notNull("ranks", ranks).size());
      this.ranks = ranks;
      return this;
    }

    /** Sets the most bytes that a rank sends to another at once, a multiple of 8, for tests. */
    Builder chunk(long bytes) {
      chunk = bytes;
      return this;
    }

    /** Sets one particular implementation: tests compare all of them. */
    Builder kernels(Kernels kernels) {
      this.kernels = kernels;
      return this;
    }

    /**
     * Sets the most threads that work on a step, the caller's included; by default as many as there
     * are processors, but at most 1024. Small steps use fewer threads, CUDA none.
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
     * Sets an executor that runs the helpers; without one, the optimizer starts its own threads. A
     * step never waits for the executor: the caller's thread does what the executor does not start.
     * The optimizer does not close the executor.
     */
    public Builder executor(Executor executor) {
      this.executor = Checks.notNull("executor", executor);
      return this;
    }

    /**
     * Builds the optimizer and allocates the moments that the parameters lack.
     *
     * <p>Groups may be empty: {@link Adam#addParameter} fills them. An optimizer that starts
     * without any parameter steps host memory, unless it is given a stream or {@link Backend#CUDA}.
     *
     * @throws IllegalArgumentException if there is no group; if a group or a parameter occurs twice
     *     or already belongs to an optimizer, open or closed; if two parameters share a name; if an
     *     array that steps write overlaps another; if an array lies in a closed arena or in memory
     *     that the backend or the stream's device does not step; if an AMSGrad maximum is given,
     *     but the group is not AMSGrad; if an AMSGrad group has 8-bit moments, or steps taken but
     *     no maximum; if a stream is given, but the backend is not CUDA; if {@code -Dspd4j.backend}
     *     names no backend; or if a checkpoint does not fit: the message lists what does not, a
     *     seed set before included; with several ranks, also if the backend is CUDA, moments are
     *     given, or a gradient is read-only
     * @throws IllegalStateException if the chosen backend is not available, or the ranks differ;
     *     the message says why, or in what
     * @throws OutOfMemoryError if there is no memory for the moments, or, with several ranks, for
     *     what they exchange
     * @throws io.spd4j.cuda.CudaException if CUDA fails, for example for lack of device memory
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
