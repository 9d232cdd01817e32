package io.spd4j.bench.compare;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.Backend;
import io.spd4j.bench.contest.ArrayKind;
import io.spd4j.bench.contest.Contestant;
import io.spd4j.bench.contest.Server;
import io.spd4j.bench.contest.Setup;
import io.spd4j.bench.contest.Spd4jContestant;
import io.spd4j.bench.contest.Values;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.cli.State;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;

/** A process that steps as we do, except for one flaw. */
final class FlawedContestant implements Contestant {
  private final Spd4jContestant sound = new Spd4jContestant(Backend.SCALAR);
  private final String flaw;

  private FlawedContestant(String flaw) {
    this.flaw = flaw;
  }

  /** Runs the contestant with the flaw that the argument names. */
  public static void main(String[] args) throws IOException {
    Server.serve(
        new FlawedContestant(args[0]),
        new BufferedReader(new InputStreamReader(System.in, UTF_8)),
        System.out);
  }

  @Override
  public Identity identity() {
    return new Identity(
        flaw,
        "1",
        List.of(Rule.ADAMW),
        flaw.equals("only-without-decay") ? Map.of("lambda", 0) : Map.of());
  }

  @Override
  public void setup(Setup setup) throws Failure {
    boolean other =
        flaw.equals("forgets-decay")
            || flaw.equals("forgets-decay-if-split") && setup.state().equals(State.SPLIT);
    sound.setup(other ? setup.with(Map.of("lambda", 0)) : setup);
  }

  @Override
  public MemorySegment array(ArrayKind kind, int tensor) {
    return sound.array(kind, tensor);
  }

  @Override
  public void fill(ArrayKind kind, int tensor, Values values) {
    sound.fill(kind, tensor, values);
  }

  @Override
  public float[] values(ArrayKind kind, int tensor, long from, int count) {
    return flaw.equals("starts-elsewhere") && kind == ArrayKind.EXP_AVG
        ? sound.values(ArrayKind.EXP_AVG_SQ, tensor, from, count)
        : sound.values(kind, tensor, from, count);
  }

  @Override
  public void step() {
    sound.step();
    if (flaw.equals("rounds-differently")) {
      MemorySegment data = sound.array(ArrayKind.DATA, 0);
      float first = data.getAtIndex(ValueLayout.JAVA_FLOAT, 0);
      data.setAtIndex(ValueLayout.JAVA_FLOAT, 0, Math.nextUp(first));
    }
    if (flaw.equals("cannot-step")) {
      throw new IllegalStateException("out of luck");
    }
  }

  @Override
  public void close() {
    sound.close();
  }
}
