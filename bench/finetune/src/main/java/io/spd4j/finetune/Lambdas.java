package io.spd4j.finetune;

import io.spd4j.finetune.cli.Rule;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * The values of λ that a rule is run with, as in {@code spd=0.5,1,2}. Several values make a sweep.
 *
 * @param values 0 or more each
 */
record Lambdas(Method method, List<Double> values) {
  /** The default λ of each rule, for the help text. */
  static final class Defaults extends ArrayList<String> {
    private static final long serialVersionUID = 1L;

    Defaults() {
      super(Stream.of(Method.values()).map(m -> m + "=" + Rule.number(m.lambda())).toList());
    }
  }

  /** Reads the option. */
  static final class Converter implements ITypeConverter<Lambdas> {
    @Override
    public Lambdas convert(String text) {
      String[] parts = text.split("=", -1);
      if (parts.length != 2) {
        throw new TypeConversionException("'" + text + "' is not RULE=λ or RULE=λ,λ…");
      }
      List<Double> values = new ArrayList<>();
      for (String part : parts[1].split(",", -1)) {
        values.add(value(part));
      }
      return new Lambdas(method(parts[0]), values);
    }

    private static Method method(String name) {
      try {
        return Method.of(name);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(
            "'" + name + "' is not a rule: " + List.of(Method.values()));
      }
    }

    private static double value(String text) {
      try {
        double value = Double.parseDouble(text);
        if (value >= 0 && value < Float.MAX_VALUE) {
          return value;
        }
      } catch (NumberFormatException e) {
        // reported below
      }
      throw new TypeConversionException("λ must be a number of 0 or more, not '" + text + "'");
    }
  }
}
