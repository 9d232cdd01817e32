package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.Locale;
import java.util.function.IntFunction;

/**
 * The decay rules, in the order of {@code native/include/rules.h}, and what each does to an
 * element, in plain Java. {@link VectorTemplate} has the rules for the Vector API. dev is θ − θ0,
 * and u is Adam's update; native/NUMERICS.md has the equations.
 */
public enum Rule {
  /** θ' = θ·(1−ηλ) − u; with λ = 0 plain Adam. */
  ADAMW,
  /** θ' = (θ − ηλ·dev) − u. */
  L2SP,
  /** g + λ·dev replaces g; θ' = θ − u. */
  L2SP_COUPLED,
  /** θ̃ = θ − u; sums decide whether a projection follows. */
  SPD,
  /** θ' = θ − u if the signs of u and dev are opposed, else (θ − ηλ·dev) − u. */
  CAUTIOUS;

  /**
   * Returns the rule of an id, the name that a public decay rule gives itself.
   *
   * @throws IllegalArgumentException if there is no such rule
   */
  public static Rule of(String id) {
    return id.equals("none") ? ADAMW : valueOf(id.toUpperCase(Locale.ROOT));
  }

  /**
   * Returns the first rule that a library does not have under the same number; null if it has all.
   *
   * @param name returns the library's name for a number, a C string; NULL if it has no such rule
   */
  public static Rule unknown(IntFunction<MemorySegment> name) {
    for (Rule rule : values()) {
      MemorySegment found = name.apply(rule.ordinal());
      if (found.address() == 0 || !found.getString(0).equals(rule.name())) {
        return rule;
      }
    }
    return null;
  }

  /** Returns whether the rule reads the anchor. */
  public boolean isAnchored() {
    return this != ADAMW;
  }

  /** Returns whether the rule decides on each tensor, from sums over its elements. */
  public boolean decides() {
    return this == SPD;
  }

  /** Returns {@link Scalars#decay} before it is rounded. */
  double decay(double lr, double lambda) {
    return switch (this) {
      case ADAMW -> 1 - lr * lambda;
      case L2SP, CAUTIOUS -> lr * lambda;
      case L2SP_COUPLED -> lambda;
      case SPD -> 0;
    };
  }

  /** Returns the gradient that goes into the moments. */
  float grad(float decay, float dev, float g) {
    return this == L2SP_COUPLED ? g + decay * dev : g;
  }

  /** Returns the parameter after the update. */
  float param(float decay, float theta, float dev, float u) {
    return switch (this) {
      case ADAMW -> theta * decay - u;
      case L2SP -> theta - decay * dev - u;
      case L2SP_COUPLED, SPD -> theta - u;
      case CAUTIOUS -> theta - (u > 0 & dev < 0 | u < 0 & dev > 0 ? 0 : decay * dev) - u;
    };
  }
}
