package io.spd4j.finetune;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * How the mail that a run learns from is changed. Its text form is "plain", or parts such as {@code
 * spurious=0.9+noise=0.1+mails=300}.
 *
 * @param spurious the probability, 0 to 1, that the word planted in a mail agrees with its label;
 *     null: no word is planted
 * @param noise the share of training labels that are wrong, 0 to 1
 * @param mails the number of training mails, 2 or more; null: all
 */
record Variation(Double spurious, double noise, Integer mails) {
  static final Variation PLAIN = new Variation(null, 0, null);

  static final String HELP =
      "plain, or parts: spurious=P plants a word in each mail, which agrees with the label with "
          + "probability P; noise=SHARE makes that share of the training labels wrong; mails=N "
          + "trains with so few mails; as in noise=0.1+mails=300";

  /** Reads the option. */
  static final class Converter implements ITypeConverter<Variation> {
    @Override
    public Variation convert(String text) {
      try {
        return of(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  /**
   * Reads the text form.
   *
   * @throws IllegalArgumentException if it is not one
   */
  static Variation of(String text) {
    if (text.equals("plain")) {
      return PLAIN;
    }
    Map<String, String> parts = new LinkedHashMap<>();
    for (String part : text.split("\\+", -1)) {
      String[] both = part.split("=", -1);
      if (both.length != 2 || !List.of("spurious", "noise", "mails").contains(both[0])) {
        throw new IllegalArgumentException(
            "'%s' is neither plain, spurious=P, noise=SHARE nor mails=N".formatted(part));
      }
      if (parts.put(both[0], both[1]) != null) {
        throw new IllegalArgumentException("'%s' is given twice".formatted(both[0]));
      }
    }
    String mails = parts.get("mails");
    if (mails != null && !mails.matches("[1-9]\\d{0,8}|1\\d{9}") || "1".equals(mails)) {
      throw new IllegalArgumentException("mails must be 2 or more, not '" + mails + "'");
    }
    return new Variation(
        parts.containsKey("spurious") ? share("spurious", parts.get("spurious")) : null,
        parts.containsKey("noise") ? share("noise", parts.get("noise")) : 0,
        mails == null ? null : Integer.valueOf(mails));
  }

  private static double share(String name, String text) {
    try {
      double value = Double.parseDouble(text);
      if (value >= 0 && value <= 1) {
        return value;
      }
    } catch (NumberFormatException e) {
      // reported below
    }
    throw new IllegalArgumentException(name + " must be 0 to 1, not '" + text + "'");
  }

  /** Returns the text for the report; empty for plain data. */
  String title() {
    List<String> parts = new ArrayList<>();
    if (spurious != null) {
      parts.add("planted word, p = " + spurious);
    }
    if (noise > 0) {
      BigDecimal percent = BigDecimal.valueOf(noise).movePointRight(2).stripTrailingZeros();
      parts.add(percent.toPlainString() + "% wrong labels");
    }
    if (mails != null) {
      parts.add(mails + " mails");
    }
    return String.join(", ", parts);
  }

  @Override
  public String toString() {
    List<String> parts = new ArrayList<>();
    if (spurious != null) {
      parts.add("spurious=" + spurious);
    }
    if (noise > 0) {
      parts.add("noise=" + noise);
    }
    if (mails != null) {
      parts.add("mails=" + mails);
    }
    return parts.isEmpty() ? "plain" : String.join("+", parts);
  }
}
