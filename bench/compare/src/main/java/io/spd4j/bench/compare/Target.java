package io.spd4j.bench.compare;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;

/**
 * A goal of the library, and whether a run reaches it.
 *
 * @param text the goal
 * @param ratio the measured ratio; null if it was not measured
 * @param reached whether the goal was reached; false if it was not measured
 * @param remark the case that the ratio is from, if the text does not say
 */
record Target(String text, Spread ratio, boolean reached, String remark) {
  static final String VIT = "vit-b16";
  static final String LORA = "lora";
  private static final String MANY = "many:10000x64";
  private static final String ONE = "one:640K";

  /** Returns all targets, judged with the run's largest number of threads. */
  static List<Target> of(Bench bench) {
    int threads = bench.mostThreads();
    Finder find = new Finder(bench, threads);
    return List.of(
        atLeast(
            8,
            "SPD, all selected, on ViT-B/16 is at least 8 times as fast as eager SPD in PyTorch",
            find.ratio(VIT, Rule.SPD, Competitors.EAGER, Competitors.NATIVE)),
        atLeast(
            2,
            "… at least twice as fast as SPD through torch.compile",
            find.ratio(VIT, Rule.SPD, Competitors.COMPILED, Competitors.NATIVE)),
        atMost(
            1.5,
            "… takes at most 1.5 times the time of PyTorch's fused AdamW",
            find.ratio(VIT, Rule.SPD, Competitors.NATIVE, Competitors.FUSED)),
        of(
            "AdamW on ViT-B/16 is no slower than PyTorch's fused AdamW: the middle half of the "
                + "ratios reaches 1",
            find.ratio(VIT, Rule.ADAMW, Competitors.NATIVE, Competitors.FUSED),
            ratio -> ratio.q1() <= 1),
        atLeast(
            20,
            "SPD, all selected, on LoRA is at least 20 times as fast as eager SPD in PyTorch",
            find.ratio(LORA, Rule.SPD, Competitors.EAGER, Competitors.NATIVE)),
        atMost(
            1,
            "… and faster than PyTorch's fused AdamW",
            find.ratio(LORA, Rule.SPD, Competitors.NATIVE, Competitors.FUSED)),
        atMost(
            1.5,
            "10,000 tensors of 64 take at most 1.5 times the time of one tensor of the same size: "
                + "AdamW",
            find.manyOverOne(Rule.ADAMW)),
        atMost(1.5, "… SPD, all selected", find.manyOverOne(Rule.SPD)),
        atMost(
            0.7,
            "SPD with 8-bit state, nothing selected, on ViT-B/16 takes at most 0.7 times the time of "
                + "PyTorch's fused AdamW in float32 (goal: 0.6)",
            find.eightBit(Select.NONE)),
        atMost(1, "… everything selected, at most as long (goal: 0.8)", find.eightBit(Select.ALL)),
        vectorOverNative(
            bench,
            1.1,
            "The Vector API takes at most 1.1 times the time of native, in all float32 cases",
            State.FLOAT32::equals),
        vectorOverNative(
            bench,
            1.15,
            "… at most 1.15 times with other states",
            state -> !state.equals(State.FLOAT32)),
        moreThreads(bench, threads),
        first(
            bench,
            FirstSteps::tenth,
            1.5,
            "The 10th step of a fresh JVM takes the Vector API at most 1.5 times the time of native"),
        first(bench, FirstSteps::rest, 1.15, "… later ones at most 1.15 times"));
  }

  private static Target atLeast(double limit, String text, Optional<Spread> ratio) {
    return of(text, ratio, r -> r.median() >= limit);
  }

  private static Target atMost(double limit, String text, Optional<Spread> ratio) {
    return of(text, ratio, r -> r.median() <= limit);
  }

  private static Target of(String text, Optional<Spread> ratio, Predicate<Spread> reached) {
    return new Target(
        text,
        ratio.orElse(null),
        ratio.isPresent() && reached.test(ratio.get()),
        ratio.isPresent() ? "" : "not measured");
  }

  /**
   * Finds the cases that targets name: unless they say otherwise, SPD with all tensors selected and
   * float32, the largest number of threads.
   */
  private record Finder(Bench bench, int threads) {
    private Optional<CaseResult> find(String shape, Rule rule) {
      return find(shape, rule, rule == Rule.SPD ? Select.ALL : Select.NONE, State.FLOAT32);
    }

    private Optional<CaseResult> find(String shape, Rule rule, Select select, State state) {
      StepCase wanted = new StepCase(Shape.parse(shape), rule, select, threads, state);
      return bench.cases().stream().filter(c -> c.step().equals(wanted)).findFirst();
    }

