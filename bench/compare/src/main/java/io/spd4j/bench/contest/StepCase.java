package io.spd4j.bench.contest;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.finetune.cli.Rule;
import java.util.List;

/**
 * A step to compare.
 *
 * @param select which tensors SPD selects; other rules ignore it
 */
public record StepCase(Shape shape, Rule rule, Select select, int threads) {
  private static final int SEED = 1;
  private static final double BETA2 = 0.999;
  private static final double EPS = 1e-8;

  /** Returns the rule's title and what it selects. */
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
   * Returns the set-up of the very first steps, large enough for every term of the update to show
   * in the results.
   *
   * @param largest tensors are cut to this many elements
   */
  public Setup checked(long largest) {
    List<Long> tensors = shape.tensors().stream().map(n -> Math.min(n, largest)).toList();
    return setup(tensors, 0, 1e-3, 0.9, rule == Rule.SPD ? rule.lambda() : 10);
  }

  /**
   * Returns the set-up of small steps that can go on forever. β1 is so close to 1 that the first
   * moments keep their signs whatever the gradients are, so SPD selects the same tensors in each
   * step. The step count is so high that no bias is left to correct.
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

  /** Returns this case with AdamW as its rule. */
  public StepCase adamw() {
    return new StepCase(shape, Rule.ADAMW, Select.NONE, threads);
  }

  /** Returns the number of arrays that a step touches. */
  public int arrays() {
    return shape.anchored() && rule.readsAnchor() ? 5 : 4;
  }

  /** Returns the bytes of the arrays that a step touches. */
  public long footprint() {
    return shape.numel() * Float.BYTES * arrays();
  }

  /**
   * Returns the least number of bytes that a step reads and writes if SPD selects as this case
   * says.
   */
  public long bytes() {
    return bytes(rule == Rule.SPD && select == Select.ALL ? shape.numel() : 0);
  }

  /**
   * Returns the least number of bytes that a step reads and writes.
   *
   * @param projected number of elements in the tensors that SPD projects
   */
  public long bytes(long projected) {
    boolean anchored = arrays() == 5;
    int update = anchored ? 8 : 7; // reads θ g m v (θ0), writes θ m v
    int projection = anchored ? 3 : 2; // reads θ (θ0), writes θ
    return (shape.numel() * update + projected * projection) * Float.BYTES;
  }
}
