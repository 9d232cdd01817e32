package io.spd4j.finetune.cli;

import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** Reads a number from 1 to 10,000. */
public final class Count implements ITypeConverter<Integer> {
  private static final int MAX = 10_000;

  @Override
  public Integer convert(String text) {
    int count = Integer.parseInt(text);
    if (count < 1 || count > MAX) {
      throw new TypeConversionException("'" + text + "' is not between 1 and " + MAX);
    }
    return count;
  }
}
