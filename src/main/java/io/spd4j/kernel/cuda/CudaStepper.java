package io.spd4j.kernel.cuda;

import io.spd4j.cuda.CudaException;
import io.spd4j.cuda.CudaStream;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_h;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_state;
import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.LastStep;
import io.spd4j.kernel.Settings;
import io.spd4j.kernel.SpdDecision;
import io.spd4j.kernel.SteppedTensor;
import io.spd4j.kernel.Stepper;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.BitSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.IntSupplier;
import java.util.function.Supplier;
import java.util.stream.IntStream;

/**
 * Steps on a CUDA device: enqueues them onto a stream and does not wait. Step counts, settings and
 * decisions lie on the device, so that a captured step can be replayed.
 */
final class CudaStepper implements Stepper {
  private static final double NO_CLIPPING = Double.POSITIVE_INFINITY;
  private static final String NORM =
      "the norm is not known in a capture: use clipAndStep, which does not return it";

  private final CudaStream stream;
  private final Function<MemorySegment.Scope, String> describe;
  private final List<Supplier<Settings>> groups;
  private final int[] groupOf;
  private final BlockTable blocks;
  private final CudaTables tables;
  private final Arena host = Arena.ofShared();
  private final long resident;

  /** Runs by the set of tensors whose rule is SPD; captured graphs may use any of them. */
  private final Map<BitSet, CudaRuns> allRuns = new HashMap<>();

  private CudaRuns runs;

  /** A segment of each arena that stepped arrays lie in; null if they must be collected again. */
  private List<MemorySegment> memory;

  private final LastStep lastStep = new LastStep();

  /** The tensors [lastFirst, lastEnd) that the last step was for, if they are active. */
  private int lastFirst;

  private int lastEnd;

  private Throwable broken;

  /** The tensors' states, kept when this stepper is closed; null before. */
  private MemorySegment lastStates;

  /**
   * @param groups the groups' current settings, by the tensors' group index
   * @param describe names an array that lies in an arena, for messages
   */
  CudaStepper(
      CudaStream stream,
      List<SteppedTensor> tensors,
      List<Supplier<Settings>> groups,
      Function<MemorySegment.Scope, String> describe) {
    this.stream = stream;
    this.describe = describe;
    this.groups = groups;
    groupOf = tensors.stream().mapToInt(SteppedTensor::group).toArray();
    blocks = new BlockTable(tensors);
    CudaTables made = null;
    boolean ready = false;
    try {
      resident = residentThreadBlocks();
      made = new CudaTables(stream, blocks, tensors, groups);
      tables = made;
      prepare();
      ready = true;
    } finally {
      if (!ready) {
        if (made != null) {
          made.close();
        }
        blocks.close();
        host.close();
      }
    }
  }

