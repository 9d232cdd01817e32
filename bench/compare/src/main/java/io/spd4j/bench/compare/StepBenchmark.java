package io.spd4j.bench.compare;

import io.spd4j.Backend;
import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.contest.Spd4jContestant;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** A whole step of small optimizers, and what it allocates. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class StepBenchmark {
  /** Number of elements of the tensor. */
  @Param({"1", "1000", "100000"})
  public long numel;

  /** The backend. */
  @Param({"NATIVE", "VECTOR"})
  public Backend backend;

  /** The decay rule. */
  @Param({"ADAMW", "SPD"})
  public Rule rule;

  /** Threads of the optimizer. */
  @Param("2")
  public int threads;

  private Spd4jContestant contestant;

  /** Creates the optimizer. */
  @Setup
  public void setUp() throws Failure {
    StepCase step = new StepCase(Shape.parse("one:" + numel), rule, Select.ALL, threads);
    contestant = Spd4jContestant.of(backend, step);
  }

  /** Steps once. */
  @Benchmark
  public void step() {
    contestant.step();
  }

  /** Frees the arrays. */
  @TearDown
  public void close() {
    contestant.close();
  }
}
