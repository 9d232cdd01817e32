package io.spd4j.finetune;

import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.minilm.Config;
import java.util.LinkedHashMap;
import java.util.Map;
import picocli.CommandLine.Option;

/** How a model is trained from random weights. */
final class PretrainOptions extends NetworkOptions {
  private static final int VOCABULARY = 4096;

  @Option(
      names = "--steps",
      defaultValue = "2000",
      converter = Count.class,
      description = "Number of steps of a run; default: ${DEFAULT-VALUE}.")
  int steps;

  @Option(
      names = "--lr",
      defaultValue = "2e-3",
      description =
          "Learning rate after a tenth of the steps, from which it falls to 0; default: "
              + "${DEFAULT-VALUE}.")
  double lr;

  @Override
  void check() throws Failure {
    require(length >= 2 && length <= 512, "--length must be 2 to 512");
    require(lr >= 0 && Float.isFinite((float) lr), "--lr must be 0 or more");
    super.check();
    checkBatch(config());
  }

  /** Returns the sizes of the model. */
  Config config() {
    return new Config(VOCABULARY, length, 128, 4, 512, 2);
  }

  /** Returns the settings in the order in which the report shows them. */
  Map<String, Object> settings() {
    Map<String, Object> settings = new LinkedHashMap<>();
    settings.put("model", config().toString());
    settings.put("steps", steps);
    settings.put("batch", batch);
    settings.put("tokens", length);
    settings.put("lr", lr);
    settings.put("threads", threads);
    settings.put("matrix products", mathName());
    settings.put("backend", backend == null ? "the first available" : backend.id());
    return settings;
  }
}
