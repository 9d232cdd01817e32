package io.spd4j;

import io.spd4j.kernel.Types;
import java.lang.foreign.MemorySegment;

/**
 * A parameter tensor: a name, and off-heap arrays that all have the same number of elements. Steps
 * do not use the tensor's shape.
 *
 * <p>Arrays are float32 unless the {@linkplain Builder builder} is told otherwise:
 *
 * <ul>
 *   <li>Data: float32; or bfloat16 with the low halves beside it, which together are exactly
 *       float32 ({@link SplitFloats}): the network reads the bfloat16 half; or bfloat16 or float16
 *       alone, rounded stochastically after each step.
 *   <li>Gradient and anchor: float32, bfloat16 or float16.
 *   <li>Moments: a {@link MomentType}.
 * </ul>
 *
 * <p>The arrays belong to the caller: they are neither copied nor freed. All arrays of an optimizer
 * are of one kind: host memory (from an {@link java.lang.foreign.Arena}, or a mapped file) or
 * device memory (from a {@link io.spd4j.cuda.DeviceArena}). Each starts at a multiple of its
 * element's size (8-bit moments: of 4 bytes); 64 bytes are fastest. The gradient (without several
 * ranks) and the anchor may be read-only. An array that steps write (data, low halves, moments)
 * must not overlap any other array of the optimizer whose arena is open.
 *
 * <p><b>Memory of other libraries.</b> {@link #ofAddress} and the methods that take an address use
 * host memory that something else owns, such as another library's tensor. Keep its owner alive and
 * do not let it free, move or resize the memory while the parameter may be stepped. A closed arena
 * is refused, but nothing can see that memory at an address has been freed: a step that uses it
 * ends the JVM, or damages what lies there now. That holds for every segment whose memory is freed
 * while its arena is open, however it was made.
 *
 * <p>A parameter belongs to at most one optimizer, even after that is closed. Not thread-safe.
 */
public final class Parameter {
  private final String name;
  private final MemorySegment data;
  private final MemorySegment low;
  private final MemorySegment anchor;
  private final Types types;
  private MemorySegment gradient;
  private MemorySegment expAvg;
  private MemorySegment expAvgSq;
  private MemorySegment maxExpAvgSq;

  /** Steps taken before the optimizer was built. */
  private final long startStep;

  private Adam owner;
  private ParameterGroup group;
  private int index;

