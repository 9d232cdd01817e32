package io.spd4j;

import java.lang.foreign.MemorySegment;

/**
 * A parameter tensor: a name, and off-heap float32 arrays that all have the same number of
 * elements. Steps do not use the tensor's shape.
 *
 * <p>The arrays belong to the caller: they are neither copied nor freed. All arrays of an optimizer
 * are of one kind: host memory (from an {@link java.lang.foreign.Arena}, or a mapped file) or
 * device memory (from a {@link io.spd4j.cuda.DeviceArena}). Each starts at a multiple of 4 bytes
 * (64 is fastest) and is a multiple of 4 bytes long. The gradient and the anchor may be read-only.
 * An array that steps write (data, moments) must not overlap any other array of the optimizer.
 *
 * <p>A parameter belongs to at most one optimizer. Not thread-safe.
 */
public final class Parameter {
  private final String name;
  private final MemorySegment data;
  private final MemorySegment anchor;
  private MemorySegment gradient;
  private MemorySegment expAvg;
  private MemorySegment expAvgSq;
  private MemorySegment maxExpAvgSq;

  /** Steps taken before the optimizer was built. */
  private final long startStep;

  private Adam owner;
  private int index;

  private Parameter(Builder b) {
    name = b.name;
    data = b.data;
    anchor = b.anchor;
    gradient = b.gradient;
    expAvg = b.expAvg;
    expAvgSq = b.expAvgSq;
    maxExpAvgSq = b.maxExpAvgSq;
    startStep = b.step;
  }

  /**
   * Returns a parameter without an anchor.
   *
   * @throws NullPointerException if an argument is null
   * @throws IllegalArgumentException if an array cannot be used; the message says which and why
   */
  public static Parameter of(String name, MemorySegment data, MemorySegment gradient) {
    return builder(name, data).gradient(Checks.notNull("gradient of " + name, gradient)).build();
  }

  /**
   * Returns a parameter with an anchor.
   *
   * @param anchor the pre-trained values
   * @throws NullPointerException if an argument is null
   * @throws IllegalArgumentException if an array cannot be used; the message says which and why
   */
  public static Parameter of(
      String name, MemorySegment data, MemorySegment gradient, MemorySegment anchor) {
    return builder(name, data)
        .gradient(Checks.notNull("gradient of " + name, gradient))
        .anchor(Checks.notNull("anchor of " + name, anchor))
        .build();
  }

  /**
   * Returns a builder.
   *
   * @param name not blank, unique within an optimizer
   * @param data θ, which steps read and write
   */
  public static Builder builder(String name, MemorySegment data) {
    return new Builder(name, data);
  }

  /** Returns the name, which is unique within an optimizer. */
  public String name() {
    return name;
  }

  /** Returns θ, the values that steps update. */
  public MemorySegment data() {
    return data;
  }

  /** Returns the anchor θ0; null if θ0 is the origin. */
  public MemorySegment anchor() {
    return anchor;
  }

  /** Returns the gradient that the next step reads; null if it leaves this parameter alone. */
  public MemorySegment gradient() {
    return gradient;
  }

  /**
   * Sets the gradient that the next step reads. Steps leave a parameter without a gradient alone;
   * its step count stays.
   *
   * @param gradient null for none
   * @throws IllegalArgumentException if the array cannot be used; the message says why
   * @throws IllegalStateException if the optimizer is closed, a step is under way, or an earlier
   *     step broke off half done
   */
  public void gradient(MemorySegment gradient) {
    if (gradient != null) {
      Checks.array("gradient of " + name, gradient, data.byteSize(), false);
    }
    if (owner != null) {
      owner.gradient(this, gradient);
    }
    this.gradient = gradient;
  }

  /**
   * Returns the first moment m: the caller's array or, if the caller gave none, the one that the
   * optimizer allocated (null before the optimizer is built). Closing the optimizer frees the
   * latter: save it first.
   */
  public MemorySegment expAvg() {
    return expAvg;
  }

  /** Returns the second moment v, the caller's or the optimizer's as for {@link #expAvg}. */
  public MemorySegment expAvgSq() {
    return expAvgSq;
  }

