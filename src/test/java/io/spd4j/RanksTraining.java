package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.kernel.Kernels;
import io.spd4j.kernel.Shards;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A training of one of several ranks, or of a process without ranks: the gradients of a sub-batch
 * depend on the step, the sub-batch and the parameters, not on who computes them.
 */
final class RanksTraining implements AutoCloseable {
  static final int SUB_BATCHES = 8;
  static final double MEAN = 1.0 / SUB_BATCHES;

  final Tensors tensors;
  final List<ParameterGroup> groups;
  final Adam adam;
  private final GradientTree tree;
  private final boolean announces;
  private int steps;

  /** A training that announces no gradients. */
  RanksTraining(
      StepCase stepCase, int[] numels, Kernels kernels, Ranks ranks, long chunk, Path checkpoint)
      throws IOException {
    this(stepCase, numels, kernels, ranks, chunk, checkpoint, false);
  }

  /**
   * @param ranks null for a process without ranks
   * @param chunk the bytes that are sent at once; 0 for the usual number
   * @param checkpoint continued from; null for a new training
   * @param announces whether it announces some gradients, in random calls from the last one back
   */
  RanksTraining(
      StepCase stepCase,
      int[] numels,
      Kernels kernels,
      Ranks ranks,
      long chunk,
      Path checkpoint,
      boolean announces)
      throws IOException {
    this.announces = announces;
    tensors = new Tensors(41, stepCase.types());
    for (int numel : numels) {
      int i = tensors.parameters.size();
      tensors.add("p" + i, numel, i, stepCase.anchored() && i % 5 != 4);
    }
    groups = stepCase.groups(tensors);
    Adam.Builder builder = Adam.builder().kernels(kernels).threads(2).chunk(chunk);
    groups.forEach(builder::group);
    if (checkpoint != null) {
      builder.restore(checkpoint);
    } else {
      builder.seed(9);
    }
    tree =
        ranks == null
            ? GradientTree.of(tensors.parameters, SUB_BATCHES)
            : GradientTree.of(tensors.parameters, SUB_BATCHES, ranks);
    adam = (ranks == null ? builder : builder.ranks(ranks)).build();
    if (checkpoint != null) {
      steps = Integer.parseInt(Checkpoint.read(checkpoint, tensors.arena).metadata().get("steps"));
    }
  }

  /** Computes the gradients of this rank's sub-batches, which are added. */
  void gradients() {
    gradients(false);
  }

  /**
   * @param nan whether one rank has a gradient that is not finite
   */
  private void gradients(boolean nan) {
    steps++;
    for (int v = tree.begin(); v < tree.end(); v++) {
      for (int i = 0; i < tensors.parameters.size(); i++) {
        gradient(tensors.parameters.get(i), new SplittableRandom(steps * 1000L + v * 100 + i), i);
      }
      if (nan && v + 1 == SUB_BATCHES) {
        Parameter p = tensors.parameters.getLast();
        Tensors.set(p.gradient(), tensors.types.gradient(), p.numel() - 1, Float.NaN);
      }
      boolean last = v + 1 == tree.end();
      if (announces) {
        inParts(new SplittableRandom(steps * 100L + (last ? 99 : v)), last);
      }
      tree.add();
    }
  }

  /**
   * Adds gradients by parts, and announces those that are final. Each rank makes the same calls.
   */
  private void inParts(SplittableRandom random, boolean last) {
    List<Parameter> reversed = tensors.parameters.reversed();
    for (int i = 0; i < reversed.size(); ) {
      int end = Math.min(i + random.nextInt(4), reversed.size());
      List<Parameter> part = reversed.subList(i, end);
      if (random.nextInt(4) > 0) {
        assertThat(tree.add(part)).isEqualTo(last);
        if (last) {
          adam.gradientsReady(part);
        }
      }
      i = end;
    }
  }

  /** Writes a gradient, in some steps along the deviation, so that SPD selects the tensor. */
  private void gradient(Parameter p, SplittableRandom random, int index) {
    if (p.gradient() == null) {
      return;
    }
    double along = (steps + index) % 3 - 1;
    for (long i = 0; i < p.numel(); i++) {
      double anchor = p.anchor() == null ? 0 : Tensors.get(p.anchor(), tensors.types.anchor(), i);
      double deviation = Tensors.get(p.data(), tensors.types.data(), i) - anchor;
      double g = random.nextDouble(-1, 1) + along * deviation;
      Tensors.set(p.gradient(), tensors.types.gradient(), i, (float) g);
    }
  }

