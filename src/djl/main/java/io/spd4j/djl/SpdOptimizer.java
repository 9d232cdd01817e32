package io.spd4j.djl;

import static java.util.Objects.requireNonNull;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDScope;
import ai.djl.nn.Block;
import ai.djl.nn.Parameter;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.ParameterTracker;
import ai.djl.training.tracker.Tracker;
import io.spd4j.Adam;
import io.spd4j.Checkpoint;
import io.spd4j.DecayRule;
import io.spd4j.MomentType;
import io.spd4j.NoDecay;
import io.spd4j.ParameterGroup;
import io.spd4j.SpdReport;
import io.spd4j.WeightDecay;
import io.spd4j.safetensors.SafetensorsFile;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.ref.Cleaner;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.UnaryOperator;

/**
 * An optimizer for DJL that steps with spd4j: Adam with a {@link DecayRule} for each parameter.
 *
 * <pre>{@code
 * SpdOptimizer optimizer =
 *     SpdOptimizer.builder()
 *         .block(model.getBlock())                           // for names; without it, ids are the names
 *         .rule(name -> name.contains("head") ? new WeightDecay(0.01) : new SelectiveProjectionDecay(1))
 *         .optLearningRateTracker(Tracker.fixed(2e-5f))
 *         .build();
 * try (Trainer trainer = model.newTrainer(new DefaultTrainingConfig(loss).optOptimizer(optimizer))) {
 *   ...
 * }
 * }</pre>
 *
 * <p>A name in a block begins with the child's number: {@code 02head_weight}.
 *
 * <p>A {@link ai.djl.training.Trainer} calls {@link #update} for each parameter. In place of {@code
 * trainer.step()}, {@link #stepClipped} steps all parameters of the block at once and clips their
 * gradients to a global norm.
 *
 * <p><b>Memory.</b> With the PyTorch engine on the CPU, a weight's own memory is stepped: nothing
 * is copied. Other weights (on a GPU, or not contiguous) are copied to be stepped and copied back;
 * a warning is logged the first time. The optimizer keeps the memory of the weights that it has
 * stepped until it is closed or garbage.
 *
 * <p><b>Types.</b> Weights and gradients are FLOAT32 or FLOAT16 (then rounded stochastically);
 * other types are refused. Gradients can be sparse, weights not.
 *
 * <p><b>Counts.</b> Each parameter counts its own updates for Adam's bias correction, on each
 * device by itself. The learning rate's tracker is told the largest count, as DJL's own optimizers
 * tell it.
 *
 * <p><b>Gradients</b> are set to 0 after an update, as DJL's own optimizers do: the next backward
 * pass adds to them.
 *
 * <p>The optimizer needs {@code --enable-native-access=ALL-UNNAMED}, or {@code io.spd4j} on the
 * module path. Thread-safe: updates wait for each other. No other thread may close or move the
 * arrays of an update while it runs.
 */