  private Parameter(Builder b) {
    name = b.name;
    data = b.data;
    low = b.low;
    anchor = b.anchor;
    types = b.types();
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
   * Returns a builder for a float32 parameter.
   *
   * @param name not blank, unique within an optimizer
   * @param data θ, which steps read and write
   */
  public static Builder builder(String name, MemorySegment data) {
    return builder(name, data, ElementType.FLOAT32);
  }

  /**
   * Returns a builder.
   *
   * @param name not blank, unique within an optimizer; stochastic rounding depends on it
   * @param data θ, which steps read and write
   * @param type FLOAT32, BFLOAT16 or FLOAT16. The last two are rounded stochastically, unless
   *     {@link Builder#low} makes BFLOAT16 exact
   */
  public static Builder builder(String name, MemorySegment data, ElementType type) {
    return new Builder(name, data, type);
  }

  /**
   * Returns a builder for data in host memory that something else owns, which must keep it as the
   * class comment says. (For device memory, {@link io.spd4j.cuda.DeviceArena#wrap} makes segments.)
   *
   * <p>This method and the others that take an address are <i>restricted</i>: a wrong address or
   * number can end the JVM. They need {@code --enable-native-access=ALL-UNNAMED}, on the module
   * path {@code --enable-native-access=io.spd4j}; without it the JVM warns.
   *
   * @param name not blank, unique within an optimizer; stochastic rounding depends on it
   * @param address of the first element of θ, which steps read and write
   * @param numel the number of elements, 0 or more; if it is 0, the address may be anything
   * @param type FLOAT32, BFLOAT16 or FLOAT16, as for {@link #builder(String, MemorySegment,
   *     ElementType)}
   * @throws NullPointerException if name or type is null
   * @throws IllegalArgumentException if the address is 0 or not a multiple of the element's size,
   *     or numel is out of range
   * @throws IllegalCallerException if native access is denied
   */
  public static Builder ofAddress(String name, long address, long numel, ElementType type) {
    return builder(
        name,
        OfAddress.array("data of " + Checks.notNull("name", name), address, numel, type),
        type);
  }

  /** Returns the name, which is unique within an optimizer. */
  public String name() {
    return name;
  }

  /** Returns θ, the values that steps update. */
  public MemorySegment data() {
    return data;
  }

  /**
   * Returns the low halves of float32 values whose high halves are the data; null if none. With
   * {@linkplain Adam.Builder#ranks several ranks}, steps write those of this rank's shard only:
   * {@link Adam#gatherLow} brings the others.
   */
  public MemorySegment low() {
    return low;
  }

  /** Returns the type of the data: FLOAT32, BFLOAT16 or FLOAT16. */
  public ElementType type() {
    return types.param();
  }

  /** Returns the type of gradients: FLOAT32, BFLOAT16 or FLOAT16. */
  public ElementType gradientType() {
    return types.grad();
  }

  /** Returns the type of the anchor: FLOAT32, BFLOAT16 or FLOAT16; FLOAT32 without an anchor. */
  public ElementType anchorType() {
    return types.anchor();
  }

  /** Returns how the moments are stored. */
  public MomentType momentType() {
    return types.moments();
  }

  /** Returns the anchor θ0; null if θ0 is the origin. */
  public MemorySegment anchor() {
    return anchor;
  }

  /**
   * Returns the gradient that the next step reads; null if it leaves this parameter alone. With
   * {@linkplain Adam.Builder#ranks several ranks}, steps write the total of all ranks into this
   * rank's shard of it.
   */
  public MemorySegment gradient() {
    return gradient;
  }

  /**
   * Sets the gradient that the next step reads. Steps leave a parameter without a gradient alone;
   * its step count stays.
   *
   * @param gradient null for none; of the type that the parameter was built with
   * @throws IllegalArgumentException if the array cannot be used; the message says why
   * @throws IllegalStateException if the optimizer is closed, a step is under way, an earlier step
   *     broke off half done, or {@link Adam#gradientsReady} has announced the gradient that it has
   */
  public void gradient(MemorySegment gradient) {
    if (gradient != null) {
      array("gradient of " + name, gradient, types.grad(), numel(), false);
    }
    if (owner != null) {
      owner.gradient(this, gradient);
    }
    this.gradient = gradient;
  }

  /**
   * Sets the gradient that the next step reads, in memory that something else owns: see {@link
   * #ofAddress}. Another address in each step costs nothing but its checks.
   *
   * @param address of as many elements as the parameter has, of the type that it was built with
   * @throws IllegalArgumentException if the address is 0 or not a multiple of the element's size,
   *     or the array overlaps one that steps write
   * @throws IllegalStateException as {@link #gradient(MemorySegment)}
   * @throws IllegalCallerException if native access is denied
   */
  public void gradient(long address) {
    gradient(OfAddress.array("gradient of " + name, address, numel(), types.grad()));
  }

  /**
   * Returns the first moment m: the caller's array or, if the caller gave none, the one that the
   * optimizer allocated (null before the optimizer is built). Closing the optimizer frees the
   * latter: save it first. With {@linkplain Adam.Builder#ranks several ranks}, it has the elements
   * of this rank's shard only, perhaps none.
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
    return owner == null ? startStep : owner.stepCount(this, startStep);
  }

  /** Returns the number of elements. */
  public long numel() {
    return data.byteSize() / types.param().byteSize();
  }

  @Override
  public String toString() {
    return "Parameter[" + name + ", numel=" + numel() + "]";
  }

  Adam owner() {
    return owner;
  }

  /** Returns whether steps leave it alone because its group is frozen. */
  boolean isFrozen() {
    return group != null && group.frozen();
  }

  /** Sets its group in the optimizer. */
  void join(ParameterGroup group) {
    this.group = group;
  }

  /** Returns the index among the owner's parameters. */
  int index() {
    return index;
  }

  Types types() {
    return types;
  }

  private static void array(
      String what, MemorySegment array, ElementType type, long numel, boolean written) {
    Checks.array(
        what,
        array,
        type.byteSize(),
        Checks.byteSizeOrMost(numel, type),
        numel + " elements of " + type,
        written);
  }

  /** Sets the optimizer, the index among its parameters, and the moments. */
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
    private final ElementType type;
    private MemorySegment low;
    private MemorySegment gradient;
    private ElementType gradientType = ElementType.FLOAT32;
    private MemorySegment anchor;
    private ElementType anchorType = ElementType.FLOAT32;
    private MomentType momentType = MomentType.FLOAT32;
    private MemorySegment expAvg;
    private MemorySegment expAvgSq;
    private MemorySegment maxExpAvgSq;
    private long step;

    private Builder(String name, MemorySegment data, ElementType type) {
      this.name = name;
      this.data = data;
      this.type = type;
    }

    /**
     * Sets the low halves of float32 values whose high halves are the BFLOAT16 data, null for none.
     * Both are one int16 and one bfloat16 an element, as {@link SplitFloats} makes them; steps give
     * them the bits that they would give float32 data.
     */
    public Builder low(MemorySegment low) {
      this.low = low;
      return this;
    }

    /** Sets the gradient, null for none yet. Steps only read it. It may change between steps. */
    public Builder gradient(MemorySegment gradient) {
      this.gradient = gradient;
      return this;
    }

    /**
     * Sets the gradient, null for none yet, and the type of this gradient and of all later ones:
     * FLOAT32, BFLOAT16 or FLOAT16.
     */
    public Builder gradient(MemorySegment gradient, ElementType type) {
      gradientType = type;
      return gradient(gradient);
    }

    /**
     * Sets the gradient in memory that something else owns, and the type of this gradient and of
     * all later ones: see {@link Parameter#ofAddress}.
     *
     * @param address of as many elements as the data has
     * @throws NullPointerException if type is null
     * @throws IllegalArgumentException if the address is 0 or not a multiple of the element's size
     * @throws IllegalCallerException if native access is denied
     */
    public Builder gradient(long address, ElementType type) {
      return gradient(OfAddress.array("gradient of " + name, address, numel(), type), type);
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
     * Sets the pre-trained values, null for the origin, and their type: FLOAT32, BFLOAT16 or
     * FLOAT16. For a tensor of a safetensors file, give its {@code data()} and {@code dtype()}.
     */
    public Builder anchor(MemorySegment anchor, ElementType type) {
      anchorType = type;
      return anchor(anchor);
    }

    /**
     * Sets the pre-trained values in memory that something else owns, and their type: see {@link
     * Parameter#ofAddress}.
     *
     * @param address of as many elements as the data has
     * @throws NullPointerException if type is null
     * @throws IllegalArgumentException if the address is 0 or not a multiple of the element's size
     * @throws IllegalCallerException if native access is denied
     */
    public Builder anchor(long address, ElementType type) {
      return anchor(OfAddress.array("anchor of " + name, address, numel(), type), type);
    }

    /** Sets how the moments are stored, the caller's or those that the optimizer allocates. */
    public Builder momentType(MomentType type) {
      momentType = type;
      return this;
    }

    /**
     * Sets the caller's own moments, from which training continues; zeros for new training. Unless
     * they are set, or if both are null, the optimizer allocates them. Each has the size that
     * {@link MomentType#byteSize} of the {@linkplain #momentType moments' type} returns.
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

    /** Sets the number of steps already taken, 0 to 2^53; more than 0 requires {@link #moments}. */
    public Builder step(long step) {
      this.step = step;
      return this;
    }

    /**
     * Checks the arrays and builds the parameter.
     *
     * @throws NullPointerException if name or data is null
     * @throws IllegalArgumentException if the name is blank, step is out of range, or an array
     *     cannot be used or is missing; the message says which and why
     */
    public Parameter build() {
      Checks.notNull("name", name);
      if (name.isBlank()) {
        throw new IllegalArgumentException("name is blank");
      }
      Checks.stepped("data of " + name, type);
      Checks.stepped("gradient of " + name, gradientType);
      Checks.stepped("anchor of " + name, anchorType);
      Checks.notNull("momentType of " + name, momentType);
      Checks.array("data of " + name, data, type.byteSize(), -1, "", true);
      if (low != null && type != ElementType.BFLOAT16) {
        throw new IllegalArgumentException(
            "low of " + name + " is given, but the data is " + type + ", not BFLOAT16");
      }
      optional("low", low, ElementType.INT16, true);
      optional("gradient", gradient, gradientType, false);
      optional("anchor", anchor, anchorType, false);
      moment("expAvg", expAvg);
      moment("expAvgSq", expAvgSq);
      moment("maxExpAvgSq", maxExpAvgSq);
      if ((expAvg == null) != (expAvgSq == null)) {
        throw new IllegalArgumentException(
            "moments of " + name + ": " + (expAvg == null ? "expAvg" : "expAvgSq") + " is missing");
      }
      if (maxExpAvgSq != null && expAvg == null) {
        throw new IllegalArgumentException(
            "maxExpAvgSq of " + name + " is given without the moments it belongs to");
      }
      Checks.steps("step of " + name, step);
      if (step > 0 && expAvg == null) {
        throw new IllegalArgumentException(
            "step of " + name + " is " + step + ", but the moments of those steps are missing");
      }
      return new Parameter(this);
    }

    private Types types() {
      ElementType ofAnchor = anchor == null ? ElementType.FLOAT32 : anchorType;
      return new Types(type, gradientType, ofAnchor, momentType);
    }

    private long numel() {
      return Checks.notNull("data of " + name, data).byteSize()
          / Checks.notNull("type of the data of " + name, type).byteSize();
    }

    private void optional(String array, MemorySegment segment, ElementType type, boolean written) {
      if (segment != null) {
        array(array + " of " + name, segment, type, numel(), written);
      }
    }

    private void moment(String array, MemorySegment segment) {
      if (segment != null) {
        Checks.array(
            array + " of " + name,
            segment,
            momentType.alignment(),
            momentType.byteSizeOrMost(numel()),
            numel() + " elements of " + momentType,
            true);
      }
    }
  }
}
