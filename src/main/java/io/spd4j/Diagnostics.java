package io.spd4j;

import io.spd4j.kernel.KernelProvider;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;

/**
 * What {@code java -jar spd4j.jar} prints: the version, every backend with the reason why it can or
 * cannot be used, and the JDK flags that are missing.
 */
public final class Diagnostics {
  private Diagnostics() {}

  /** Prints the report. Arguments are not read. */
  public static void main(String[] args) {
    System.out.print(report());
  }

  /** The report, a few lines of text. Thread-safe; throws nothing. */
  public static String report() {
    StringBuilder report = new StringBuilder();
    report.append(
        "spd4j %s, Java %s, %s %s%n"
            .formatted(
                version(),
                Runtime.version(),
                System.getProperty("os.name"),
                System.getProperty("os.arch")));
    String forced = System.getProperty("spd4j.backend");
    String used = forced;
    for (Backend.Availability a : Backend.availability()) {
      if (used == null && a.available()) {
        used = a.backend().id();
      }
      String use = !a.available() ? "no" : a.backend().id().equals(used) ? "used" : "yes";
      report.append("  %-7s %-4s %s%n".formatted(a.backend().id(), use, a.reason()));
    }
    if (forced != null) {
      report.append("  -Dspd4j.backend=%s: no other backend is used%n".formatted(forced));
    }
    List<String> flags = missingFlags();
    if (!flags.isEmpty()) {
      report.append("missing JDK flags: %s%n".formatted(String.join(" ", flags)));
    }
    return report.toString();
  }

  /** The version of the library. */
  public static String version() {
    Properties properties = new Properties();
    try (InputStream in = Diagnostics.class.getResourceAsStream("version.properties")) {
      properties.load(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return properties.getProperty("version");
  }

  private static List<String> missingFlags() {
    List<String> flags = new ArrayList<>();
    if (!KernelProvider.vectorModule()) {
      flags.add("--add-modules jdk.incubator.vector");
    }
    Module module = Diagnostics.class.getModule();
    if (!module.isNativeAccessEnabled()) {
      flags.add("--enable-native-access=" + (module.isNamed() ? module.getName() : "ALL-UNNAMED"));
    }
    return flags;
  }
}
