package io.spd4j.finetune;

import io.spd4j.GradientTree;
import io.spd4j.Parameter;
import io.spd4j.finetune.data.Example;
import io.spd4j.finetune.minilm.Batch;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The forward and backward passes of a step: one for each sub-batch of this process. The gradients
 * are added along a tree, so that the step does not depend on the number of processes. Those that
 * are final are sent while the backward pass computes those of lower layers.
 */
final class SubBatches {
  private final int count;
  private final boolean overlap;
  private final Model model;
  private final GradientTree tree;
  private final Processes processes;
  private long communicationNanos;

  /**
   * What the passes resulted in.
   *
   * @param loss the mean loss of the whole batch
   * @param tokens the number of tokens of the whole batch
   * @param padding how much padding was added to them
   * @param ids the tokens of this process's sub-batches
   */
  record Result(double loss, int tokens, int padding, int[] ids) {}

  /**
   * @param count the number of sub-batches of all processes
   * @param overlap whether gradients are sent during the backward pass, or else in the step
   * @param tree of as many sub-batches
   */
  SubBatches(int count, boolean overlap, Model model, GradientTree tree, Processes processes) {
    this.count = count;
    this.overlap = overlap;
    this.model = model;
    this.tree = tree;
    this.processes = processes;
  }

  /** Returns what makes the sum of the sub-batches' gradients their mean. */
  double scale() {
    return 1.0 / count;
  }

  /** Returns the time in which this process communicated during all backward passes so far. */
  long communicationNanos() {
    return communicationNanos;
  }

  /**
   * Computes the sum of the gradients of this process's sub-batches. Collective.
   *
   * @param batch of all processes; a multiple of the number of sub-batches
   * @param lowest the lowest layer whose gradients are needed
   */
  Result gradients(List<Example> batch, int lowest) {
    long before = processes.communication().nanos();
    int size = batch.size() / count;
    List<Batch> own = new ArrayList<>();
    List<Double> sums = new ArrayList<>(); // three for each sub-batch
    for (int i = tree.begin(); i < tree.end(); i++) {
      List<Example> part = batch.subList(i * size, (i + 1) * size);
      Batch padded = Tokens.batch(part);
      int[] labels = Tokens.labels(part);
      double loss = model.classifier().lossAndGradients(padded, labels, lowest, this::add);
      tree.add();
      if (count > 1) {
        model.classifier().gradientsChanged();
      }
      own.add(padded);
      sums.addAll(List.of(loss, (double) padded.tokens(), (double) padded.padding()));
    }
    communicationNanos += processes.communication().nanos() - before;
    double[] all = processes.gather(sums.stream().mapToDouble(Double::doubleValue).toArray());
    int[] ids = own.stream().flatMapToInt(b -> IntStream.of(b.ids())).toArray();
    return new Result(sum(all, 0) / count, (int) sum(all, 1), (int) sum(all, 2), ids);
  }

  /** Adds the gradients of a layer that the backward pass has just computed. */
  private void add(int depth) {
    for (LayerGroup layer : model.layers()) {
      if (layer.depth() == depth) {
        List<Parameter> parameters = layer.group().parameters();
        model.arrays().toOptimizer(parameters);
        if (tree.add(parameters) && overlap) {
          model.adam().gradientsReady(parameters);
        }
      }
    }
  }

  private static double sum(double[] all, int field) {
    double sum = 0;
    for (int i = field; i < all.length; i += 3) {
      sum += all[i];
    }
    return sum;
  }
}
