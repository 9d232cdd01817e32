package io.spd4j;

import io.spd4j.kernel.Rule;
import io.spd4j.kernel.Settings;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/**
 * Parameters that share hyperparameters, as in torch.optim. The learning rate, the decay rule and
 * {@code frozen} may change between steps, so a schedule, gradual unfreezing or selective early
 * stopping is one line in the caller's loop. {@link Adam#addParameter} adds to a group whose
 * optimizer is already built. A group belongs to at most one optimizer. Not thread-safe.
 */
public final class ParameterGroup {
  private List<Parameter> parameters;
  private final boolean amsgrad;
  private DecayRule decay;
  private Adam owner;

  /** The settings that steps read. Each change makes a new record. */
  private Settings settings;

  private ParameterGroup(Builder b) {
    parameters = List.copyOf(b.parameters);
    amsgrad = b.amsgrad;
    settings = b.settings;
    decay(b.decay);
  }

  /** Returns a builder with torch's defaults: lr 1e-3, betas 0.9 and 0.999, eps 1e-8, no decay. */
  public static Builder builder() {
    return new Builder();
  }

  /** Returns the parameters, in the order in which they were added. The list does not change. */
  public List<Parameter> parameters() {
    return parameters;
  }

  /** Returns the learning rate η. */
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

  /** Returns the decay rule. */
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

  /** Returns whether steps leave this group alone. */
  public boolean frozen() {
    return settings.frozen();
  }

  /**
   * Freezes or unfreezes the group from the next step on. Frozen parameters keep their step counts.
   */
  public void frozen(boolean frozen) {
    settings = settings.withFrozen(frozen);
  }

  /** Returns β1, the decay rate of the first moment. */
  public double beta1() {
    return settings.beta1();
  }

  /** Returns β2, the decay rate of the second moment. */
  public double beta2() {
    return settings.beta2();
  }

  /** Returns ε, which is added to the denominator. */
  public double eps() {
    return settings.eps();
  }

  /** Returns whether the denominator uses the running maximum of the second moment (AMSGrad). */
  public boolean amsgrad() {
    return amsgrad;
  }

  /** Returns whether steps go up the gradient instead of down. */
  public boolean maximize() {
    return settings.maximize();
  }

  Settings settings() {
    return settings;
  }

  Adam owner() {
    return owner;
  }

  void adopt(Adam owner) {
    this.owner = owner;
    parameters.forEach(p -> p.join(this));
  }

  void add(Parameter parameter) {
    List<Parameter> more = new ArrayList<>(parameters);
    more.add(parameter);
    parameters = List.copyOf(more);
    parameter.join(this);
  }

  /** Collects the parameters and settings of a group. Not thread-safe. */
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
     * Sets the learning rate η ≥ 0.
     *
     * @throws IllegalArgumentException if lr is negative, NaN, or infinite in float32
     */
    public Builder lr(double lr) {
      settings = settings.withLr(Checks.nonNegative("lr", lr));
      return this;
    }

    /**
     * Sets β1 and β2, both in [0, 1).
     *
     * @throws IllegalArgumentException if one is out of range, or is 1 in float32
     */
    public Builder betas(double beta1, double beta2) {
      settings = settings.withBetas(Checks.beta("beta1", beta1), Checks.beta("beta2", beta2));
      return this;
    }

    /**
     * Sets ε ≥ 0, which is added to the denominator.
     *
     * @throws IllegalArgumentException if eps is negative, NaN, or infinite in float32
     */
    public Builder eps(double eps) {
      settings = settings.withEps(Checks.nonNegative("eps", eps));
      return this;
    }

    /** Sets whether the denominator uses the running maximum of the second moment (AMSGrad). */
    public Builder amsgrad(boolean amsgrad) {
      this.amsgrad = amsgrad;
      return this;
    }

    /** Sets whether steps go up the gradient instead of down. */
    public Builder maximize(boolean maximize) {
      settings = settings.withMaximize(maximize);
      return this;
    }

    /**
     * Sets the decay rule; by default {@link NoDecay}.
     *
     * @throws NullPointerException if decay is null
     */
    public Builder decay(DecayRule decay) {
      this.decay = Checks.notNull("decay", decay);
      return this;
    }

    /** Sets whether the group starts frozen. */
    public Builder frozen(boolean frozen) {
      settings = settings.withFrozen(frozen);
      return this;
    }

    /** Builds the group, which may be empty: {@link Adam#addParameter} can add to it later. */
    public ParameterGroup build() {
      return new ParameterGroup(this);
    }
  }
}
