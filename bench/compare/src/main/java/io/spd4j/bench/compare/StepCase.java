package io.spd4j.bench.compare;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.contest.Setup;
import io.spd4j.finetune.cli.Rule;
import java.util.List;
import java.util.Locale;

/**
 * A step that is compared.
 *
 * @param select what SPD finds, NONE or ALL; NONE for the other rules
 */
record StepCase(Shape shape, Rule rule, Select select, int threads) {
  private static final int SEED = 1;
  private static final double BETA2 = 0.999;
  private static final double EPS = 1e-8;

  /** The rule and what it selects. */
  String ruleName() {
    return rule != Rule.SPD
        ? rule.title()
        : rule.title() + (select == Select.ALL ? ", all selected" : ", none selected");
  }

  String threadsName() {
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
  Setup checked(long largest) {
    List<Long> tensors = shape.tensors().stream().map(n -> Math.min(n, largest)).toList();
    return setup(tensors, 0, 1e-3, 0.9, rule == Rule.SPD ? 1 : 10);
  }

  /**
   * Small steps that can be taken for ever. β1 is so close to 1 that the first moments keep their
   * signs, whatever the gradients say, so SPD finds the same in each step; and so many steps were
   * taken that no bias is left to correct.
   */
  Setup timed() {
    return setup(shape.tensors(), 100_000_000, 1e-6, 0.999999, rule == Rule.SPD ? 1 : 0.01);
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
  StepCase adamw() {
    return new StepCase(shape, Rule.ADAMW, Select.NONE, threads);
  }

  /** Arrays that a step touches. */
  int arrays() {
    return shape.anchored() && rule != Rule.ADAMW ? 5 : 4;
  }

  /** Bytes of these arrays. */
  long footprint() {
    return shape.numel() * Float.BYTES * arrays();
  }

  /** Bytes that a step has to read and write at least: it reads all and writes θ m v. */
  long bytes() {
    boolean anchored = arrays() == 5;
    int update = anchored ? 8 : 7;
    boolean projects = rule == Rule.SPD && select == Select.ALL;
    int projection = !projects ? 0 : anchored ? 3 : 2; // reads θ (θ0), writes θ
    return shape.numel() * Float.BYTES * (update + projection);
  }

  /** A constant's name as files and tables have it. */
  static String lower(Object name) {
    return name.toString().toLowerCase(Locale.ROOT);
  }
}
