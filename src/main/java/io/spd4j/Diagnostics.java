package io.spd4j;

import io.spd4j.kernel.KernelProvider;
import io.spd4j.mpi.Mpi;
import io.spd4j.onednn.OneDnn;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The report that {@code java -jar spd4j.jar} prints: the version, whether each backend, oneDNN and
 * MPI can be used and why, and the JDK flags that are missing.
 */
public final class Diagnostics {
  private Diagnostics() {}

  /** Prints the report; ignores its arguments. */
  public static void main(String[] args) {
    System.out.print(report());
  }

  /** Returns the report, a few lines of text. Thread-safe; throws nothing. */
  public static String report() {
    String flags = missingFlags(); // comes first: the first restricted call grants native access
    String forced = System.getProperty("spd4j.backend");
    String used = forced;
    StringBuilder report = new StringBuilder();
    report.append(
        "spd4j %s, Java %s, %s %s%n"
            .formatted(
                version(),
                Runtime.version(),
                System.getProperty("os.name"),
                System.getProperty("os.arch")));
    boolean found = false;
    for (Backend.Availability a : Backend.availability()) {
      boolean ofHostMemory = a.backend() != Backend.CUDA;
      if (used == null && a.available() && ofHostMemory) {
        used = a.backend().id();
      }
      boolean use = a.available() && a.backend().id().equals(used);
      found |= use;
      report.append(
          line(a.backend().id(), use ? "used" : a.available() ? "yes" : "no", a.reason()));
    }
    report.append(types());
    if (!found) {
      report.append(
          "  -Dspd4j.backend=%s: no such backend here, so no optimizer can be built%n"
              .formatted(forced));
    }
    OneDnn.Availability oneDnn = OneDnn.availability();
    report.append(line("onednn", oneDnn.available() ? "yes" : "no", oneDnn.reason()));
    if (oneDnn.available()) {
      OneDnn.MathChoice math = OneDnn.autoMath();
      report.append(
          "  its AUTO multiplies matrices in %s: %s%n".formatted(math.mode(), math.reason()));
    }
    Mpi.Availability mpi = Mpi.availability();
    report.append(line("mpi", mpi.available() ? "yes" : "no", mpi.reason()));
    if (!flags.isEmpty()) {
      report.append("missing JDK flags: %s%n".formatted(flags));
    }
    Module module = Diagnostics.class.getModule();
    report.append(
        "an application wants: java --enable-native-access=%s --add-modules jdk.incubator.vector …%n"
            .formatted(module.isNamed() ? module.getName() : "ALL-UNNAMED"));
    return report.toString();
  }

  /** Every backend steps the same types. */
  private static String types() {
    String elements =
        Stream.of(ElementType.values())
            .filter(ElementType::isStepped)
            .map(ElementType::toString)
            .collect(Collectors.joining(", "));
    String moments =
        Stream.of(MomentType.values()).map(MomentType::toString).collect(Collectors.joining(", "));
    return "  each of them steps parameters of %s, and BFLOAT16 with low halves;%n"
            .formatted(elements)
        + "  gradients and anchors of %s; moments of %s%n".formatted(elements, moments);
  }

  private static String line(String name, String state, String reason) {
    return "  %-7s %-4s %s%n".formatted(name, state, reason);
  }

  /** Returns the version of the library. */
  public static String version() {
    Properties properties = new Properties();
    try (InputStream in = Diagnostics.class.getResourceAsStream("version.properties")) {
      properties.load(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return properties.getProperty("version");
  }

  private static String missingFlags() {
    List<String> flags = new ArrayList<>();
    if (!KernelProvider.vectorModule()) {
      flags.add("--add-modules jdk.incubator.vector");
    }
    Module module = Diagnostics.class.getModule();
    if (!module.isNativeAccessEnabled()) {
      flags.add("--enable-native-access=" + (module.isNamed() ? module.getName() : "ALL-UNNAMED"));
    }
    return String.join(" ", flags);
  }
}
