package io.spd4j.oracle;

import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import io.spd4j.CautiousDecay;
import io.spd4j.ElementType;
import io.spd4j.L2SP;
import io.spd4j.MomentType;
import io.spd4j.NoDecay;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import java.lang.foreign.MemorySegment;
import java.util.function.IntToLongFunction;

/**
 * The steps of one tensor in float64, by the equations of native/NUMERICS.md. Every number comes
 * with a bound on how far a run in float32 may be from it; {@link Arithmetic} derives the bounds.
 * {@link Storage} says what may be stored of a number.
 *
 * <p>{@link #goOnFrom} continues from what the run had after a step. The bounds are then those of
 * one step, and no earlier step widens them. Without it, this is a float64 run from beginning to
 * end, and its bounds grow. Not thread-safe.
 */
public final class Float64Run {
  private final ParameterGroup group;
  private final Computation computation;
  private final Arithmetic f;
  private final double[] anchor;
  private final Storage paramStorage;
  private final Storage gradStorage;
  private final Words words;
  private final BoundedArray param;
  private final BoundedArray expAvg;
  private final BoundedArray expAvgSq;
  private final BoundedArray maxExpAvgSq;
  private long steps;

  /** What the random words are for that round the parameter; null if a projection is in doubt. */
  private Words.Use paramUse = Words.Use.UPDATE;

  private Bounded condition = Bounded.ZERO;
  private boolean selected;

  /**
   * Begins before a tensor's first step. All arrays are float32.
   *
   * @param group the settings, read at each step
   * @param computation how the compared run computes
   * @param data the tensor's floats, which are copied
   * @param anchor the anchor's floats, which are copied; null for the origin
   */
  public Float64Run(
      ParameterGroup group, Computation computation, MemorySegment data, MemorySegment anchor) {
    this(
        group,
        computation,
        new Words(0, ""),
        Math.toIntExact(data.byteSize() / Float.BYTES),
        Storage.of(ElementType.FLOAT32),
        Storage.of(ElementType.FLOAT32),
        MomentType.FLOAT32);
    setTo(anchor, Storage.of(ElementType.FLOAT32));
    param.read(data, Computation.CONTRACT);
  }

  /**
   * Begins where a parameter is; its arrays are copied. The compared run computes by the contract.
   *
   * @param group the settings, read at each step
   * @param seed of the random bits
   */
  public Float64Run(ParameterGroup group, Parameter p, long seed) {
    this(
        group,
        Computation.CONTRACT,
        new Words(seed, p.name()),
        Math.toIntExact(p.numel()),
        Storage.of(p.low() == null ? p.type() : ElementType.FLOAT32),
        Storage.of(p.gradientType()),
        p.momentType());
    steps = p.step();
    setTo(p.anchor(), Storage.of(p.anchorType()));
    goOnFrom(p);
  }

  private Float64Run(
      ParameterGroup group,
      Computation computation,
      Words words,
      int length,
      Storage paramStorage,
      Storage gradStorage,
      MomentType moments) {
    this.group = group;
    this.computation = computation;
    this.words = words;
    this.paramStorage = paramStorage;
    this.gradStorage = gradStorage;
    f = computation.elements;
    anchor = new double[length];
    IntToLongFunction momentWords = i -> words.word(Words.Use.MOMENTS, i);
    param = new BoundedArray(length, paramStorage, this::paramWord);
    expAvg = new BoundedArray(length, Storage.of(moments, length, false), momentWords);
    expAvgSq = new BoundedArray(length, Storage.of(moments, length, true), momentWords);
    maxExpAvgSq = new BoundedArray(length, Storage.of(moments, length, true), momentWords);
  }

  private void setTo(MemorySegment anchor, Storage storage) {
    for (int i = 0; anchor != null && i < this.anchor.length; i++) {
      this.anchor[i] = storage.get(anchor, i);
    }
  }

  private long paramWord(int index) {
    return paramUse == null ? Storage.UNKNOWN : words.word(paramUse, index);
  }