  /** Takes steps of every kind; returns the norms. */
  List<Double> train() {
    List<Double> norms = new ArrayList<>();
    gradients();
    adam.step(MEAN);
    gradients();
    norms.add(adam.stepClipped(0.5, MEAN));
    groups.forEach(group -> group.lr(group.lr() / 3));
    gradients();
    norms.add(adam.gradientNorm());
    adam.clipAndStep(0.5, MEAN);
    groups.getFirst().frozen(true);
    gradients();
    adam.step(MEAN);
    groups.getFirst().frozen(false);
    Parameter p = tensors.parameters.get(tensors.parameters.size() / 2);
    MemorySegment gradient = p.gradient();
    p.gradient(null);
    gradients();
    norms.add(adam.stepClipped(Double.POSITIVE_INFINITY, MEAN));
    p.gradient(gradient);
    gradients(true);
    norms.add(adam.stepClipped(1, MEAN));
    gradients();
    norms.add(adam.gradientNorm());
    adam.step(MEAN);
    return norms;
  }

  /** Asserts that what this rank has is what a process without ranks has. */
  void assertSame(RanksTraining whole) {
    assertThat(adam.spdReports()).isEqualTo(whole.adam.spdReports());
    assertThat(State.steps(adam)).isEqualTo(State.steps(whole.adam));
    Shards shards = adam.exchange() == null ? null : adam.exchange().shards();
    for (int i = 0; i < tensors.parameters.size(); i++) {
      Parameter p = adam.parameters().get(i);
      Parameter e = whole.adam.parameters().get(i);
      long begin = shards == null ? 0 : shards.begin(i, shards.rank());
      long end = shards == null ? p.numel() : shards.end(i, shards.rank());
      assertSame("data of " + p, p.data(), e.data());
      assertShard("gradient of " + p, p.gradient(), e.gradient(), begin, end, p.numel());
      assertShard("low of " + p, p.low(), e.low(), begin, end, p.numel());
      for (MomentPart part : MomentPart.of(p.momentType(), p.numel(), begin, end)) {
        assertPart("expAvg of " + p, part, p.expAvg(), e.expAvg());
        assertPart("expAvgSq of " + p, part, p.expAvgSq(), e.expAvgSq());
        assertPart("maxExpAvgSq of " + p, part, p.maxExpAvgSq(), e.maxExpAvgSq());
      }
    }
    adam.gatherLow();
    for (int i = 0; i < tensors.parameters.size(); i++) {
      Parameter p = adam.parameters().get(i);
      if (p.low() != null) {
        assertSame("all of low of " + p, p.low(), whole.adam.parameters().get(i).low());
      }
    }
  }

  private static void assertShard(
      String what, MemorySegment own, MemorySegment whole, long begin, long end, long numel) {
    if (own != null && numel > 0) {
      long size = own.byteSize() / numel;
      long bytes = (end - begin) * size;
      assertSame(what, own.asSlice(begin * size, bytes), whole.asSlice(begin * size, bytes));
    }
  }

  private static void assertPart(
      String what, MomentPart part, MemorySegment shard, MemorySegment whole) {
    assertThat(shard == null).isEqualTo(whole == null);
    if (shard != null) {
      assertSame(
          what,
          shard.asSlice(part.shard(), part.bytes()),
          whole.asSlice(part.whole(), part.bytes()));
    }
  }

  private static void assertSame(String what, MemorySegment own, MemorySegment whole) {
    assertThat(own.mismatch(whole)).as("where %s first differs", what).isEqualTo(-1);
  }

  /** Returns the bytes of all moments on this rank. */
  long momentBytes() {
    return adam.parameters().stream()
        .mapToLong(p ->
            p.expAvg().byteSize()
                + p.expAvgSq().byteSize()
                + (p.maxExpAvgSq() == null ? 0 : p.maxExpAvgSq().byteSize()))
        .sum();
  }

  void save(Path path) throws IOException {
    Checkpoint.of(adam).parameters(true).metadata("steps", Integer.toString(steps)).write(path);
  }

  @Override
  public void close() {
    adam.close();
    tree.close();
    tensors.close();
  }
}
