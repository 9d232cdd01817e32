package io.spd4j.bench.compare;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reads amounts of memory from Linux's files of processes. */
final class ProcFile {
  private ProcFile() {}

  /** Returns the bytes in the line with a label; null if there is none, as on other systems. */
  static Long bytes(Path file, String label) {
    try {
      return Files.readAllLines(file).stream()
          .filter(line -> line.startsWith(label))
          .map(line -> 1024 * Long.parseLong(line.replaceAll("\\D", "")))
          .findFirst()
          .orElse(null);
    } catch (IOException notLinux) {
      return null;
    }
  }
}
