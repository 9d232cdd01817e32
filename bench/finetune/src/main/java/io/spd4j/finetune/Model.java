package io.spd4j.finetune;

import io.spd4j.Adam;
import io.spd4j.Checkpoint;
import io.spd4j.DecayRule;
import io.spd4j.GradientTree;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.WeightDecay;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.Lora;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * A classifier in training: copies of the pre-trained weights, a new head, and an optimizer with a
 * group for each layer. The backbone uses the run's rule, the head AdamW. Closing it frees all of
 * its off-heap memory. Confined to the thread that created it.
 */
final class Model implements AutoCloseable {
  /** Ham and spam. */
  static final int CLASSES = 2;

  private final RunSpec spec;
  private final Arena arena = Arena.ofShared();
  private final Weights weights;
  private final OneDnn dnn;
  private final Classifier classifier;
  private final StateArrays arrays;
  private final List<LayerGroup> layers = new ArrayList<>();
  private final Adam adam;
  private final GradientTree tree;
  private final boolean shared;
  private final SubBatches subBatches;

  /** Null if the method is another. */
  private final Ftp ftp;

  /**
   * @param pretrained the anchor, which is not changed
   */
  Model(
      TrainingOptions options,
      Config config,
      Weights pretrained,
      RunSpec spec,
      SplittableRandom random) {
    this(options, config, pretrained, spec, random, null, Processes.ONE);
  }

  /**
   * @param pretrained the anchor, which is not changed
   * @param checkpoint the parameters and the optimizer's state to go on with; null to begin
   * @param processes which train it together; all create it at the same time
   * @throws IllegalArgumentException if the checkpoint is of another model
   */
  Model(
      TrainingOptions options,
      Config config,
      Weights pretrained,
      RunSpec spec,
      SplittableRandom random,
      Checkpoint checkpoint,
      Processes processes) {
    this.spec = spec;
    shared = processes.size() > 1;
    boolean whole = options.lora == null;
    dnn = options.openOneDnn();
    boolean ready = false;
    try {
      List<Weight> added = new ArrayList<>(Classifier.head(arena, config, CLASSES, random.split()));
      if (!whole) {
        added.addAll(Lora.create(arena, config, options.lora, random.split()));
      }
      weights = pretrained.copy(arena, whole).with(added);
      classifier =
          new Classifier(dnn, config, weights, options.batch, Tokens.padded(options.length), arena);
      arrays = new StateArrays(spec.state(), arena, options.threads);
      ftp = spec.method() == Method.FTP ? new Ftp(arena, options.threads) : null;
      if (whole) {
        add(LayerGroup.EMBEDDINGS, -1, "embeddings.", options, pretrained, spec);
      }
      for (int i = 0; i < config.layers(); i++) {
        add(LayerGroup.layer(i), i, Weights.layer(i), options, pretrained, spec);
      }
      add(LayerGroup.HEAD, config.layers(), Classifier.HEAD, options, pretrained, spec);
      Adam.Builder builder = Adam.builder().threads(options.threads).seed(spec.seed());
      if (options.backend != null) {
        builder.backend(options.backend);
      }
      layers.forEach(layer -> builder.group(layer.group()));
      if (checkpoint != null) {
        builder.restore(checkpoint);
      }
      if (processes.ranks() != null) {
        builder.ranks(processes.ranks());
      }
      adam = builder.build();
      int count = options.subBatches(processes);
      tree =
          processes.ranks() == null
              ? GradientTree.of(adam.parameters(), count)
              : GradientTree.of(adam.parameters(), count, processes.ranks());
      subBatches = new SubBatches(count, options.overlap, this, tree, processes);
      arrays.toNetwork();
      ready = true;
    } finally {
      if (!ready) {
        dnn.close();
        arena.close();
      }
    }
  }

  private void add(
      String name,
      int depth,
      String prefix,
      TrainingOptions options,
      Weights pretrained,
      RunSpec spec) {
    boolean head = name.equals(LayerGroup.HEAD);
    double lr = head ? options.headLr : spec.lr();
    double lambda = spec.lambda() * options.layerLambda.getOrDefault(name, 1.0);
    DecayRule decay = head ? new WeightDecay(options.headDecay) : spec.method().decay(lambda);
    List<Weight> trained =
        weights.all().stream()
            .filter(weight -> weight.name().startsWith(prefix) && weight.gradient() != null)
            .toList();
    List<Parameter> parameters = new ArrayList<>();
    for (Weight weight : trained) {
      boolean anchored = pretrained.has(weight.name());
      parameters.add(
          arrays.parameter(weight, anchored ? pretrained.get(weight.name()).data() : null));
    }
    ParameterGroup group =
        ParameterGroup.builder().lr(lr).decay(decay).parameters(parameters).build();
    layers.add(new LayerGroup(name, depth, lr, group, trained, pretrained));
    if (ftp != null && !head) {
      trained.forEach(w -> ftp.add(w, pretrained.get(w.name()).data(), lambda, group));
    }
  }

  Weights weights() {
    return weights;
  }

  Classifier classifier() {
    return classifier;
  }

  /** Returns the backbone's learning rate before the schedule's factor. */
  double lr() {
    return spec.lr();
  }

  Method method() {
    return spec.method();
  }

  /** Returns what projects the parameters after a step; null if nothing does. */
  Ftp ftp() {
    return ftp;
  }

  /** Returns whether several processes train it. */
  boolean isShared() {
    return shared;
  }

  /** Returns what computes gradients. */
  SubBatches subBatches() {
    return subBatches;
  }

  /** Returns the optimizer's arrays. */
  StateArrays arrays() {
    return arrays;
  }

  /** Returns the layers, embeddings first, head last. */
  List<LayerGroup> layers() {
    return layers;
  }

  Adam adam() {
    return adam;
  }

  @Override
  public void close() {
    tree.close();
    adam.close();
    dnn.close();
    arena.close();
  }
}
