package io.spd4j.bench.compare;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.compare.Bench.Participant;
import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.report.Machine;
import java.time.Instant;
import java.util.List;

/** Made-up runs. */
final class Benches {
  private Benches() {}

  static Bench of(List<CaseResult> cases, List<CaseResult> curve) {
    return of(
        cases,
        curve,
        List.of(
            first(Competitors.NATIVE, 60e6, 20e6, 20e6, 20e6),
            first(Competitors.VECTOR, 500e6, 28e6, 22e6, 21e6)));
  }

  static Bench of(List<CaseResult> cases, List<CaseResult> curve, List<FirstSteps> first) {
    return new Bench(
        Instant.parse("2026-01-02T03:04:05Z"),
        true,
        new Machine("a processor", 2, "25", "Linux"),
        List.of(
            new Participant(Competitors.NATIVE, "1.0, v4", null),
            new Participant(Competitors.FUSED, null, "no torch")),
        cases,
        curve,
        first,
        List.of(
            new Micro("downcall", 5.25, Double.NaN, 0.001),
            new Micro("step {numel=1}", 350, 12, 0)));
  }

  static FirstSteps first(String name, double first, double tenth, double hundredth, double rest) {
    return new FirstSteps(
        new StepCase(Shape.parse("minilm"), Rule.SPD, Select.ALL, 2),
        name,
        first,
        tenth,
        hundredth,
        rest);
  }

  static CaseResult result(String shape, Rule rule, int threads, Entry... entries) {
    Select select = rule == Rule.SPD ? Select.ALL : Select.NONE;
    return new CaseResult(
        new StepCase(Shape.parse(shape), rule, select, threads), List.of(entries));
  }

  /** A case of SPD on ViT-B/16 whose arrays are stored as a state says. */
  static CaseResult stored(State state, Select select, Entry... entries) {
    return new CaseResult(
        new StepCase(Shape.parse(Target.VIT), Rule.SPD, select, 2, state), List.of(entries));
  }

  static Entry entry(String name, Rule rule, double... rounds) {
    boolean ours = name.startsWith("spd4j");
    return new Entry(
        name,
        ours ? Kind.OURS : name.startsWith("c-") ? Kind.LIMIT : Kind.PEER,
        rule,
        State.FLOAT32,
        rounds,
        ours ? 0 : 1.5e-6,
        ours ? 0.0 : null,
        1_750_000_000L,
        null);
  }

  static Entry problem(String name, Rule rule, String problem) {
    return new Entry(
        name, Kind.PEER, rule, State.FLOAT32, new double[0], null, null, null, problem);
  }
}
