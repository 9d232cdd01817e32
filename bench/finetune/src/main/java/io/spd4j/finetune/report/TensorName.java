package io.spd4j.finetune.report;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The name of a parameter tensor in a BERT checkpoint, in two parts.
 *
 * @param layer "embeddings", "layer 0" …
 * @param label the tensor's name within the layer
 */
public record TensorName(String layer, String label) {
  private static final Pattern ENCODER_LAYER = Pattern.compile("(?:.*\\.)?layer\\.(\\d+)\\.(.+)");
  private static final Pattern MODULE = Pattern.compile("([^.]+)\\.(.+)");

  /** Splits a name. The layer of a name without dots is "other". */
  public static TensorName of(String name) {
    Matcher layer = ENCODER_LAYER.matcher(name);
    if (layer.matches()) {
      return new TensorName("layer " + layer.group(1), layer.group(2));
    }
    Matcher module = MODULE.matcher(name);
    return module.matches()
        ? new TensorName(module.group(1), module.group(2))
        : new TensorName("other", name);
  }
}