  private long residentThreadBlocks() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
      stream.device().run("counting thread blocks", () -> spd4j_cuda_h.spd4j_cuda_resident(out));
      return out.get(ValueLayout.JAVA_LONG, 0);
    }
  }

  @Override
  public void gradient(int tensor, MemorySegment gradient) {
    checkSound();
    MemorySegment old = blocks.tensor(tensor).grad();
    tables.grad(tensor, gradient);
    if (old == null || gradient == null || !old.scope().equals(gradient.scope())) {
      memory = null;
    }
  }

  @Override
  public void step(double gradScale) {
    prepare();
    enqueue(() -> step(runs.all(), gradScale, false));
    done(0, groupOf.length, Double.NaN);
  }

  @Override
  public double stepClipped(double maxNorm, double gradScale) {
    refuseInCapture(NORM);
    clipAndStep(maxNorm, gradScale);
    double norm = tables.clippedNorm();
    done(0, groupOf.length, norm);
    lastStep.skipped = !Double.isFinite(norm);
    return norm;
  }

  @Override
  public void clipAndStep(double maxNorm, double gradScale) {
    prepare();
    enqueue(() -> {
      int error = norm(gradScale, maxNorm);
      return error != 0 ? error : step(runs.all(), gradScale, true);
    });
    done(0, groupOf.length, Double.NaN);
  }

  @Override
  public double gradientNorm() {
    refuseInCapture(NORM);
    prepare();
    enqueue(() -> norm(1, NO_CLIPPING));
    return tables.norm();
  }

  @Override
  public boolean stepAlone(int tensor, double gradScale) {
    checkSound();
    if (!active(tensor)) {
      return false;
    }
    prepare();
    enqueue(() -> step(runs.alone(tensor), gradScale, false));
    done(tensor, tensor + 1, Double.NaN);
    return true;
  }

  private void done(int first, int end, double norm) {
    lastFirst = first;
    lastEnd = end;
    lastStep.norm = norm;
    lastStep.skipped = false;
  }

  @Override
  public LastStep lastStep() {
    lastStep.tensors = 0;
    lastStep.elements = 0;
    lastStep.selected = -1;
    for (int t = lastFirst; t < lastEnd; t++) {
      if (active(t)) {
        lastStep.tensors++;
        lastStep.elements += blocks.tensor(t).numel();
      }
    }
    return lastStep;
  }

  @Override
  public boolean decidedInLastStep(int tensor) {
    return false;
  }

  @Override
  public synchronized long stepCount(int tensor) {
    refuseInCapture("step counts are not known in a capture: ask after a launch");
    try (Arena arena = Arena.ofConfined()) {
      return spd4j_cuda_state.step(state(arena, tensor));
    }
  }

  @Override
  public synchronized SpdDecision decision(int tensor) {
    refuseInCapture("SPD's reports are not known in a capture: ask after a launch");
    try (Arena arena = Arena.ofConfined()) {
      return decision(state(arena, tensor));
    }
  }

  private static SpdDecision decision(MemorySegment state) {
    return spd4j_cuda_state.checked(state) == 0
        ? null
        : new SpdDecision(
            spd4j_cuda_state.spd_step(state),
            spd4j_cuda_state.grad_dot(state),
            spd4j_cuda_state.dev_sq(state),
            spd4j_cuda_state.new_dev_sq(state),
            spd4j_cuda_state.shrink(state),
            spd4j_cuda_state.checked(state),
            spd4j_cuda_state.selected(state),
            spd4j_cuda_state.ratio_sum(state));
  }

  @Override
  public void checkMayGrow() {
    checkSound();
    refuseInCapture(
        "a capture can neither add parameters nor save: call addParameter and uploadSettings, or"
            + " save, before it");
  }

  @Override
  public List<SteppedTensor> tensors() {
    checkMayGrow();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment states = tables.states(stream, arena, 0, groupOf.length);
      return IntStream.range(0, groupOf.length)
          .mapToObj(t -> {
            MemorySegment state = spd4j_cuda_state.asSlice(states, t);
            return blocks.tensor(t).after(spd4j_cuda_state.step(state), decision(state));
          })
          .toList();
    }
  }

  private MemorySegment state(Arena arena, int tensor) {
    return lastStates != null
        ? spd4j_cuda_state.asSlice(lastStates, tensor)
        : tables.states(stream, arena, tensor, tensor + 1);
  }

  @Override
  public void uploadSettings() {
    prepare();
  }

  private void checkSound() {
    if (broken != null) {
      throw new IllegalStateException("an earlier step broke off half done", broken);
    }
  }

  private void refuseInCapture(String why) {
    if (lastStates == null && stream.capturing()) {
      throw new IllegalStateException(why);
    }
  }

  private Settings settings(int tensor) {
    return groups.get(groupOf[tensor]).get();
  }

  private boolean active(int tensor) {
    return !settings(tensor).frozen() && blocks.tensor(tensor).grad() != null;
  }

  private BitSet spd() {
    BitSet spd = new BitSet();
    for (int t = 0; t < groupOf.length; t++) {
      spd.set(t, settings(t).rule().decides());
    }
    return spd;
  }

  /** Checks all that can be refused; then the device has all that the next step needs. */
  private void prepare() {
    checkSound();
    for (int t = 0; t < groupOf.length; t++) {
      if (tables.stepped(t, active(t))) {
        memory = null;
      }
    }
    checkMemory();
    tables.refreshGroups();
    BitSet spd = spd();
    runs = allRuns.get(spd);
    if (stream.capturing()) {
      if (runs == null || tables.changed()) {
        throw new IllegalStateException(
            "settings, gradients or frozen groups have changed since the last step:"
                + " call uploadSettings before the capture");
      }
      return;
    }
    if (runs == null) {
      runs = new CudaRuns(host, tables, blocks, spd, resident);
      allRuns.put(spd, runs);
    }
    tables.send();
  }

  /** Checks that the arenas of all tensors that are stepped are open. */
  private void checkMemory() {
    boolean changed = memory == null;
    if (changed) {
      Map<MemorySegment.Scope, MemorySegment> scopes = new LinkedHashMap<>();
      for (int t = 0; t < groupOf.length; t++) {
        if (blocks.scalarsOf(t) >= 0) {
          blocks.tensor(t).arrays().forEach(array -> scopes.putIfAbsent(array.scope(), array));
        }
      }
      memory = List.copyOf(scopes.values());
    }
    for (MemorySegment segment : memory) {
      if (!segment.scope().isAlive()) {
        throw new IllegalStateException(
            describe.apply(segment.scope()) + " lies in an arena that is closed");
      }
    }
    if (changed) {
      tables.refersTo(memory);
    }
  }

  private void enqueue(IntSupplier work) {
    boolean captured = stream.capturing();
    try {
      stream.enqueue("stepping", List.of(tables.memory()), work);
    } catch (CudaException e) {
      broken = captured ? null : e; // in a capture nothing has run
      throw e;
    }
  }

  private int norm(double gradScale, double maxNorm) {
    return spd4j_cuda_h.spd4j_cuda_norm(tables.header(), runs.all(), gradScale, maxNorm, handle());
  }

  private int step(MemorySegment run, double gradScale, boolean clip) {
    return spd4j_cuda_h.spd4j_cuda_step(tables.header(), run, gradScale, clip ? 1 : 0, handle());
  }

  private MemorySegment handle() {
    return MemorySegment.ofAddress(stream.handle());
  }

  /** Waits for the steps under way. The stream may already be closed. */
  @Override
  public void close() {
    try (CudaStream own = CudaStream.create(stream.device())) {
      stream.device().synchronize(); // outside the monitor: this waits for other threads' captures
      synchronized (this) {
        lastStates = tables.states(own, Arena.ofAuto(), 0, groupOf.length);
      }
    } finally {
      blocks.close();
      host.close();
      tables.close();
    }
  }
}
