package io.spd4j.bench.contest;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.finetune.cli.Rule;
import java.util.List;
import java.util.Locale;

/**
 * A step that is compared.
 *
 * @param select what SPD finds; the other rules do not look at it
 */
public record StepCase(Shape shape, Rule rule, Select select, int threads) {
  private static final int SEED = 1;
  private static final double BETA2 = 0.999;
  private static final double EPS = 1e-8;

  /** The rule and what it selects. */
  public String ruleName() {
    return rule == Rule.SPD ? "%s, %s selected".formatted(rule.title(), select) : rule.title();
  }

  public String threadsName() {
    return threads == 1 ? "1 thread" : threads + " threads";
  }

  @Override
  public String toString() {
    return shape.name() + ", " + ruleName() + ", " + threadsName();
  }

  /**
   * The first steps of all, so large that the results tell every term of the update.
   *
   * @param largest tensors are cut to as many elements
   */
  public Setup checked(long largest) {
    List<Long> tensors = shape.tensors().stream().map(n -> Math.min(n, largest)).toList();
    return setup(tensors, 0, 1e-3, 0.9, rule == Rule.SPD ? rule.lambda() : 10);
  }

  /**
   * Small steps that can be taken for ever. β1 is so close to 1 that the first moments keep their
   * signs, whatever the gradients say, so SPD finds the same in each step; and so many steps were
   * taken that no bias is left to correct.
   */
  public Setup timed() {
    return setup(shape.tensors(), 100_000_000, 1e-6, 0.999999, rule.lambda());
  }

  private Setup setup(List<Long> tensors, long step, double lr, double beta1, double lambda) {
    return new Setup(
        tensors,
        shape.anchored(),
        rule,
        select,
        threads,
        SEED,
        step,
        lr,
        beta1,
        BETA2,
        EPS,
        lambda);
  }

  /** The same with AdamW. */
  public StepCase adamw() {
    return new StepCase(shape, Rule.ADAMW, Select.NONE, threads);
  }

  /** Arrays that a step touches. */
  public int arrays() {
    return shape.anchored() && rule.readsAnchor() ? 5 : 4;
  }

  /** Bytes of these arrays. */
  public long footprint() {
    return shape.numel() * Float.BYTES * arrays();
  }

  /** Bytes that a step has to read and write at least, where SPD finds what it is to find. */
  public long bytes() {
    return bytes(rule == Rule.SPD && select == Select.ALL ? shape.numel() : 0);
  }

  /**
   * Bytes that a step has to read and write at least.
   *
   * @param projected elements of the tensors that SPD projects
   */
  public long bytes(long projected) {
    boolean anchored = arrays() == 5;
    int update = anchored ? 8 : 7; // reads θ g m v (θ0), writes θ m v
    int projection = anchored ? 3 : 2; // reads θ (θ0), writes θ
    return (shape.numel() * update + projected * projection) * Float.BYTES;
  }

  /** A constant's name as files and tables have it. */
  public static String lower(Object name) {
    return name.toString().toLowerCase(Locale.ROOT);
  }
}