  /**
   * Takes a step.
   *
   * @param gradient the gradient, of the type that the tensor's gradients have
   * @param selects what SPD decided in the compared run; used if c is too close to 0 to tell
   */
  public void step(MemorySegment gradient, double gradScale, boolean selects) {
    steps++;
    words.step(steps);
    paramUse = Words.Use.UPDATE;
    final double lambda = group.decay().lambda();
    final Bounded scale = f.setting(group.maximize() ? -gradScale : gradScale, 0);
    final Bounded beta1 = f.setting(group.beta1(), 0);
    final Bounded beta2 = f.setting(group.beta2(), 0);
    final Bounded oneMinusBeta1 = f.setting(1 - group.beta1(), 0);
    final Bounded oneMinusBeta2 = f.setting(1 - group.beta2(), 0);
    final Bounded eps = f.setting(group.eps(), 0);
    final double bias1 = 1 - Math.pow(group.beta1(), steps);
    final double bias2 = 1 - Math.pow(group.beta2(), steps);
    final Bounded stepSize = f.setting(group.lr() / bias1, powerError() / bias1);
    final Bounded invSqrtBias2 = f.setting(1 / Math.sqrt(bias2), powerError() / bias2);
    final Bounded pull = f.setting(group.lr() * lambda, 0);
    final Bounded kept = f.setting(1 - group.lr() * lambda, 0);
    final Bounded coupling = f.setting(lambda, 0);
    final Sum gradDot = computation.sum();
    final Sum devSq = computation.sum();
    final Sum newDevSq = computation.sum();
    for (int i = 0; i < anchor.length; i++) {
      final Bounded theta = param.get(i);
      final Bounded dev = deviation(i);
      Bounded g = f.mul(scale, Bounded.exact(gradStorage.get(gradient, i)));
      if (group.decay() instanceof L2SP l2sp && l2sp.coupled()) {
        g = f.add(g, f.mul(coupling, dev));
      }
      final Bounded m = f.add(f.mul(beta1, expAvg.get(i)), f.mul(oneMinusBeta1, g));
      final Bounded v = f.add(f.mul(beta2, expAvgSq.get(i)), f.mul(f.mul(oneMinusBeta2, g), g));
      expAvg.set(i, m);
      expAvgSq.set(i, v);
      maxExpAvgSq.set(i, larger(maxExpAvgSq.get(i), v));
      final Bounded s = group.amsgrad() ? maxExpAvgSq.get(i) : v;
      final Bounded root = f.mul(f.sqrt(s), invSqrtBias2);
      // The root is not below 0, so the divisor is not below eps.
      final Bounded u = f.div(f.mul(stepSize, m), f.add(root, eps), eps.value() - eps.error());
      param.set(
          i,
          switch (group.decay()) {
            case NoDecay none -> f.sub(theta, u);
            case WeightDecay decay -> f.sub(f.mul(theta, kept), u);
            case L2SP l2sp when l2sp.coupled() -> f.sub(theta, u);
            case L2SP l2sp -> f.sub(f.pulled(theta, pull, anchor[i]), u);
            case SelectiveProjectionDecay spd -> f.sub(theta, u);
            case CautiousDecay cautious ->
                cautious(dev, u, f.sub(f.pulled(theta, pull, anchor[i]), u), f.sub(theta, u));
          });
      if (isSpd()) {
        final Bounded newDev = deviation(i);
        gradDot.add(f.mul(g, dev));
        devSq.add(f.mul(dev, dev));
        newDevSq.add(f.mul(newDev, newDev));
      }
    }
    if (isSpd()) {
      final Bounded dot = gradDot.total();
      condition = new Bounded(-dot.value(), dot.error());
      selected = isClose() ? selects : condition.value() < 0;
      if (selected) {
        project(ratio(devSq.total(), newDevSq.total()));
      }
    }
  }

  /**
   * Whether an element decays depends on two signs; near 0 float32 may have others than float64.
   */
  private static Bounded cautious(Bounded dev, Bounded u, Bounded decayed, Bounded free) {
    final Bounded result = u.value() * dev.value() < 0 ? free : decayed;
    if (u.hasSign() && dev.hasSign()) {
      return result;
    }
    final double apart = Math.abs(decayed.value() - free.value());
    return new Bounded(result.value(), apart + Math.max(decayed.error(), free.error()));
  }

  /** Returns the relative error of β^t: its roundings in float64, and those of pow. */
  private double powerError() {
    return (2 * steps + 2) * 0x1p-53;
  }

  /** Returns whether SPD decides about the tensor. */
  public boolean isSpd() {
    return group.decay() instanceof SelectiveProjectionDecay;
  }

