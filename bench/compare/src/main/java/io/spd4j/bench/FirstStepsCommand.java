package io.spd4j.bench;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.Backend;
import io.spd4j.bench.contest.Spd4jContestant;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.report.Json;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The first steps of a fresh JVM, as a child process of a comparison. */
@Command(
    name = "first-steps",
    hidden = true,
    description = "Takes steps and prints the nanoseconds of each, from the first one on, as JSON.")
final class FirstStepsCommand implements Callable<Integer> {
  private static final long CONFINED_BYTES = 1 << 24;

  @Spec private CommandSpec spec;

  @Option(names = "--shape", required = true, converter = Shape.Converter.class)
  private Shape shape;

  @Option(names = "--rule", required = true)
  private Rule rule;

  @Option(names = "--select", required = true)
  private Select select;

  @Option(names = "--threads", required = true, converter = Count.class)
  private int threads;

  @Option(names = "--backend", required = true)
  private Backend backend;

  @Option(names = "--steps", required = true, converter = Count.class)
  private int steps;

  @Override
  public Integer call() throws Failure, IOException {
    useConfinedMemory();
    StepCase step = new StepCase(shape, rule, select, threads);
    try (Spd4jContestant contestant = Spd4jContestant.of(backend, step)) {
      long[] nanos = new long[steps];
      for (int i = 0; i < steps; i++) {
        nanos[i] = (long) Timing.nanos(contestant::step);
      }
      spec.commandLine().getOut().println(Json.line(nanos));
      return ExitCode.OK;
    }
  }

  /** As many programs do: what the JIT compiler has seen of memory is then not all of one kind. */
  private static void useConfinedMemory() {
    try (Arena confined = Arena.ofConfined();
        Arena shared = Arena.ofShared()) {
      MemorySegment from = confined.allocate(CONFINED_BYTES);
      MemorySegment to = shared.allocate(CONFINED_BYTES);
      for (long i = 0; i < CONFINED_BYTES / Float.BYTES; i++) {
        from.setAtIndex(JAVA_FLOAT, i, i);
      }
      to.copyFrom(from);
    }
  }
}