public final class SpdOptimizer extends Optimizer implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();

  private final ParameterTracker learningRate;
  private final int beginNumUpdate;
  private final Function<String, DecayRule> rule;
  private final Block block;
  private final ParameterNames names;
  private final Anchors anchors;
  private final double beta1;
  private final double beta2;
  private final double eps;
  private final MomentType momentType;
  private final Resources resources;
  private final Cleaner.Cleanable cleanable;
  private int numUpdate;
  private boolean warned;
  private boolean closed;

  private SpdOptimizer(Builder b) {
    super(b);
    learningRate = b.learningRate;
    beginNumUpdate = b.beginNumUpdate;
    rule = b.rule;
    block = b.block;
    names = new ParameterNames(b.block);
    anchors = b.anchors;
    beta1 = b.beta1;
    beta2 = b.beta2;
    eps = b.eps;
    momentType = b.momentType;
    resources = new Resources(b.threads, b.seed);
    cleanable = CLEANER.register(this, resources);
  }

  /** Returns a builder. */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Steps a weight and sets its gradient to 0. A {@link ai.djl.training.Trainer} calls it for each
   * parameter. A gradient that is not finite is not skipped; {@link #stepClipped} does that.
   *
   * @param parameterId the id of a parameter. In the first update, rules are asked and anchors
   *     copied for all parameters of the block that can be trained; for others in their own first
   *     update
   * @param weight the parameter's values on a device
   * @param grad the gradient, of the weight's shape; it need not be the weight's own
   * @throws IllegalArgumentException if an array or the anchor cannot be used; the message names
   *     the parameter and the fault, and nothing has changed
   * @throws IllegalStateException if this optimizer or an array is closed; nothing has changed
   */
  @Override
  public synchronized void update(String parameterId, NDArray weight, NDArray grad) {
    requireNonNull(parameterId, "parameterId");
    requireNonNull(weight, "weight");
    requireNonNull(grad, "grad");
    checkOpen();
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      if (weight.size() > 0) {
        Update update = checked(parameterId, weight, grad);
        int number = number(List.of(update));
        prepare(update, number);
        resources.adam.stepParameter(update.array.parameter(), rescaleGrad);
        numUpdate = number;
        update.array.deliver(weight);
      }
      zeroGradient(weight);
    }
  }

  /**
   * Steps all parameters of the block that require gradients, at once, and sets their gradients to
   * 0. The gradients are clipped to a global norm, and the step is skipped, as in {@link
   * Adam#stepClipped(double)}: if any is NaN or infinite, so is the norm, and no parameter changes.
   * A skipped step does not count.
   *
   * <p>A parameter that the backward pass did not reach has a gradient of zeros, as in {@link
   * ai.djl.training.Trainer#step}. Use it in place of that, if the trainer has one device and the
   * block's parameters lie on it, or in a loop without a trainer.
   *
   * @param maxNorm more than 0; infinity turns off clipping, but not the skipping
   * @return the norm before clipping; infinite or NaN exactly if the step was skipped
   * @throws IllegalArgumentException if maxNorm is not more than 0, or as {@link #update}
   * @throws IllegalStateException if the builder got no block, a parameter of the block is not
   *     initialized or has no gradient attached, no parameter requires one, or as {@link #update}
   */
  public synchronized double stepClipped(double maxNorm) {
    if (!(maxNorm > 0)) {
      throw new IllegalArgumentException("maxNorm must be more than 0, not " + maxNorm);
    }
    checkBlock("stepClipped");
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      List<Update> updates = updatesOfBlock();
      int number = number(updates);
      resources.arrays.values().forEach(SteppedArray::leaveOut);
      updates.forEach(update -> prepare(update, number));
      double norm = resources.adam.stepClipped(maxNorm, rescaleGrad);
      if (Double.isFinite(norm)) {
        numUpdate = number;
        updates.forEach(update -> update.array.deliver(update.weight));
      }
      updates.forEach(update -> zeroGradient(update.weight));
      return norm;
    }
  }

  private List<Update> updatesOfBlock() {
    List<Update> updates = new ArrayList<>();
    for (Parameter parameter : trainable()) {
      checkInitialized(parameter);
      NDArray weight = parameter.getArray();
      if (weight.size() > 0) {
        updates.add(checked(parameter.getId(), weight, weight.getGradient()));
      }
    }
    if (updates.isEmpty()) {
      throw new IllegalStateException("no parameter of the block requires a gradient");
    }
    return updates;
  }

  private void checkInitialized(Parameter parameter) {
    if (!parameter.isInitialized()) {
      throw new IllegalStateException(names.name(parameter.getId()) + " is not initialized");
    }
  }

  /**
   * Returns what SPD did in its last step of a parameter; empty before the first one.
   *
   * @param name the parameter's: its name in the block or, without a block, its id; for a second
   *     device followed by {@code @} and the device
   */
  public synchronized Optional<SpdReport> spdReport(String name) {
    requireNonNull(name, "name");
    return spdReports().stream().filter(report -> report.name().equals(name)).findFirst();
  }

  /**
   * Returns the reports of all parameters that SPD has stepped.
   *
   * @throws IllegalStateException if this optimizer is closed
   */
  public synchronized List<SpdReport> spdReports() {
    checkOpen();
    return resources.adam == null ? List.of() : resources.adam.spdReports();
  }

  /**
   * Writes a checkpoint with the weights: {@link Checkpoint}, under the parameters' names in the
   * block. One of a training on several devices cannot be restored here.
   *
   * @throws IllegalStateException if the builder got no block, nothing has been updated yet, this
   *     optimizer is closed, or a weight is closed or has moved
   * @throws IOException if the file cannot be written; the old one is unchanged
   */
  public synchronized void save(Path path) throws IOException {
    requireNonNull(path, "path");
    checkBlock("save");
    if (resources.adam == null) {
      throw new IllegalStateException("nothing has been updated yet");
    }
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      Map<SteppedArray, NDArray> stepped = stepped();
      for (SteppedArray array : resources.arrays.values()) {
        if (stepped.containsKey(array)) {
          array.bring(stepped.get(array));
        } else if (!array.isCopy()) { // its memory may be freed
          throw new IllegalStateException("the weight of " + array.name() + " is closed");
        }
      }
      Checkpoint.of(resources.adam).parameters(true).write(path);
    }
  }

  /**
   * Continues from a checkpoint: the weights, moments, counts, reports and rules are those of the
   * moment when it was written, and further updates give the same bits. Call it on a new optimizer
   * with the same settings, when the block is initialized as it was before the first update
   * (anchors that are not from a file are its values now), and before the first forward pass.
   *
   * @throws IllegalArgumentException if the checkpoint does not fit the block and the settings; the
   *     message says what; nothing has changed
   * @throws IllegalStateException if the builder got no block, one of its parameters is not
   *     initialized, none requires a gradient, there was an update before, or this optimizer is
   *     closed
   * @throws IOException if the file cannot be read or is damaged
   */
  public synchronized void restore(Path path) throws IOException {
    requireNonNull(path, "path");
    checkBlock("restore");
    if (resources.adam != null) {
      throw new IllegalStateException("restore comes before the first update");
    }
    try (NDScope scope = new NDScope()) {
      scope.suppressNotUsedWarning();
      trainable().forEach(this::checkInitialized);
      addBlock(null, Checkpoint.read(path, Arena.ofAuto()));
      if (resources.adam == null) {
        throw new IllegalStateException("no parameter of the block requires a gradient");
      }
      resources.arrays.values().forEach(array -> numUpdate = number(array.parameter().step()));
      stepped().forEach(SteppedArray::deliver);
    }
  }

  /** Returns the block's weights by what steps them. */
  private Map<SteppedArray, NDArray> stepped() {
    Map<SteppedArray, NDArray> stepped = new LinkedHashMap<>();
    for (Parameter parameter : block.getParameters().values()) {
      if (parameter.isInitialized()) {
        NDArray weight = parameter.getArray();
        SteppedArray array = resources.arrays.get(new Place(parameter.getId(), weight.getDevice()));
        if (array != null) {
          stepped.put(array, weight);
        }
      }
    }
    return stepped;
  }

  private void checkBlock(String method) {
    checkOpen();
    if (block == null) {
      throw new IllegalStateException(method + " needs a block: give one to the builder");
    }
  }

  /**
   * Frees the moments and anchors, and lets go of the weights' memory. If it is not called, that
   * happens when this optimizer is garbage. Closing twice does nothing.
   */
  @Override
  public synchronized void close() {
    closed = true;
    cleanable.clean();
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("the optimizer is closed");
    }
  }

  /** Finds what steps a weight, or makes it, and checks the arrays. */
  private Update checked(String id, NDArray weight, NDArray grad) {
    Place place = new Place(id, weight.getDevice());
    if (!resources.arrays.containsKey(place)) {
      SteppedArray.checkFit(names.name(id), weight, grad); // before anything is added
    }
    if (block != null && resources.arrays.isEmpty()) {
      addBlock(weight.getDevice(), null);
    }
    if (!resources.arrays.containsKey(place)) {
      resources.add(List.of(added(place, weight)), null);
    }
    SteppedArray array = resources.arrays.get(place);
    array.check(weight, grad);
    return new Update(id, array, weight, grad);
  }

  /**
   * Adds the parameters of the block that can be trained now, in the block's order. (A trainer's
   * order differs in each run; a checkpoint needs the same order again.)
   *
   * @param device only parameters that lie on it; null for any
   * @param checkpoint to continue from, or null
   */
  private void addBlock(Device device, Checkpoint checkpoint) {
    List<Added> added = new ArrayList<>();
    try {
      for (Parameter parameter : trainable()) {
        NDArray weight = parameter.isInitialized() ? parameter.getArray() : null;
        if (weight != null
            && weight.size() > 0
            && (device == null || weight.getDevice().equals(device))) {
          added.add(added(new Place(parameter.getId(), weight.getDevice()), weight));
        }
      }
    } catch (RuntimeException | Error e) {
      added.forEach(a -> a.array.close());
      throw e;
    }
    if (checkpoint != null) { // which has them in the order in which they joined
      List<String> order = List.copyOf(checkpoint.tensors().keySet());
      added.sort(Comparator.comparingInt(a -> order.indexOf(a.array.name() + ".step")));
    }
    resources.add(added, checkpoint);
  }

  /** Returns the block's parameters that require gradients, each once. */
  private List<Parameter> trainable() {
    Map<String, Parameter> trainable = new LinkedHashMap<>();
    block.getParameters().values().stream()
        .filter(Parameter::requiresGradient)
        .forEach(parameter -> trainable.putIfAbsent(parameter.getId(), parameter));
    return List.copyOf(trainable.values());
  }

  private Added added(Place place, NDArray weight) {
    String tensor = names.name(place.id);
    boolean replica = resources.arrays.keySet().stream().anyMatch(p -> p.id.equals(place.id));
    DecayRule decay = requireNonNull(rule.apply(tensor), () -> "rule of " + tensor);
    SteppedArray array =
        new SteppedArray(
            replica ? tensor + "@" + place.device : tensor,
            tensor,
            weight,
            decay,
            anchors,
            momentType,
            resources.arena);
    return new Added(
        place, array, ParameterGroup.builder().betas(beta1, beta2).eps(eps).decay(decay));
  }

  /** Returns the largest count after one more update of these arrays, all at once. */
  private int number(List<Update> updates) {
    return updates.stream().mapToInt(u -> number(u.array.parameter().step() + 1)).max().orElse(0);
  }

  /** Returns the largest count, if an array has been updated so often. */
  private int number(long updates) {
    return Math.max(numUpdate, Math.toIntExact(beginNumUpdate + updates));
  }

  private void prepare(Update update, int number) {
    update.array.group().lr(learningRate.getNewValue(update.id, number));
    update.array.bring(update.weight, update.grad);
    if (update.array.isCopy() && !warned) {
      warned = true;
      System.getLogger("io.spd4j")
          .log(
              Level.WARNING,
              "the weight of {0} is copied to be stepped, and back, because DJL gives no lasting"
                  + " access to its memory (device {1}, shape {2}); other weights may be, too",
              update.array.name(),
              update.weight.getDevice(),
              update.weight.getShape());
    }
  }

  private static void zeroGradient(NDArray weight) {
    if (weight.hasGradient()) {
      ArrayMemory.zero(weight.getGradient());
    }
  }

  /** A parameter's id and a device that has a copy of it. */
  private record Place(String id, Device device) {}

  /** An array that is new to the optimizer, and the settings of its group. */
  private record Added(Place place, SteppedArray array, ParameterGroup.Builder group) {}

  /** An array to step, with the weight and the gradient of this step. */
  private record Update(String id, SteppedArray array, NDArray weight, NDArray grad) {}

  /** What must be freed. It knows nothing of the optimizer, which may become garbage before. */
  private static final class Resources implements Runnable {
    private final Arena arena = Arena.ofShared();
    private final Map<Place, SteppedArray> arrays = new LinkedHashMap<>();
    private final int threads;
    private final long seed;
    private Adam adam;

    Resources(int threads, long seed) {
      this.threads = threads;
      this.seed = seed;
    }

    /**
     * Adds arrays, each with a group of its own, because each has its own learning rate.
     *
     * @param checkpoint to continue from if these are the first arrays, or null
     */
    void add(List<Added> added, Checkpoint checkpoint) {
      // Gradients of earlier updates may be freed, and the new arrays may lie where they were.
      arrays.values().forEach(SteppedArray::leaveOut);
      List<ParameterGroup> groups = new ArrayList<>();
      try {
        if (adam != null) {
          for (Added a : added) {
            groups.add(a.group.build());
            adam.addParameter(groups.getLast(), a.array.parameter());
          }
        } else if (!added.isEmpty()) {
          Adam.Builder builder = Adam.builder().threads(threads).seed(seed);
          added.forEach(a -> groups.add(a.group.parameter(a.array.parameter()).build()));
          groups.forEach(builder::group);
          adam = (checkpoint == null ? builder : builder.restore(checkpoint)).build();
        }
      } catch (RuntimeException | Error e) {
        added.forEach(a -> a.array.close());
        throw e;
      }
      for (int i = 0; i < added.size(); i++) {
        added.get(i).array.group(groups.get(i));
        arrays.put(added.get(i).place, added.get(i).array);
      }
    }

    @Override
    public void run() {
      if (adam != null) {
        adam.close();
      }
      arrays.values().forEach(SteppedArray::close);
      arena.close();
    }
  }

  /**
   * Collects the settings of an optimizer. Not thread-safe.
   *
   * <p>The defaults are those of DJL's Adam: learning rate 1e-3, betas 0.9 and 0.999, eps 1e-8, no
   * decay.
   */
  public static final class Builder extends OptimizerBuilder<Builder> {
    private ParameterTracker learningRate = Tracker.fixed(1e-3f);
    private int beginNumUpdate;
    private Function<String, DecayRule> rule = name -> new NoDecay();
    private Block block;
    private Anchors anchors = Anchors.AT_START;
    private double beta1 = 0.9;
    private double beta2 = 0.999;
    private double eps = 1e-8;
    private MomentType momentType = MomentType.FLOAT32;
    private int threads = Math.min(1024, Runtime.getRuntime().availableProcessors());
    private long seed;

    private Builder() {}

    /**
     * Sets the block whose parameters are trained. Their names, as {@link Block#getParameters}
     * gives them, are those that rules, anchors, reports and messages use; unless a block is set,
     * DJL's ids are, which differ in each run. The block need not be initialized yet.
     */
    public Builder block(Block block) {
      this.block = requireNonNull(block, "block");
      return this;
    }

    /** Sets the decay rule of all parameters. */
    public Builder rule(DecayRule rule) {
      requireNonNull(rule, "rule");
      return rule(name -> rule);
    }

    /** Sets the decay rule by the parameter's name. It is asked once for each array. */
    public Builder rule(Function<String, DecayRule> rule) {
      this.rule = requireNonNull(rule, "rule");
      return this;
    }

    /**
     * Takes the pre-trained values, which rules decay towards, from a file. Unless it is set, they
     * are copies of the values that the block's parameters have before the first update.
     *
     * @param file has a tensor of the same name and shape for each parameter whose rule reads an
     *     anchor; its arena must be shared or global, and stay open
     */
    public Builder anchors(SafetensorsFile file) {
      return anchors(file, UnaryOperator.identity());
    }

    /**
     * Takes the pre-trained values from a file whose tensors have other names.
     *
     * @param tensorName returns the tensor's name in the file for a parameter's name
     */
    public Builder anchors(SafetensorsFile file, UnaryOperator<String> tensorName) {
      anchors = new Anchors(requireNonNull(file, "file"), requireNonNull(tensorName, "tensorName"));
      return this;
    }

    /** Sets the learning rate, for all parameters or by their ids. */
    public Builder optLearningRateTracker(ParameterTracker learningRate) {
      this.learningRate = requireNonNull(learningRate, "learningRate");
      return this;
    }

    /**
     * Sets β1 and β2, both in [0, 1).
     *
     * @throws IllegalArgumentException if one is out of range, or is 1 in float32
     */
    public Builder betas(double beta1, double beta2) {
      ParameterGroup.builder().betas(beta1, beta2); // checks them
      this.beta1 = beta1;
      this.beta2 = beta2;
      return this;
    }

    /**
     * Sets ε ≥ 0, which is added to the denominator.
     *
     * @throws IllegalArgumentException if eps is negative, NaN, or infinite in float32
     */
    public Builder eps(double eps) {
      ParameterGroup.builder().eps(eps); // checks it
      this.eps = eps;
      return this;
    }

    /** Sets how the moments are stored; by default float32. */
    public Builder momentType(MomentType type) {
      momentType = requireNonNull(type, "type");
      return this;
    }

    /**
     * Sets the most threads that work on a step, as {@link Adam.Builder#threads}.
     *
     * @throws IllegalArgumentException if threads is less than 1 or more than 1024
     */
    public Builder threads(int threads) {
      Adam.builder().threads(threads); // checks it
      this.threads = threads;
      return this;
    }

    /** Sets the seed of stochastic rounding, as {@link Adam.Builder#seed}. */
    public Builder seed(long seed) {
      this.seed = seed;
      return this;
    }

    /** Sets {@link WeightDecay} as the rule of all parameters. */
    @Override
    public Builder optWeightDecays(float weightDecays) {
      return rule(new WeightDecay(weightDecays));
    }

    /**
     * Sets the factor of all gradients.
     *
     * @throws IllegalArgumentException if it is not more than 0 and finite
     */
    @Override
    public Builder setRescaleGrad(float rescaleGrad) {
      if (!(rescaleGrad > 0 && rescaleGrad < Float.POSITIVE_INFINITY)) {
        throw new IllegalArgumentException(
            "rescaleGrad must be more than 0 and finite, not " + rescaleGrad);
      }
      return super.setRescaleGrad(rescaleGrad);
    }

    /**
     * Sets where the learning rate's schedule starts. Bias correction starts at 0 all the same, as
     * the moments do.
     *
     * @throws IllegalArgumentException if it is negative
     */
    @Override
    public Builder optBeginNumUpdate(int beginNumUpdate) {
      if (beginNumUpdate < 0) {
        throw new IllegalArgumentException(
            "beginNumUpdate must be 0 or more, not " + beginNumUpdate);
      }
      this.beginNumUpdate = beginNumUpdate;
      return super.optBeginNumUpdate(beginNumUpdate);
    }

    /**
     * Refuses to clip single elements of gradients.
     *
     * @throws UnsupportedOperationException if clipGrad is 0 or more
     */
    @Override
    public Builder optClipGrad(float clipGrad) {
      if (clipGrad >= 0) {
        throw new UnsupportedOperationException(
            "SpdOptimizer does not clip elements: stepClipped clips to a global norm");
      }
      return super.optClipGrad(clipGrad);
    }

    /** Builds the optimizer. */
    public SpdOptimizer build() {
      return new SpdOptimizer(this);
    }

    @Override
    protected Builder self() {
      return this;
    }
  }
}