  private Bounded deviation(int i) {
    return f.sub(param.get(i), Bounded.exact(anchor[i]));
  }

  private static Bounded larger(Bounded x, Bounded y) {
    return new Bounded(Math.max(x.value(), y.value()), Math.max(x.error(), y.error()));
  }

  /** Returns r, which is within [0, 1] whatever the bounds of the sums. */
  private Bounded ratio(Bounded devSq, Bounded newDevSq) {
    final Arithmetic d = computation.decision;
    final Bounded updated = d.sqrt(newDevSq);
    if (updated.most() == 0) {
      return Bounded.ZERO;
    }
    final Bounded r = d.div(d.sub(updated, d.sqrt(devSq)), updated, 0);
    final double value = updated.value() > 0 ? Math.clamp(r.value(), 0, 1) : 0;
    final boolean bounded = Double.isFinite(r.error());
    final double least = bounded ? Math.clamp(r.value() - r.error(), 0, 1) : 0;
    final double most = bounded ? Math.clamp(r.value() + r.error(), 0, 1) : 1;
    return new Bounded(value, Math.max(value - least, most - value));
  }

  /** Computes θ' = θ̃ − (λ·r)·(θ̃−θ0) from θ̃ as it is stored. */
  private void project(Bounded ratio) {
    final Bounded strength = computation.decision.mul(Bounded.exact(group.decay().lambda()), ratio);
    final Bounded shrink = f.rounded(strength.value(), strength.error());
    if (shrink.most() == 0) {
      return;
    }
    for (int i = 0; i < anchor.length; i++) {
      final Bounded updated = paramStorage.rounded(param.get(i), paramWord(i));
      param.set(i, f.pulled(updated, shrink, anchor[i]));
    }
    paramUse = shrink.value() > shrink.error() ? Words.Use.PROJECTION : null;
  }

  /**
   * Continues from the floats that the compared run has in memory after a step.
   *
   * @param maxExpAvgSq null if not known, or without AMSGrad
   */
  public void goOnFrom(
      MemorySegment param,
      MemorySegment expAvg,
      MemorySegment expAvgSq,
      MemorySegment maxExpAvgSq) {
    this.param.read(param, computation);
    this.expAvg.read(expAvg, computation);
    this.expAvgSq.read(expAvgSq, computation);
    if (maxExpAvgSq != null) {
      this.maxExpAvgSq.read(maxExpAvgSq, computation);
    }
  }

  /** Continues from what a parameter of the compared run is. */
  public void goOnFrom(Parameter p) {
    param.read(values(p), computation);
    if (p.expAvg() != null) {
      expAvg.read(p.expAvg(), computation);
      expAvgSq.read(p.expAvgSq(), computation);
    }
    if (p.maxExpAvgSq() != null) {
      maxExpAvgSq.read(p.maxExpAvgSq(), computation);
    }
  }

  /**
   * Returns a parameter's data as {@link #param} reads it: its array or, if it is in two halves,
   * new float32 whose bits are 65536·high + low.
   */
  public static MemorySegment values(Parameter p) {
    if (p.low() == null) {
      return p.data();
    }
    final int[] bits = new int[Math.toIntExact(p.numel())];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = 65536 * p.data().getAtIndex(JAVA_SHORT, i) + p.low().getAtIndex(JAVA_SHORT, i);
    }
    return MemorySegment.ofArray(bits);
  }

  /** Returns θ after the step, as all arrays before it is rounded to what is stored. */
  public BoundedArray param() {
    return param;
  }

  /** Returns m after the step. */
  public BoundedArray expAvg() {
    return expAvg;
  }

  /** Returns v after the step. */
  public BoundedArray expAvgSq() {
    return expAvgSq;
  }

  /** Returns v̂ after the step, even without AMSGrad. */
  public BoundedArray maxExpAvgSq() {
    return maxExpAvgSq;
  }

  /** Returns SPD's c in the step. */
  public Bounded condition() {
    return condition;
  }

  /** Returns whether c is so close to 0 that a run in float32 may decide either way. */
  public boolean isClose() {
    return condition.error() != 0 && !(Math.abs(condition.value()) > condition.error());
  }

  /** Returns whether SPD selected the tensor: by c or, if c is too close to 0, as the run did. */
  public boolean selected() {
    return selected;
  }
}
