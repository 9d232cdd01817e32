package io.spd4j.finetune;

import java.util.Map;
import java.util.TreeMap;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** The values of options, given or by default. */
final class OptionValues {
  private OptionValues() {}

  /** Returns the values by the options' names. */
  static Map<String, String> of(Object... optionClasses) {
    Map<String, String> values = new TreeMap<>();
    for (Object options : optionClasses) {
      for (OptionSpec option : CommandSpec.forAnnotatedObject(options).options()) {
        Object value = option.getValue();
        values.put(option.longestName(), String.valueOf(value));
      }
    }
    return values;
  }
}
