package io.spd4j.kernel;

import java.lang.foreign.MemorySegment;
import java.util.Locale;
import java.util.function.IntFunction;

/**
 * The decay rules, in the order of {@code native/include/rules.h}: what each does to an element, in
 * plain Java. {@link VectorTemplate} has the same for the Vector API. dev is θ − θ0, u Adam's
 * update; native/NUMERICS.md has the equations.
 */
public enum Rule {
  /** θ' = θ·(1−ηλ) − u; with λ = 0 plain Adam. */
  ADAMW,
  /** θ' = (θ − ηλ·dev) − u. */
  L2SP,
  /** g + λ·dev takes the place of g, θ' = θ − u. */
  L2SP_COUPLED,
  /** θ̃ = θ − u, and the sums that decide on the projection. */
  SPD;

  /**
   * The rule of an id, as a decay rule of the public API names itself.
   *
   * @throws IllegalArgumentException if there is no such rule
   */
  public static Rule of(String id) {
    return id.equals("none") ? ADAMW : valueOf(id.toUpperCase(Locale.ROOT).replace('-', '_'));
  }

  /**
   * The first rule that a library does not have under the same number; null if it has them all.
   *
   * @param name what the library calls a rule, a C string; NULL: it has none of that number
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

  /** Whether the rule reads the anchor. */
  public boolean isAnchored() {
    return this != ADAMW;
  }

  /** Whether the rule sums up what it needs to decide on each tensor. */
  public boolean decides() {
    return this == SPD;
  }

  /** {@link Scalars#decay}, before it is rounded. */
  double decay(double lr, double lambda) {
    return switch (this) {
      case ADAMW -> 1 - lr * lambda;
      case L2SP -> lr * lambda;
      case L2SP_COUPLED -> lambda;
      case SPD -> 0;
    };
  }

  /** The gradient that goes into the moments. */
  float grad(float decay, float dev, float g) {
    return this == L2SP_COUPLED ? g + decay * dev : g;
  }

  /** The parameter after the update. */
  float param(float decay, float theta, float dev, float u) {
    return switch (this) {
      case ADAMW -> theta * decay - u;
      case L2SP -> theta - decay * dev - u;
      case L2SP_COUPLED, SPD -> theta - u;
    };
  }
}
