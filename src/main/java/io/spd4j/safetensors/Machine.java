package io.spd4j.safetensors;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** The running machine. Its processes, in containers too, see each other's locks of files. */
final class Machine {
  /** Another one after each start of the machine; the same text everywhere but on Linux. */
  static final String ID = id();

  private Machine() {}

  private static String id() {
    try {
      String id = Files.readString(Path.of("/proc/sys/kernel/random/boot_id")).strip();
      return id.replaceAll("[^0-9a-zA-Z]", "");
    } catch (IOException e) {
      return "local";
    }
  }
}
