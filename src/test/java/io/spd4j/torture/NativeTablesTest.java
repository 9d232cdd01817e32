package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Random tables for the kernels in C, with sanitizers and as they are shipped. In long runs only:
 * `make torture` builds what is needed, and `make test` runs some rounds without Java.
 */
class NativeTablesTest {
  private static final Path PROGRAMS = Path.of("target", "c-test");

  private record Fuzzer(String name, Path log, Process process) {
    static Fuzzer start(String name) throws IOException {
      List<String> command = new ArrayList<>();
      command.add(PROGRAMS.resolve(name).toString());
      command.addAll(Rounds.arguments());
      Path log = PROGRAMS.resolve(name + ".log");
      ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
      return new Fuzzer(name, log, builder.redirectOutput(log.toFile()).start());
    }
  }

  @Test
  void noTableBreaksTheKernels() throws Exception {
    assumeTrue(Rounds.isLong(), "make torture runs it");
    List<Fuzzer> fuzzers = new ArrayList<>();
    try {
      for (String name : List.of("test_fuzz", "test_fuzz-shipped")) {
        fuzzers.add(Fuzzer.start(name));
      }
      for (Fuzzer fuzzer : fuzzers) {
        fuzzer.process.waitFor();
      }
    } finally {
      fuzzers.forEach(fuzzer -> fuzzer.process.destroyForcibly());
    }
    for (Fuzzer fuzzer : fuzzers) {
      String log = Files.readString(fuzzer.log);
      assertThat(fuzzer.process.exitValue()).as(fuzzer.name + ": " + log).isZero();
      Rounds.report(fuzzer.name, log);
    }
  }
}
