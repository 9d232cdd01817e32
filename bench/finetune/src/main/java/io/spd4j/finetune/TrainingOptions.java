package io.spd4j.finetune;

import com.sun.management.OperatingSystemMXBean;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.minilm.Config;
import io.spd4j.finetune.minilm.Encoder;
import java.lang.management.ManagementFactory;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import picocli.CommandLine;
import picocli.CommandLine.Option;

/** How a run trains, regardless of its rule. */
final class TrainingOptions extends NetworkOptions {
  /** What follows the warm-up. */
  enum Schedule {
    /** The learning rate decays to 0. */
    LINEAR,
    /** The learning rate stays the same. */
    CONSTANT;

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Whether several processes send gradients during the backward pass. */
  boolean overlap = true;

  @Option(
      names = "--steps",
      defaultValue = "300",
      converter = Count.class,
      description = "Number of steps of a run; default: ${DEFAULT-VALUE}.")
  int steps;

  @Option(
      names = "--lr",
      split = ",",
      defaultValue = "5e-5",
      description =
          "Learning rate of the backbone, or several for a sweep; default: ${DEFAULT-VALUE}.")
  List<Double> lrs;

  @Option(
      names = "--head-lr",
      defaultValue = "1e-3",
      description = "Learning rate of the head; default: ${DEFAULT-VALUE}.")
  double headLr;

  @Option(
      names = "--head-decay",
      defaultValue = "0.01",
      description = "AdamW's weight decay of the head, for every rule; default: ${DEFAULT-VALUE}.")
  double headDecay;

  @Option(
      names = "--warmup",
      defaultValue = "0.1",
      description =
          "Share of the steps in which the learning rates rise linearly; default: "
              + "${DEFAULT-VALUE}.")
  double warmup;

  @Option(
      names = "--schedule",
      defaultValue = "linear",
      description =
          "After the warm-up: ${COMPLETION-CANDIDATES} (decay to 0, or no change); default: "
              + "${DEFAULT-VALUE}.")
  Schedule schedule;

  @Option(
      names = "--probe-share",
      paramLabel = "SHARE",
      defaultValue = "0.3",
      description =
          "lp_ft: share of the steps, at the beginning, that train the head alone. The rest trains "
              + "everything, with a warm-up of its own; default: ${DEFAULT-VALUE}.")
  double probeShare;

  @Option(
      names = "--clip",
      defaultValue = "1",
      description =
          "Largest global gradient norm, to which gradients are clipped; default: ${DEFAULT-VALUE}.")
  double clip;

  @Option(
      names = "--layer-lambda",
      paramLabel = "LAYER=FACTOR",
      description = "Factor of λ in one layer: embeddings or layer0 to layer5; can be repeated.")
  Map<String, Double> layerLambda = new LinkedHashMap<>();

  @Option(
      names = "--unfreeze",
      paramLabel = "LAYER=STEP",
      description =
          "Gradual unfreezing: the layer (embeddings, layer0 to layer5, head) is frozen before "
              + "this step, counted from 1; can be repeated.")
  Map<String, Integer> unfreeze = new LinkedHashMap<>();

  @Option(
      names = "--early-stop",
      paramLabel = "RECORDS",
      converter = Count.class,
      description =
          "Early stopping per layer: freezes a layer for good if its deviation has not grown by half "
              + "a percent over this many records in a row; default: never.")
  Integer earlyStop;

  @Option(
      names = "--record",
      defaultValue = "10",
      converter = Count.class,
      description =
          "Number of steps between two records of the deviation; default: ${DEFAULT-VALUE}.")
  int record;

  @Option(
      names = "--group-by-length",
      description =
          "Put texts of similar length into a batch, so that less is padding: of "
              + LengthGroups.WINDOW
              + " random batches each, the texts are sorted, and the new batches come in random"
              + " order.")
  boolean groupByLength;

  @Option(
      names = "--sub-batches",
      converter = Count.class,
      description =
          "Compute each batch in this many parts, a power of two, and add their gradients in a fixed "
              + "order. 1, 2, 4 … processes under mpirun then take the same steps, each on its parts; "
              + "default: the number of processes.")
  private Integer subBatches;

  @Option(
      names = "--lora",
      paramLabel = "RANK",
      converter = Count.class,
      description =
          "Train only the head and adapters of this rank (1 to 384) on the attention's projections, "
              + "which decay towards the origin; default: train everything.")
  Integer lora;

  /** Returns the options' default values. */
  static TrainingOptions defaults() {
    return CommandLine.populateCommand(new TrainingOptions());
  }

