package io.spd4j.bench.contest;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import java.util.List;

/**
 * A step to compare.
 *
 * @param select which tensors SPD selects; other rules ignore it
 * @param state how the arrays are stored; null, as in older files, becomes FLOAT32
 */
public record StepCase(Shape shape, Rule rule, Select select, int threads, State state) {
  private static final int SEED = 1;
  private static final double BETA2 = 0.999;
  private static final double EPS = 1e-8;

  public StepCase {
    state = state == null ? State.FLOAT32 : state;
  }

  /** A step over float32 arrays. */
  public StepCase(Shape shape, Rule rule, Select select, int threads) {
    this(shape, rule, select, threads, State.FLOAT32);
  }

  /** Returns this step with its arrays stored otherwise. */
  public StepCase with(State other) {
    return new StepCase(shape, rule, select, threads, other);
  }

  /** Returns the rule's title, what it selects, and the state if it is not float32. */
  public String ruleName() {
    String title =
        rule == Rule.SPD ? "%s, %s selected".formatted(rule.title(), select) : rule.title();
    return state.equals(State.FLOAT32) ? title : title + ", " + state;
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
        state,
        threads,
        SEED,
        step,
        lr,
        beta1,
        BETA2,
        EPS,
        lambda);
  }

  /** Returns this case with AdamW as its rule, over float32 arrays. */
  public StepCase adamw() {
    return new StepCase(shape, Rule.ADAMW, Select.NONE, threads);
  }

  /** Returns the number of arrays that a step touches. */
  public int arrays() {
    return shape.anchored() && rule.readsAnchor() ? 5 : 4;
  }

  /** Returns the bytes of the arrays that a step touches. */
  public long footprint() {
    return shape.numel() * (parameterBytes() + state.gradient().byteSize() + anchorBytes())
        + 2 * moment();
  }

  /** Returns the bytes of an element of a parameter. */
  private int parameterBytes() {
    return state.split() ? 2 * Short.BYTES : state.parameter().byteSize();
  }

  /** Returns the bytes of an element of an anchor that the step reads; 0 if it reads none. */
  private int anchorBytes() {
    return arrays() == 5 ? state.anchor().byteSize() : 0;
  }

  /** Returns the bytes of one moment of all tensors, with its scales. */
  private long moment() {
    return shape.tensors().stream().mapToLong(state.moments()::byteSize).sum();
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
    int projection = 2 * parameterBytes() + anchorBytes(); // reads θ (θ0), writes θ
    int update = projection + state.gradient().byteSize(); // the same and reads g
    return shape.numel() * update + 4 * moment() + projected * projection; // reads and writes m v
  }
}
