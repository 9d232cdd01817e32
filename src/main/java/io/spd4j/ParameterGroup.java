package io.spd4j;

import io.spd4j.kernel.Rule;
import io.spd4j.kernel.Settings;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/**
 * Parameters that share their hyperparameters, as in torch.optim. Learning rate, decay rule and
 * {@code frozen} may be changed between steps: schedules, gradual unfreezing and selective early
 * stopping are a line in the caller's loop. Not thread-safe.
 */
public final class ParameterGroup {
  private final List<Parameter> parameters;
  private final boolean amsgrad;
  private DecayRule decay;

  /** What steps read. A change makes another record. */
  private Settings settings;

  private ParameterGroup(Builder b) {
    parameters = List.copyOf(b.parameters);
    amsgrad = b.amsgrad;
    settings = b.settings;
    decay(b.decay);
  }

  /**
   * A group in steps; its defaults are torch's: lr 1e-3, betas 0.9 and 0.999, eps 1e-8, no decay.
   */
  public static Builder builder() {
    return new Builder();
  }

  /** The parameters, in the order in which they were given. */
  public List<Parameter> parameters() {
    return parameters;
  }

  /** The learning rate η. */
  public double lr() {
    return settings.lr();
  }

  /**
   * Sets the learning rate from the next step on.
   *
   * @throws IllegalArgumentException if lr is negative, NaN, or infinite in float32
   */
  public void lr(double lr) {
    settings = settings.withLr(Checks.nonNegative("lr", lr));
  }

  /** The decay rule. */
  public DecayRule decay() {
    return decay;
  }

  /**
   * Sets the decay rule, or its λ, from the next step on.
   *
   * @throws NullPointerException if decay is null
   */
  public void decay(DecayRule decay) {
    this.decay = Checks.notNull("decay", decay);
    settings = settings.withDecay(Rule.of(decay.id()), decay.lambda());
  }

  /** Whether steps leave this group alone. */
  public boolean frozen() {
    return settings.frozen();
  }

  /** Freezes or unfreezes the group from the next step on; frozen parameters keep their counts. */
  public void frozen(boolean frozen) {
    settings = settings.withFrozen(frozen);
  }

  /** β1, the decay of the first moment. */
  public double beta1() {
    return settings.beta1();
  }

  /** β2, the decay of the second moment. */
  public double beta2() {
    return settings.beta2();
  }

  /** ε, added to the denominator. */
  public double eps() {
    return settings.eps();
  }

  /** Whether the denominator uses the running maximum of the second moment. */
  public boolean amsgrad() {
    return amsgrad;
  }

  /** Whether steps go up the gradient. */
  public boolean maximize() {
    return settings.maximize();
  }

  Settings settings() {
    return settings;
  }

  /** Collects what a group has. Not thread-safe. */
  public static final class Builder {
    private final List<Parameter> parameters = new ArrayList<>();
    private Settings settings = Settings.DEFAULTS;
    private boolean amsgrad;
    private DecayRule decay = new NoDecay();

    private Builder() {}

    /**
     * Adds a parameter.
     *
     * @throws NullPointerException if it is null
     */
    public Builder parameter(Parameter parameter) {
      parameters.add(Checks.notNull("parameter", parameter));
      return this;
    }

    /**
     * Adds parameters.
     *
     * @throws NullPointerException if the collection or one of them is null
     */
    public Builder parameters(Collection<Parameter> parameters) {
      Checks.notNull("parameters", parameters).forEach(this::parameter);
      return this;
    }

    /**
     * The learning rate η ≥ 0.
     *
     * @throws IllegalArgumentException if lr is negative, NaN, or infinite in float32
     */
    public Builder lr(double lr) {
      settings = settings.withLr(Checks.nonNegative("lr", lr));
      return this;
    }

    /**
     * β1 and β2, in [0, 1).
     *
     * @throws IllegalArgumentException if one is not, or is 1 in float32
     */
    public Builder betas(double beta1, double beta2) {
      settings = settings.withBetas(Checks.beta("beta1", beta1), Checks.beta("beta2", beta2));
      return this;
    }

    /**
     * ε ≥ 0, added to the denominator.
     *
     * @throws IllegalArgumentException if eps is negative, NaN, or infinite in float32
     */
    public Builder eps(double eps) {
      settings = settings.withEps(Checks.nonNegative("eps", eps));
      return this;
    }

    /** AMSGrad: the denominator uses the running maximum of the second moment. */
    public Builder amsgrad(boolean amsgrad) {
      this.amsgrad = amsgrad;
      return this;
    }

    /** Go up the gradient instead of down. */
    public Builder maximize(boolean maximize) {
      settings = settings.withMaximize(maximize);
      return this;
    }

    /**
     * The decay rule; {@link NoDecay} unless set.
     *
     * @throws NullPointerException if decay is null
     */
    public Builder decay(DecayRule decay) {
      this.decay = Checks.notNull("decay", decay);
      return this;
    }

    /** Start frozen. */
    public Builder frozen(boolean frozen) {
      settings = settings.withFrozen(frozen);
      return this;
    }

    /** The group; it may be empty. */
    public ParameterGroup build() {
      return new ParameterGroup(this);
    }
  }
}
