package io.spd4j.finetune;

import io.spd4j.finetune.cli.Rule;
import java.util.Locale;

/**
 * A way of fine-tuning: a decay rule, or a procedure around one. A constant's name in lower case is
 * the method's name on the command line and in files.
 */
enum Method {
  ADAMW(Rule.ADAMW),
  L2SP(Rule.L2SP),
  L2SP_COUPLED(Rule.L2SP_COUPLED),
  SPD(Rule.SPD),
  CAUTIOUS(Rule.CAUTIOUS);

  private final Rule rule;

  Method(Rule rule) {
    this.rule = rule;
  }

  /**
   * Finds a method by its name in lower case.
   *
   * @throws IllegalArgumentException if there is no such method
   */
  static Method of(String name) {
    return valueOf(name.toUpperCase(Locale.ROOT));
  }

  /** Returns the rule by which the backbone's parameters are stepped. */
  Rule rule() {
    return rule;
  }

  /** Returns the name that papers use. */
  String title() {
    return rule.title();
  }

  /** Returns the default strength. */
  double lambda() {
    return rule.lambda();
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