  /**
   * Returns AMSGrad's running maximum of v: the caller's array or, in an AMSGrad group, the one
   * that the optimizer allocated (see {@link #expAvg}); otherwise null.
   */
  public MemorySegment maxExpAvgSq() {
    return maxExpAvgSq;
  }

  /**
   * Returns the number of steps that this parameter has taken. On CUDA it waits for the steps under
   * way.
   *
   * @throws IllegalStateException in the capture of a CUDA graph
   */
  public long step() {
    return owner == null ? startStep : owner.stepCount(this);
  }

  /** Returns the number of elements. */
  public long numel() {
    return data.byteSize() / Float.BYTES;
  }

  @Override
  public String toString() {
    return "Parameter[" + name + ", numel=" + numel() + "]";
  }

  Adam owner() {
    return owner;
  }

  /** Returns the index among the owner's parameters. */
  int index() {
    return index;
  }

  void adopt(Adam owner, int index, MemorySegment m, MemorySegment v, MemorySegment max) {
    this.owner = owner;
    this.index = index;
    expAvg = m;
    expAvgSq = v;
    maxExpAvgSq = max;
  }

  /** Collects the arrays of a parameter. Not thread-safe. */
  public static final class Builder {
    private final String name;
    private final MemorySegment data;
    private MemorySegment gradient;
    private MemorySegment anchor;
    private MemorySegment expAvg;
    private MemorySegment expAvgSq;
    private MemorySegment maxExpAvgSq;
    private long step;

    private Builder(String name, MemorySegment data) {
      this.name = name;
      this.data = data;
    }

    /** Sets the gradient, null for none yet. Steps only read it. It may change between steps. */
    public Builder gradient(MemorySegment gradient) {
      this.gradient = gradient;
      return this;
    }

    /**
     * Sets the pre-trained values θ0, null for the origin. Steps only read them. They are often a
     * mapped file: never truncate it, as native code would then end the JVM with SIGBUS.
     */
    public Builder anchor(MemorySegment anchor) {
      this.anchor = anchor;
      return this;
    }

    /**
     * Sets the caller's own moments, from which training continues; zeros for new training. Unless
     * they are set, or if both are null, the optimizer allocates them.
     */
    public Builder moments(MemorySegment expAvg, MemorySegment expAvgSq) {
      this.expAvg = expAvg;
      this.expAvgSq = expAvgSq;
      return this;
    }

    /** Sets the caller's own AMSGrad maximum, null for none; requires {@link #moments}. */
    public Builder maxExpAvgSq(MemorySegment maxExpAvgSq) {
      this.maxExpAvgSq = maxExpAvgSq;
      return this;
    }

    /** Sets the number of steps already taken, 0 or more; more than 0 requires {@link #moments}. */
    public Builder step(long step) {
      this.step = step;
      return this;
    }

    /**
     * Checks the arrays and builds the parameter.
     *
     * @throws NullPointerException if name or data is null
     * @throws IllegalArgumentException if the name is blank, step is negative, or an array cannot
     *     be used or is missing; the message says which and why
     */
    public Parameter build() {
      Checks.notNull("name", name);
      if (name.isBlank()) {
        throw new IllegalArgumentException("name is blank");
      }
      Checks.array("data of " + name, data, -1, true);
      optional("gradient", gradient, false);
      optional("anchor", anchor, false);
      optional("expAvg", expAvg, true);
      optional("expAvgSq", expAvgSq, true);
      optional("maxExpAvgSq", maxExpAvgSq, true);
      if ((expAvg == null) != (expAvgSq == null)) {
        throw new IllegalArgumentException(
            "moments of " + name + ": " + (expAvg == null ? "expAvg" : "expAvgSq") + " is missing");
      }
      if (maxExpAvgSq != null && expAvg == null) {
        throw new IllegalArgumentException(
            "maxExpAvgSq of " + name + " is given without the moments it belongs to");
      }
      if (step < 0) {
        throw new IllegalArgumentException("step of " + name + " must be 0 or more, not " + step);
      }
      if (step > 0 && expAvg == null) {
        throw new IllegalArgumentException(
            "step of " + name + " is " + step + ", but the moments of those steps are missing");
      }
      return new Parameter(this);
    }

    private void optional(String array, MemorySegment segment, boolean written) {
      if (segment != null) {
        Checks.array(array + " of " + name, segment, data.byteSize(), written);
      }
    }
  }
}
