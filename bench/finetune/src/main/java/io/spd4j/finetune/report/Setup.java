package io.spd4j.finetune.report;

import static java.util.Objects.requireNonNull;

import io.spd4j.finetune.cli.Rule;
import java.math.BigDecimal;
import java.math.MathContext;

/**
 * What runs have in common that differ only in their seed.
 *
 * @param rule the name of the rule or method: "AdamW", "L2-SP", "SPD"
 * @param lambda its strength, finite
 * @param lr the learning rate of the backbone, finite
 * @param state how the optimizer's arrays are stored: "float32", "8bit"
 * @param data how the data differs from the plain data: "10% label noise"; empty if it does not
 */
public record Setup(String rule, double lambda, double lr, String state, String data) {
  static final String WISE_FT = "WiSE-FT";

  /**
   * Checks the numbers and texts.
   *
   * @throws IllegalArgumentException if lambda or lr is not finite
   */
  public Setup {
    requireNonNull(rule, "the rule is null");
    requireNonNull(state, "the state is null");
    requireNonNull(data, "the data is null");
    if (!Double.isFinite(lambda) || !Double.isFinite(lr)) {
      throw new IllegalArgumentException(
          "lambda and lr must be finite, not " + lambda + " and " + lr);
    }
  }

  /** Returns the rule with its strength. */
  public String label() {
    return rule + ", " + symbol() + " = " + Rule.number(lambda);
  }

  /** Returns the letter that papers use for the strength. */
  String symbol() {
    if (rule.startsWith(WISE_FT)) {
      return "α";
    }
    return rule.equals("FTP") ? "k" : "λ";
  }

  /** Returns the learning rate as people write it: 5e-5. */
  String learningRate() {
    BigDecimal value = new BigDecimal(lr).round(new MathContext(3)).stripTrailingZeros();
    int exponent = value.precision() - value.scale() - 1;
    return lr == 0 ? "0" : value.scaleByPowerOfTen(-exponent).toPlainString() + "e" + exponent;
  }
}
