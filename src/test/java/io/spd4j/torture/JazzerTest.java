package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Files that Jazzer found, each by a way through the code of its own. In a long run Jazzer looks
 * for more.
 */
class JazzerTest {
  /** To keep what a long run found: copy the small ones of {@link #FOUND} there. */
  private static final String KEPT = "/corpus";

  private static final Path FOUND = Path.of("target", "torture", "corpus");
  private static final Pattern RUNS = Pattern.compile("number_of_executed_units: (\\d+)");

  @Test
  void noFileThatWasFoundBreaksTheReaders() {
    Rounds.run(JazzerTest.class, 1, this::round);
  }

  private void round(SplittableRandom random, Rounds rounds) throws Exception {
    Path kept = kept();
    try (Stream<Path> files = Files.list(kept)) {
      for (Path file : files.sorted().toList()) {
        try {
          FuzzedFile.fuzzerTestOneInput(Files.readAllBytes(file));
        } catch (Exception | Error e) {
          throw new AssertionError("file " + file, e);
        }
        rounds.count("kept files", 1);
      }
    }
    if (Rounds.isLong()) {
      fuzz(kept, random.nextInt(1, Integer.MAX_VALUE), rounds);
    }
  }

  private static Path kept() throws URISyntaxException {
    return Path.of(JazzerTest.class.getResource(KEPT).toURI());
  }

  /** Runs Jazzer; a file that it finds to break something lies in the folder of its output then. */
  private static void fuzz(Path kept, int seed, Rounds rounds)
      throws IOException, InterruptedException {
    Files.createDirectories(FOUND);
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:+EnableDynamicAgentLoading", "-Dspd4j.backend=scalar"));
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx1g"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add("com.code_intelligence.jazzer.Jazzer");
    command.add("--target_class=" + FuzzedFile.class.getName());
    command.add("--instrumentation_includes=io.spd4j.**:com.fasterxml.jackson.core.**");
    command.add("--custom_hook_includes=io.spd4j.**:com.fasterxml.jackson.core.**");
    command.add("--reproducer_path=" + FOUND.getParent());
    command.add("-artifact_prefix=" + FOUND.getParent() + "/");
    command.add("-max_total_time=" + Math.round(60 * Rounds.minutes()));
    command.addAll(List.of("-seed=" + seed, "-print_final_stats=1", "-max_len=8192"));
    command.addAll(List.of(FOUND.toString(), kept.toString()));
    Path log = FOUND.resolveSibling("jazzer.log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    try {
      assertThat(process.waitFor()).as("what Jazzer found is in " + log).isZero();
    } finally {
      process.destroyForcibly();
    }
    // Some lines show the files' bytes.
    Matcher runs = RUNS.matcher(Files.readString(log, StandardCharsets.ISO_8859_1));
    assertThat(runs.find()).as("%s tells how many files there were", log).isTrue();
    rounds.count("hostile files", Long.parseLong(runs.group(1)));
  }
}
