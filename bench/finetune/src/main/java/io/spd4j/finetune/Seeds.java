package io.spd4j.finetune;

import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * The seeds that runs are repeated with, as in {@code 1,2,5..7}. A range includes both ends.
 *
 * @param values up to 1,000 different seeds, in the order given
 */
record Seeds(List<Long> values) {
  private static final int MAX = 1_000;

  /**
   * Returns the seeds one by one, so that a range and its numbers are the same value of an option.
   */
  @Override
  public String toString() {
    return values.toString();
  }

  /** Reads the option. */
  static final class Converter implements ITypeConverter<Seeds> {
    @Override
    public Seeds convert(String text) {
      Set<Long> values = new LinkedHashSet<>(); // drops duplicates
      for (String part : text.split(",", -1)) {
        String[] ends = part.split("\\.\\.", -1);
        if (ends.length > 2) {
          throw notSeeds(part);
        }
        long first = seed(ends[0], part);
        long last = seed(ends[ends.length - 1], part);
        if (first > last) {
          throw new TypeConversionException(
              "'" + part + "' is a descending range: write " + last + ".." + first);
        }
        long more = last - first; // negative if it overflows
        if (more < 0 || more >= MAX) {
          throw tooMany(part);
        }
        for (int i = 0; i <= more; i++) {
          values.add(first + i);
        }
        if (values.size() > MAX) {
          throw tooMany(text);
        }
      }
      return new Seeds(List.copyOf(values));
    }

    private static long seed(String text, String part) {
      try {
        return Long.parseLong(text);
      } catch (NumberFormatException e) {
        throw notSeeds(part);
      }
    }

    private static TypeConversionException notSeeds(String part) {
      return new TypeConversionException(
          "'" + part + "' is neither a seed (a whole number) nor a range of seeds, such as 1..10");
    }

    private static TypeConversionException tooMany(String text) {
      return new TypeConversionException(
          String.format(Locale.ROOT, "'%s' is more than %,d seeds", text, MAX));
    }
  }
}
