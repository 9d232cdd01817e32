package io.spd4j.nativelib;

import static org.junit.jupiter.api.Assumptions.abort;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** Where the classes and the built library are. Also builds wrong libraries. */
final class Places {
  static final Path CLASSES = of(NativeLibrary.class);
  static final Path TEST_CLASSES = of(Places.class);
  static final String FILE = System.mapLibraryName("spd4j");

  private Places() {}

  static Path of(Class<?> type) {
    try {
      return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }

  /** Skips a test only if nothing was built: a wrong name must fail it, not skip it. */
  static void assumeBuilt() {
    assumeTrue(
        Files.isDirectory(CLASSES.resolve("META-INF/native")),
        "no native library was built: no C compiler was found");
  }

  static Path library() throws IOException {
    try (Stream<Path> files = Files.walk(CLASSES.resolve("META-INF/native"))) {
      return files.filter(f -> f.endsWith(FILE)).findFirst().orElseThrow();
    }
  }

  /** Returns a folder of this system in which nothing can be executed. */
  static Optional<Path> noexec() throws IOException {
    Path table = Path.of("/proc/mounts");
    if (!Files.exists(table)) {
      return Optional.empty();
    }
    try (Stream<String> mounts = Files.lines(table)) {
      return mounts
          .map(line -> line.split(" "))
          .filter(mount -> mount[2].equals("tmpfs") && mount[3].matches("(.*,)?noexec(,.*)?"))
          .map(mount -> Path.of(mount[1]))
          .filter(folder -> !folder.startsWith("/sys") && Files.isWritable(folder))
          .findFirst();
    }
  }

  /** Copies the classes without any bundled library. */
  static Path classesAlone(Path folder) throws IOException {
    Path copy = folder.resolve("classes");
    try (Stream<Path> files = Files.walk(CLASSES)) {
      for (Path file : files.toList()) {
        Path to = copy.resolve(CLASSES.relativize(file).toString());
        if (!file.startsWith(CLASSES.resolve("META-INF"))) {
          Files.copy(file, to);
        }
      }
    }
    return copy;
  }

  /** Compiles the given C to a library. */
  static Path compile(Path folder, String source) throws IOException, InterruptedException {
    Path c = Files.writeString(folder.resolve("source.c"), source);
    Path library = folder.resolve(FILE);
    for (String compiler : List.of("gcc", "clang", "cc")) {
      Process process;
      try {
        process =
            new ProcessBuilder(compiler, "-shared", "-fPIC", "-o", library.toString(), c.toString())
                .inheritIO()
                .start();
      } catch (IOException absent) {
        continue;
      }
      if (!process.waitFor(60, TimeUnit.SECONDS) || process.exitValue() != 0) {
        throw new AssertionError(compiler + " failed");
      }
      return library;
    }
    return abort("no C compiler was found");
  }
}