    /** Compares SPD with 8-bit state with PyTorch's fused AdamW. */
    Optional<Spread> eightBit(Select select) {
      return find(VIT, Rule.SPD, select, State.EIGHT_BIT)
          .flatMap(c -> ratioOf(c, Competitors.NATIVE, Competitors.FUSED));
    }

    Optional<Spread> ratio(String shape, Rule rule, String name, String other) {
      return find(shape, rule).flatMap(c -> ratioOf(c, name, other));
    }

    /** Compares two cases, which have no rounds in common. */
    Optional<Spread> manyOverOne(Rule rule) {
      Optional<Spread> many = nanos(MANY, rule);
      Optional<Spread> one = nanos(ONE, rule);
      return many.isEmpty() || one.isEmpty()
          ? Optional.empty()
          : Optional.of(over(many.get(), one.get()));
    }

    private Optional<Spread> nanos(String shape, Rule rule) {
      return find(shape, rule).flatMap(c -> c.measured(Competitors.NATIVE)).map(Entry::nanos);
    }
  }

  private static Optional<Spread> ratioOf(CaseResult result, String name, String other) {
    Optional<Entry> entry = result.measured(name);
    Optional<Entry> over = result.measured(other);
    return entry.isEmpty() || over.isEmpty()
        ? Optional.empty()
        : Optional.of(CaseResult.ratio(entry.get(), over.get()));
  }

  /** Returns the quotient with its widest possible spread. */
  private static Spread over(Spread a, Spread b) {
    return new Spread(a.q1() / b.q3(), a.median() / b.median(), a.q3() / b.q1());
  }

  /** The ratio of one case. */
  private record Found(String where, Spread ratio) {}

  private static Target vectorOverNative(
      Bench bench, double limit, String text, Predicate<State> states) {
    List<Found> found =
        bench
            .all()
            .filter(c -> states.test(c.step().state()))
            .flatMap(c ->
                ratioOf(c, Competitors.VECTOR, Competitors.NATIVE)
                    .map(ratio -> new Found(c.step().toString(), ratio))
                    .stream())
            .toList();
    return worst(text, found, ratio -> ratio.median() <= limit);
  }

  private static Target first(
      Bench bench, ToDoubleFunction<FirstSteps> time, double limit, String text) {
    List<Found> found = new ArrayList<>();
    for (FirstSteps vector : bench.first()) {
      for (FirstSteps ours : bench.first()) {
        if (vector.name().equals(Competitors.VECTOR)
            && ours.name().equals(Competitors.NATIVE)
            && ours.step().equals(vector.step())) {
          double ratio = time.applyAsDouble(vector) / time.applyAsDouble(ours);
          found.add(new Found(vector.step().toString(), new Spread(ratio, ratio, ratio)));
        }
      }
    }
    return worst(text, found, ratio -> ratio.median() <= limit);
  }

  private static Target moreThreads(Bench bench, int threads) {
    List<Found> found = new ArrayList<>();
    for (CaseResult many : bench.all().filter(c -> c.step().threads() == threads).toList()) {
      StepCase s = many.step();
      StepCase alone = new StepCase(s.shape(), s.rule(), s.select(), 1, s.state());
      for (String name : List.of(Competitors.NATIVE, Competitors.VECTOR)) {
        Optional<Entry> one =
            bench
                .all()
                .filter(c -> threads > 1 && c.step().equals(alone))
                .findFirst()
                .flatMap(c -> c.measured(name));
        Optional<Entry> more = many.measured(name);
        if (one.isPresent() && more.isPresent()) {
          found.add(new Found(name + ", " + s, over(more.get().nanos(), one.get().nanos())));
        }
      }
    }
    return worst(
        threads
            + " threads are never slower than 1: the middle halves of the times overlap, or more are "
            + "faster",
        found,
        ratio -> ratio.q1() <= 1);
  }

  /** Returns a target with the largest ratio of all cases and the number of cases that miss it. */
  private static Target worst(String text, List<Found> found, Predicate<Spread> good) {
    Optional<Found> worst =
        found.stream().max((a, b) -> Double.compare(a.ratio().median(), b.ratio().median()));
    if (worst.isEmpty()) {
      return new Target(text, null, false, "not measured");
    }
    List<Found> missed = found.stream().filter(f -> !good.test(f.ratio())).toList();
    String remark =
        "missed in %d of %d cases, at worst in %s"
            .formatted(missed.size(), found.size(), worst.get().where());
    return new Target(text, worst.get().ratio(), missed.isEmpty(), remark);
  }
}
