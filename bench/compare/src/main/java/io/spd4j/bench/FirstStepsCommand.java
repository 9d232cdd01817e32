package io.spd4j.bench;

import io.spd4j.Backend;
import io.spd4j.finetune.cli.Count;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.report.Json;
import java.io.IOException;
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

  /** The workload is filled by way of confined arenas, as many programs have some. */
  @Override
  public Integer call() throws Failure, IOException {
    try (Workload workload = workload()) {
      long[] nanos = new long[steps];
      for (int i = 0; i < steps; i++) {
        nanos[i] = (long) Timing.nanos(workload.adam()::step);
      }
      spec.commandLine().getOut().println(Json.line(nanos));
      return ExitCode.OK;
    }
  }

  private Workload workload() throws Failure {
    try {
      return new Workload(shape, rule, select, backend, threads);
    } catch (IllegalStateException unavailable) {
      throw Failure.ofInput(unavailable.getMessage());
    }
  }
}
