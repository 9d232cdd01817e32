package io.spd4j;

import java.lang.foreign.MemorySegment;

/**
 * A parameter tensor: a name and off-heap float32 arrays of the same number of elements. The shape
 * does not matter to a step.
 *
 * <p>The arrays are the caller's and are neither copied nor freed. Each is native memory (an {@link
 * java.lang.foreign.Arena}'s, or a mapped file) or device memory (a {@link
 * io.spd4j.cuda.DeviceArena}'s), the same kind for all parameters of an optimizer; it starts at a
 * multiple of 4 bytes (64 is fastest) and is a multiple of 4 bytes long; all are of the same size.
 * Gradient and anchor may be read-only. An array that is written (data, moments) overlaps no other
 * array of the optimizer.
 *
 * <p>A parameter belongs to one optimizer at most. Not thread-safe.
 */
public final class Parameter {
  private final String name;
  private final MemorySegment data;
  private final MemorySegment anchor;
  private MemorySegment gradient;
  private MemorySegment expAvg;
  private MemorySegment expAvgSq;
  private MemorySegment maxExpAvgSq;

  /** The steps taken before the owner's. */
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
   * A parameter without an anchor.
   *
   * @throws NullPointerException if an argument is null
   * @throws IllegalArgumentException if an array cannot be used; the message says which and why
   */
  public static Parameter of(String name, MemorySegment data, MemorySegment gradient) {
    return builder(name, data).gradient(Checks.notNull("gradient of " + name, gradient)).build();
  }

  /**
   * A parameter with an anchor.
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
   * A parameter in steps.
   *
   * @param name unique within an optimizer
   * @param data θ, read and written
   */
  public static Builder builder(String name, MemorySegment data) {
    return new Builder(name, data);
  }

  /** The name, unique within an optimizer. */
  public String name() {
    return name;
  }

  /** θ. */
  public MemorySegment data() {
    return data;
  }

  /** θ0, or null: the origin. */
  public MemorySegment anchor() {
    return anchor;
  }

  /** The gradient that the next step reads, or null: the next step leaves this parameter alone. */
  public MemorySegment gradient() {
    return gradient;
  }

  /**
   * Sets the gradient that the next step reads. A parameter without one is left alone and keeps its
   * step count.
   *
   * @param gradient null: none
   * @throws IllegalArgumentException if the array cannot be used; the message says why
   * @throws IllegalStateException if the optimizer is closed or a step is under way
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
   * The first moment m: the caller's or, within an optimizer, the optimizer's; otherwise null. What
   * the optimizer allocated is freed when it is closed: save it before.
   */
  public MemorySegment expAvg() {
    return expAvg;
  }

  /** The second moment v, likewise. */
  public MemorySegment expAvgSq() {
    return expAvgSq;
  }

  /** The running maximum of v, likewise; null unless the group is AMSGrad. */
  public MemorySegment maxExpAvgSq() {
    return maxExpAvgSq;
  }

  /**
   * How many steps this parameter has taken; on CUDA it waits for those under way.
   *
   * @throws IllegalStateException in the capture of a CUDA graph
   */
  public long step() {
    return owner == null ? startStep : owner.stepCount(this);
  }

  /** The number of elements. */
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

  /** The place among the owner's parameters. */
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

  /** Collects what a parameter has. Not thread-safe. */
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

    /** The gradient, only read; null: none yet. It may be set or replaced between steps. */
    public Builder gradient(MemorySegment gradient) {
      this.gradient = gradient;
      return this;
    }

    /**
     * The pre-trained values θ0, only read, often a mapped file (never truncate one: native code
     * would end the JVM with SIGBUS); null: θ0 is the origin.
     */
    public Builder anchor(MemorySegment anchor) {
      this.anchor = anchor;
      return this;
    }

    /**
     * The caller's own moments, to be continued from (zeros to start with). Without them the
     * optimizer allocates both.
     */
    public Builder moments(MemorySegment expAvg, MemorySegment expAvgSq) {
      this.expAvg = expAvg;
      this.expAvgSq = expAvgSq;
      return this;
    }

    /** The caller's own AMSGrad maximum; goes with {@link #moments}. */
    public Builder maxExpAvgSq(MemorySegment maxExpAvgSq) {
      this.maxExpAvgSq = maxExpAvgSq;
      return this;
    }

    /**
     * The steps already taken when training is continued; more than 0 goes with {@link #moments}.
     */
    public Builder step(long step) {
      this.step = step;
      return this;
    }

    /**
     * Checks the arrays.
     *
     * @throws NullPointerException if name or data is null
     * @throws IllegalArgumentException if an array cannot be used; the message says which and why
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
