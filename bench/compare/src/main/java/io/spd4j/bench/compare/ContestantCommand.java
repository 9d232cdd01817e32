package io.spd4j.bench.compare;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.spd4j.Backend;
import io.spd4j.bench.contest.Server;
import io.spd4j.bench.contest.Spd4jContestant;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExitCode;
import picocli.CommandLine.Option;

/** One of our backends as a child process of {@link CompareCommand}. */
@Command(
    name = "contestant",
    hidden = true,
    description = "Takes the steps that another process asks for: a JSON object a line.")
public final class ContestantCommand implements Callable<Integer> {
  @Option(names = "--backend", required = true, description = "native, vector or scalar.")
  private Backend backend;

  @Override
  public Integer call() throws IOException {
    Server.serve(
        new Spd4jContestant(backend),
        new BufferedReader(new InputStreamReader(System.in, UTF_8)),
        System.out);
    return ExitCode.OK;
  }
}