  @Override
  void check() throws Failure {
    int most = Config.MINILM_L6.positions();
    require(length >= 2 && length <= most, "--length must be 2 to " + most);
    for (double lr : lrs) {
      require(lr >= 0 && Float.isFinite((float) lr), "--lr must be 0 or more");
    }
    require(headLr >= 0 && Float.isFinite((float) headLr), "--head-lr must be 0 or more");
    require(headDecay >= 0 && Float.isFinite((float) headDecay), "--head-decay must be 0 or more");
    require(warmup >= 0 && warmup <= 1, "--warmup must be 0 to 1");
    require(probeShare > 0 && probeShare < 1, "--probe-share must be more than 0 and less than 1");
    require(clip > 0, "--clip must be more than 0");
    for (String layer : layerLambda.keySet()) {
      double factor = layerLambda.get(layer);
      require(
          isLayer(layer) && factor >= 0 && Float.isFinite((float) factor),
          "--layer-lambda needs embeddings or layer0 to layer5 and a factor of 0 or more");
    }
    for (String layer : unfreeze.keySet()) {
      require(
          (isLayer(layer) || layer.equals(LayerGroup.HEAD)) && unfreeze.get(layer) >= 1,
          "--unfreeze needs embeddings, layer0 to layer5 or head and a step of 1 or more");
    }
    require(
        lora == null
            || !layerLambda.containsKey(LayerGroup.EMBEDDINGS)
                && !unfreeze.containsKey(LayerGroup.EMBEDDINGS),
        "with --lora the embeddings are not trained: --layer-lambda and --unfreeze cannot name"
            + " them");
    int widest = Config.MINILM_L6.hidden();
    require(lora == null || lora <= widest, "--lora must be 1 to " + widest);
    super.check();
    checkBatch(Config.MINILM_L6);
    long needed =
        Config.MINILM_L6.activationBytes(
            batch, Tokens.padded(length), lora == null ? 0 : lora, Encoder.operands(math));
    long memory =
        ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getTotalMemorySize();
    require(
        needed < memory / 2,
        "--batch %d of --length %d needs %d GB, more than half of this machine's memory"
            .formatted(batch, length, needed >> 30));
  }

  /**
   * Checks what several processes need.
   *
   * @throws Failure if the batch cannot be divided among them
   */
  void check(Processes processes) throws Failure {
    int size = processes.size();
    require(
        Integer.bitCount(size) == 1, "the number of processes must be a power of two, not " + size);
    int count = subBatches(processes);
    require(
        Integer.bitCount(count) == 1 && count >= size,
        "--sub-batches must be a power of two and at least the number of processes, %d, not %d"
            .formatted(size, count));
    require(
        batch % count == 0,
        "--batch must be a multiple of the number of sub-batches, %d, not %d"
            .formatted(count, batch));
  }

  /** Returns the number of parts of a batch. */
  int subBatches(Processes processes) {
    return subBatches == null ? processes.size() : subBatches;
  }

  private static boolean isLayer(String name) {
    return name.equals(LayerGroup.EMBEDDINGS)
        || IntStream.range(0, Config.MINILM_L6.layers())
            .anyMatch(i -> name.equals(LayerGroup.layer(i)));
  }

  /** Returns the number of steps at the beginning of LP-FT that train the head alone. */
  int probing() {
    return (int) Math.round(steps * probeShare);
  }

  /** Returns the settings in the order in which the report shows them. */
  Map<String, Object> settings(Processes processes) {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("steps", steps);
    settings.put("batch", batch);
    if (subBatches(processes) > 1) {
      settings.put("sub-batches", subBatches(processes));
    }
    settings.put("tokens", length);
    if (groupByLength) {
      settings.put("batches", "of similar length");
    }
    settings.put("lr", lrs.size() == 1 ? lrs.getFirst() : lrs);
    settings.put("head lr", headLr);
    settings.put("head weight decay", headDecay);
    settings.put("warm-up", warmup);
    settings.put("schedule", schedule);
    settings.put("clip", Double.isFinite(clip) ? clip : "never");
    settings.put("trained", lora == null ? "everything" : "LoRA of rank " + lora + ", head");
    if (!layerLambda.isEmpty()) {
      settings.put("λ by layer, factors", layerLambda);
    }
    if (!unfreeze.isEmpty()) {
      settings.put("unfrozen at step", unfreeze);
    }
    if (earlyStop != null) {
      settings.put("early stopping, records", earlyStop);
    }
    settings.put("record, steps", record);
    if (processes.size() > 1) {
      settings.put("processes", processes.size());
    }
    settings.put("threads", threads);
    settings.put("matrix products", mathName());
    settings.put("backend", backend == null ? "the first available" : backend.id());
    return settings;
  }
}
