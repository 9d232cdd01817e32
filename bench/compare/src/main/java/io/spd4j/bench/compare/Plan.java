package io.spd4j.bench.compare;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * What a run measures.
 *
 * @param cases in the order of the tables; those of the first shape with all states
 * @param curve AdamW on one tensor of growing size
 * @param first cases whose first steps in a fresh JVM are timed
 * @param quick whether JMH measures only briefly
 */
record Plan(
    List<StepCase> cases, List<StepCase> curve, List<StepCase> first, Pace pace, boolean quick) {
  private static final List<Shape> FULL =
      shapes("vit-b16 minilm lora one:100M many:10000x64 one:640K");
  private static final List<Shape> QUICK = shapes("vit-b16 lora many:10000x64 one:640K");

  private static final int SMALLEST_EXPONENT = 3;

  private static List<Shape> shapes(String names) {
    return Stream.of(names.split(" ")).map(Shape::parse).toList();
  }

  /**
   * Returns the plan of a full run.
   *
   * @param shapes the shapes to measure; empty: those in the README
   * @param threads numbers of threads, in ascending order
   */
  static Plan full(List<Shape> shapes, List<Integer> threads) {
    int most = threads.getLast();
    Shape first = (shapes.isEmpty() ? FULL : shapes).getFirst();
    List<StepCase> cases =
        (shapes.isEmpty() ? FULL : shapes)
            .stream()
                .flatMap(shape ->
                    Stream.concat(
                        threads.stream().flatMap(t -> all(shape, t)),
                        shape == first ? states(shape, most) : Stream.of()))
                .toList();
    return new Plan(
        cases,
        curve(threads, 2, 8),
        List.of(adamw(first, most), spd(first, most, Select.ALL)),
        Pace.FULL,
        false);
  }

  /**
   * Returns the plan of a quick run: what most targets need, with the largest number of threads, in
   * less time.
   */
  static Plan quick(List<Shape> shapes, List<Integer> threads) {
    int most = threads.getLast();
    List<Shape> all = shapes.isEmpty() ? QUICK : shapes;
    List<StepCase> cases =
        all.stream()
            .flatMap(shape ->
                Stream.concat(
                    Stream.of(adamw(shape, most), spd(shape, most, Select.ALL)),
                    shape == all.getFirst() ? targeted(shape, most) : Stream.of()))
            .toList();
    Shape first = shapes.isEmpty() ? Shape.parse("minilm") : shapes.getFirst();
    return new Plan(
        cases, curve(threads, 1, 7), List.of(spd(first, most, Select.ALL)), Pace.QUICK, true);
  }

  /**
   * Returns whether peers take part. A quick run has time for them only where a target needs them.
   */
  boolean peersTakePart(StepCase step) {
    return !quick || List.of(Target.VIT, Target.LORA).contains(step.shape().name());
  }

  private static Stream<StepCase> all(Shape shape, int threads) {
    return Stream.of(Rule.values())
        .filter(rule -> rule != Rule.L2SP_COUPLED) // one operation more than L2SP
        .flatMap(rule ->
            rule == Rule.SPD
                ? Stream.of(Select.NONE, Select.ALL).map(select -> spd(shape, threads, select))
                : Stream.of(new StepCase(shape, rule, Select.NONE, threads)));
  }

  /** Returns the cases whose arrays are not all float32. */
  private static Stream<StepCase> states(Shape shape, int threads) {
    return Stream.of(State.SPLIT, State.BF16, State.EIGHT_BIT)
        .flatMap(state ->
            Stream.of(
                    adamw(shape, threads),
                    spd(shape, threads, Select.NONE),
                    spd(shape, threads, Select.ALL))
                .map(step -> step.with(state)));
  }

  /** Returns those of them that targets need. */
  private static Stream<StepCase> targeted(Shape shape, int threads) {
    return Stream.of(Select.NONE, Select.ALL)
        .map(select -> spd(shape, threads, select).with(State.EIGHT_BIT));
  }

  private static StepCase adamw(Shape shape, int threads) {
    return new StepCase(shape, Rule.ADAMW, Select.NONE, threads);
  }

  private static StepCase spd(Shape shape, int threads, Select select) {
    return new StepCase(shape, Rule.SPD, select, threads);
  }

  private static List<StepCase> curve(List<Integer> threads, int perDecade, int largestExponent) {
    return IntStream.rangeClosed(SMALLEST_EXPONENT * perDecade, largestExponent * perDecade)
        .mapToObj(i -> Shape.parse("one:" + Math.round(Math.pow(10, (double) i / perDecade))))
        .flatMap(shape -> threads.stream().map(t -> adamw(shape, t)))
        .toList();
  }
}
