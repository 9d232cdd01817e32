package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.Backend;
import io.spd4j.generated.spd4j.spd4j_h;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.platform.console.ConsoleLauncher;

/**
 * The native library with AddressSanitizer and UndefinedBehaviorSanitizer under random callers. Not
 * with ThreadSanitizer: it does not see how threads wait for each other in compiled Java, and takes
 * every step after another for a race; `make races` looks for races with threads in C. In long runs
 * only: `make torture` builds what is needed.
 */
class SanitizersTest {
  private static final Path TARGET = Path.of("target").toAbsolutePath();
  private static final Path SANITIZED = TARGET.resolve("sanitized");

  /** Says what to load into a JVM before the library; absent if the compiler has no sanitizers. */
  private static final Path PRELOAD = SANITIZED.resolve("preload");

  /** The tests that run in one JVM, one after the other. */
  private static final List<Class<?>> TESTS =
      List.of(ApiSequencesTest.class, ClosingArenasTest.class);

  /** The JVM's own signals stay the JVM's. */
  private static final String OPTIONS =
      "detect_leaks=0:allow_user_segv_handler=1:allocator_may_return_null=1:handle_segv=0"
          + ":handle_sigbus=0:handle_sigfpe=0:exitcode=66";

  @BeforeAll
  static void isLong() {
    assumeTrue(Rounds.isLong(), "make torture runs it");
  }

  /** Starts a JVM with the sanitized library. */
  private static Process java(Path log, double minutes, Class<?> main, Stream<String> arguments)
      throws IOException {
    assumeTrue(Files.exists(PRELOAD), "the compiler has no sanitizers");
    List<String> command = new ArrayList<>();
    command.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-Xmx1g",
            "--add-modules",
            "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-XX:-CreateCoredumpOnCrash",
            "-Dspd4j.library.path=" + SANITIZED.resolve("libspd4j.so")));
    command.addAll(Rounds.flags(minutes, SanitizersTest.class));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    command.addAll(arguments.toList());
    ProcessBuilder builder = new ProcessBuilder(command).directory(SANITIZED.toFile());
    builder.environment().put("LD_PRELOAD", Files.readString(PRELOAD).strip());
    builder.environment().put("ASAN_OPTIONS", OPTIONS);
    return builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
  }

  /** Misuses the library as no caller of the public API can: the sanitizer must notice it. */
  static final class Misuse {
    private static final int NUMEL = 1 << 12;

    public static void main(String[] args) throws Exception {
      System.load(System.getProperty("spd4j.library.path"));
      try (Arena arena = Arena.ofShared()) {
        MemorySegment array = arena.allocate(4L * NUMEL, 4);
        spd4j_h.spd4j_interpolate(0, array, 0, array, 0, 0.5, array, 0, NUMEL + 1);
      }
    }
  }

  @Test
  void aFaultIsReported() throws Exception {
    Path log = SANITIZED.resolve("misuse.log");
    assertThat(java(log, 0, Misuse.class, Stream.of()).waitFor()).isEqualTo(66);
    assertThat(log).content().contains("heap-buffer-overflow");
  }

  /** Else the tests would leave the library out. */
  static final class Loaded {
    @Test
    void isAvailable() {
      assertThat(Subject.onCpu()).contains(Backend.NATIVE);
    }
  }

  @Test
  void nothingIsReportedUnderRandomCallers() throws Exception {
    Path log = SANITIZED.resolve("tests.log");
    Stream<String> options =
        Stream.of("execute", "--fail-if-no-tests", "--disable-banner", "--disable-ansi-colors");
    Stream<String> tests =
        Stream.concat(Stream.of(Loaded.class), TESTS.stream())
            .map(test -> "--select-class=" + test.getName());
    double minutes = Rounds.minutes() / TESTS.size();
    Process process = java(log, minutes, ConsoleLauncher.class, Stream.concat(options, tests));
    try {
      process.waitFor();
    } finally {
      process.destroyForcibly();
    }
    String text = Files.readString(log);
    assertThat(process.exitValue()).as(() -> text + Rounds.reports(SANITIZED)).isZero();
    assertThat(text).doesNotContain("Sanitizer: ", "runtime error: ");
    Rounds.report("Java with sanitizers", text);
  }
}
