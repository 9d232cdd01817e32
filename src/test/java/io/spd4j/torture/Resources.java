package io.spd4j.torture;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * What this process holds, as Linux counts it.
 *
 * @param anonymous bytes of resident memory that belong to no file
 * @param files open file descriptors
 */
record Resources(long anonymous, long threads, long files) {
  private static final Path SELF = Path.of("/proc/self");

  static boolean areKnown() {
    return Files.exists(SELF.resolve("status"));
  }

  static Resources now() throws IOException {
    long anonymous = 0;
    long threads = 0;
    for (String line : Files.readAllLines(SELF.resolve("status"))) {
      String[] words = line.split("\\s+");
      switch (words[0]) {
        case "RssAnon:" -> anonymous = Long.parseLong(words[1]) << 10;
        case "Threads:" -> threads = Long.parseLong(words[1]);
        default -> {}
      }
    }
    return new Resources(anonymous, threads, count(SELF.resolve("fd")));
  }

  /** Returns the number of entries of a folder. */
  static long count(Path folder) throws IOException {
    try (Stream<Path> entries = Files.list(folder)) {
      return entries.count();
    } catch (NoSuchFileException e) {
      return 0;
    }
  }
}
