package io.spd4j.bench.compare;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.Backend;
import io.spd4j.bench.contest.Server;
import io.spd4j.bench.contest.Spd4jContestant;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Option;

/** One of our backends as a child process of {@link CompareCommand}. */
@Command(
    name = "contestant",
    hidden = true,
    description = "Takes the steps that another process requests, one JSON object per line.")
public final class ContestantCommand implements Callable<Integer> {
  private static final long CONFINED_BYTES = 1 << 24;

  @Option(names = "--backend", required = true, description = "native, vector or scalar.")
  private Backend backend;

  @Option(
      names = "--confined",
      description = "First use memory of a confined arena, as many programs do.")
  private boolean confined;

  @Override
  public Integer call() throws IOException {
    if (confined) {
      useConfinedMemory();
    }
    Server.serve(
        new Spd4jContestant(backend),
        new BufferedReader(new InputStreamReader(System.in, UTF_8)),
        System.out);
    return ExitCode.OK;
  }

  /** Lets the JIT compiler see memory accesses of more than one kind. */
  private static void useConfinedMemory() {
    try (Arena confined = Arena.ofConfined();
        Arena shared = Arena.ofShared()) {
      MemorySegment from = confined.allocate(CONFINED_BYTES);
      MemorySegment to = shared.allocate(CONFINED_BYTES);
      for (long i = 0; i < CONFINED_BYTES / Float.BYTES; i++) {
        from.setAtIndex(ValueLayout.JAVA_FLOAT, i, i);
      }
      to.copyFrom(from);
    }
  }
}
