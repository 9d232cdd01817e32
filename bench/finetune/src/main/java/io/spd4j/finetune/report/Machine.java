package io.spd4j.finetune.report;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The machine that a job ran on.
 *
 * @param cpu the processor's model, or its architecture if the model is unknown
 * @param cores logical processors that the JVM may use
 * @param jdk the JDK's version and vendor
 * @param os the operating system's name, version and architecture
 */
public record Machine(String cpu, int cores, String jdk, String os) {
  private static final Path CPUINFO = Path.of("/proc/cpuinfo");

  /** Returns this machine. */
  public static Machine here() {
    String architecture = System.getProperty("os.arch");
    return new Machine(
        cpu(CPUINFO, architecture),
        Runtime.getRuntime().availableProcessors(),
        Runtime.version() + " (" + System.getProperty("java.vendor") + ")",
        System.getProperty("os.name")
            + " "
            + System.getProperty("os.version")
            + " ("
            + architecture
            + ")");
  }

  /** Returns the machine on one line. */
  String line() {
    return "%s, %d cores, JDK %s, %s".formatted(cpu, cores, jdk, os);
  }

  /**
   * Returns the first "model name" in a cpuinfo file. ARM has none, and only Linux has the file.
   */
  static String cpu(Path cpuinfo, String otherwise) {
    List<String> lines;
    try {
      lines = Files.readAllLines(cpuinfo);
    } catch (IOException notLinux) {
      return otherwise;
    }
    return lines.stream()
        .filter(line -> line.startsWith("model name"))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .filter(model -> !model.isEmpty())
        .findFirst()
        .orElse(otherwise);
  }
}
