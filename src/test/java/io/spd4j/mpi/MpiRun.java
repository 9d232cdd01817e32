package io.spd4j.mpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Runs {@link RankMain} under the mpirun of an MPI. */
record MpiRun(int exit, String out) {
  /** Far more than any of them takes: a job that hangs fails its test. */
  private static final int SECONDS = 180;

  /** Returns the launchers on the path, of each MPI one; skips the test if there is none. */
  static List<String> launchers() {
    List<String> found =
        Stream.of("mpirun.openmpi", "mpirun.mpich").filter(MpiRun::onPath).toList();
    if (found.isEmpty() && onPath("mpirun")) {
      found = List.of("mpirun");
    }
    assumeTrue(
        !found.isEmpty() && Mpi.availability().available(),
        "no MPI: apt-get install openmpi-bin libopenmpi3");
    return found;
  }

  private static boolean onPath(String program) {
    return Stream.of(System.getenv("PATH").split(File.pathSeparator))
        .anyMatch(folder -> Files.isExecutable(Path.of(folder, program)));
  }

  static MpiRun of(String launcher, int ranks, List<String> flags, String... arguments)
      throws IOException, InterruptedException {
    return of(launcher, ranks, flags, Map.of(), arguments);
  }

  static MpiRun of(
      String launcher,
      int ranks,
      List<String> flags,
      Map<String, String> environment,
      String... arguments)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(launcher));
    if (!launcher.endsWith("mpich")) {
      command.add("--oversubscribe");
    }
    command.addAll(List.of("-n", String.valueOf(ranks)));
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"));
    command.addAll(List.of("-XX:-CreateCoredumpOnCrash", "-XX:-UsePerfData"));
    command.addAll(flags);
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-cp"));
    command.addAll(List.of(System.getProperty("java.class.path"), RankMain.class.getName()));
    command.addAll(List.of(arguments));
    Path out = Files.createTempFile("mpi", ".out");
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(out.toFile());
    builder.environment().put("OMPI_ALLOW_RUN_AS_ROOT", "1");
    builder.environment().put("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    builder.environment().putAll(environment);
    Process process = builder.start();
    try {
      boolean ended = process.waitFor(SECONDS, TimeUnit.SECONDS);
      String text = Files.readString(out);
      assertThat(ended).as("%s hangs: %s", String.join(" ", arguments), text).isTrue();
      return new MpiRun(process.exitValue(), text);
    } finally {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
      Files.delete(out);
    }
  }

  /** Asserts that every rank came to its end. */
  void succeeded(int ranks) {
    assertThat(exit).as(out).isZero();
    for (int rank = 0; rank < ranks; rank++) {
      assertThat(out).contains("<" + rank + ": ended>");
    }
  }

  /** Asserts that the job failed, and returns what a rank said. */
  String failed(int rank) {
    assertThat(exit).as(out).isNotZero();
    assertThat(out).doesNotContain(": ended>");
    return said(rank);
  }

  String said(int rank) {
    Matcher line = Pattern.compile("<" + rank + ": ([^>]*)>").matcher(out);
    assertThat(line.find()).as("rank %d said nothing: %s", rank, out).isTrue();
    return line.group(1);
  }
}
