package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
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
import java.util.Locale;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.platform.console.ConsoleLauncher;

/**
 * The native library with sanitizers under random callers. In long runs only: `make torture` builds
 * what is needed.
 */
class SanitizersTest {
  /** The tests that run in one JVM, one after the other. */
  private static final List<Class<?>> TESTS =
      List.of(ApiSequencesTest.class, ClosingArenasTest.class);

  /** The JVM's own signals stay the JVM's, and memory that it cannot have is its to report. */
  private static final String OPTIONS =
      "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:allocator_may_return_null=1:exitcode=66";

  enum Sanitizer {
    /** AddressSanitizer and UndefinedBehaviorSanitizer. */
    MEMORY("ASAN_OPTIONS", "detect_leaks=0:allow_user_segv_handler=1", "heap-buffer-overflow"),

    /**
     * ThreadSanitizer. It does not see how Java's threads wait for each other, so only calls that
     * overlap are looked at (ordered_dispatch.c), and not what the JVM itself does.
     */
    THREADS("TSAN_OPTIONS", "halt_on_error=1:ignore_interceptors_accesses=1", "data race");

    private final Path folder;
    private final String variable;
    private final String options;
    private final String finding;

    Sanitizer(String variable, String options, String finding) {
      folder = Path.of("target", "sanitized", name().toLowerCase(Locale.ROOT)).toAbsolutePath();
      this.variable = variable;
      this.options = options + ":" + OPTIONS;
      this.finding = finding;
    }

    /** Starts a JVM with the sanitized library. */
    Process java(Path log, double minutes, Class<?> main, Stream<String> arguments)
        throws IOException {
      Path preload = folder.resolve("preload");
      assumeTrue(Files.exists(preload), "the compiler has no such sanitizer");
      List<String> command = new ArrayList<>();
      command.addAll(
          List.of(
              Path.of(System.getProperty("java.home"), "bin", "java").toString(),
              "-Xmx1g",
              "--add-modules",
              "jdk.incubator.vector",
              "--enable-native-access=ALL-UNNAMED",
              "-XX:-CreateCoredumpOnCrash",
              "-Dspd4j.library.path=" + folder.resolve("libspd4j.so")));
      command.addAll(Rounds.flags(minutes, SanitizersTest.class));
      command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
      command.addAll(arguments.toList());
      ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
      builder.environment().put("LD_PRELOAD", Files.readString(preload).strip());
      builder.environment().put(variable, options);
      return builder.redirectErrorStream(true).redirectOutput(log.toFile()).start();
    }
  }

  @BeforeAll
  static void isLong() {
    assumeTrue(Rounds.isLong(), "make torture runs it");
  }

  /** Misuses the library as no caller of the public API can: each sanitizer must notice it. */
  static final class Misuse {
    private static final int NUMEL = 1 << 20;

    public static void main(String[] args) throws Exception {
      System.load(System.getProperty("spd4j.library.path"));
      try (Arena arena = Arena.ofShared()) {
        MemorySegment array = arena.allocate(4L * NUMEL, 4);
        Thread other = Thread.ofPlatform().start(() -> interpolate(array, NUMEL));
        interpolate(array, NUMEL);
        other.join();
        interpolate(array, NUMEL + 1);
      }
    }

    private static void interpolate(MemorySegment array, long numel) {
      for (int i = 0; i < 20; i++) {
        spd4j_h.spd4j_interpolate(0, array, 0, array, 0, 0.5, array, 0, numel);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void aFaultIsReported(Sanitizer sanitizer) throws Exception {
    Path log = sanitizer.folder.resolve("misuse.log");
    Process process = sanitizer.java(log, 0, Misuse.class, Stream.of());
    assertThat(process.waitFor()).isEqualTo(66);
    assertThat(log).content().contains(sanitizer.finding);
  }

  /** Else the tests would leave the library out. */
  static final class Loaded {
    @Test
    void isAvailable() {
      assertThat(Subject.onCpu()).contains(Backend.NATIVE);
    }
  }

  @ParameterizedTest
  @EnumSource
  void nothingIsReportedUnderRandomCallers(Sanitizer sanitizer) throws Exception {
    Path log = sanitizer.folder.resolve("tests.log");
    Stream<String> options =
        Stream.of("execute", "--fail-if-no-tests", "--disable-banner", "--disable-ansi-colors");
    Stream<String> tests =
        Stream.concat(Stream.of(Loaded.class), TESTS.stream())
            .map(test -> "--select-class=" + test.getName());
    double minutes = Rounds.minutes() / TESTS.size() / Sanitizer.values().length;
    Process process =
        sanitizer.java(log, minutes, ConsoleLauncher.class, Stream.concat(options, tests));
    try {
      process.waitFor();
    } finally {
      process.destroyForcibly();
    }
    String text = Files.readString(log);
    // seen once in an hour, with 560 TB
    assumeFalse(text.contains("ThreadSanitizer failed to allocate"), "it lacks address space");
    assertThat(process.exitValue()).as(() -> text + Rounds.reports(sanitizer.folder)).isZero();
    assertThat(text).doesNotContain("Sanitizer: ", "runtime error: ");
    Rounds.report("Java with sanitizers of " + sanitizer, text);
  }
}
