package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Files that Jazzer found, each of which takes a way of its own through a reader's code. For {@code
 * -Dspd4j.torture.minutes=M} Jazzer looks for more, from new seeds.
 */
public final class HostileFiles {
  private static final double MINUTES =
      Double.parseDouble(System.getProperty("spd4j.torture.minutes", "0"));
  private static final Path FOLDER = Path.of("target", "torture");
  private static final String INSTRUMENTED =
      String.join(
          ":",
          "io.spd4j.**",
          "ai.onnx.proto.**",
          "com.fasterxml.jackson.core.**",
          "com.google.protobuf.**",
          "org.apache.commons.compress.archivers.tar.**",
          "org.apache.james.mime4j.**",
          "org.jsoup.**");
  private static final Pattern RUNS = Pattern.compile("number_of_executed_units: (\\d+)");

  private HostileFiles() {}

  /** What reads a file, and throws anything that is not documented. */
  public interface Reader {
    void read(byte[] file) throws Exception;
  }

  /**
   * Gives a reader a valid file and hostile ones. The one that breaks it is kept in target/torture.
   *
   * @param test a public class, whose {@code public static void fuzzerTestOneInput(byte[])} is the
   *     reader, with the files in {@code /corpus/}, in a folder of its name. To keep what a long
   *     run found, copy the small ones of {@code target/torture/corpus} there
   */
  public static void feed(Class<?> test, byte[] valid, Reader reader) throws Exception {
    reader.read(valid);
    Path kept = kept(test);
    int files = 0;
    try (Stream<Path> paths = Files.list(kept)) {
      for (Path file : paths.sorted().toList()) {
        try {
          reader.read(Files.readAllBytes(file));
        } catch (Exception | Error e) {
          throw new AssertionError("file " + file, e);
        }
        files++;
      }
    }
    assertThat(files).isPositive();
    if (MINUTES > 0) {
      fuzz(test, valid, kept);
    }
  }

  private static Path kept(Class<?> test) throws URISyntaxException {
    URL folder = test.getResource("/corpus/" + test.getSimpleName());
    assertThat(folder).isNotNull();
    return Path.of(folder.toURI());
  }

  private static void fuzz(Class<?> test, byte[] valid, Path kept)
      throws IOException, InterruptedException {
    Path found = Files.createDirectories(FOLDER.resolve("corpus").resolve(test.getSimpleName()));
    Files.write(found.resolve("valid"), valid);
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:+EnableDynamicAgentLoading", "-Xmx512m"));
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add("com.code_intelligence.jazzer.Jazzer");
    command.add("--target_class=" + test.getName());
    command.add("--instrumentation_includes=" + INSTRUMENTED);
    command.add("--custom_hook_includes=" + INSTRUMENTED);
    command.add("--reproducer_path=" + FOLDER);
    command.add("-artifact_prefix=" + FOLDER + "/" + test.getSimpleName() + "-");
    command.add("-max_total_time=" + Math.round(60 * MINUTES));
    command.addAll(List.of("-print_final_stats=1", "-max_len=" + Math.max(8192, 2 * valid.length)));
    command.addAll(List.of(found.toString(), kept.toString()));
    Path log = FOLDER.resolve(test.getSimpleName() + ".log");
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
    try {
      assertThat(process.waitFor()).as("what Jazzer found is in " + log.toAbsolutePath()).isZero();
    } finally {
      process.destroyForcibly();
    }
    // Some lines show the files' bytes.
    Matcher runs = RUNS.matcher(Files.readString(log, StandardCharsets.ISO_8859_1));
    assertThat(runs.find()).as("%s tells how many files there were", log).isTrue();
    long files = Long.parseLong(runs.group(1));
    String line =
        String.format(Locale.ROOT, "%s: %,d hostile files%n", test.getSimpleName(), files);
    Files.writeString(FOLDER.resolve(test.getSimpleName() + ".txt"), line);
  }
}
