package io.spd4j.nativelib;

import java.util.Locale;

/** The platform that a native library is built for, named as in the Makefile. */
public final class Platform {
  /** The architecture: x86_64, aarch64 or the JVM's name of another one. */
  public static final String ARCH = arch(System.getProperty("os.arch"));

  /** {@code <os>-<arch>}, for example linux-x86_64. */
  public static final String NAME = os(System.getProperty("os.name")) + "-" + ARCH;

  private Platform() {}

  static String os(String name) {
    String os = name.toLowerCase(Locale.ROOT);
    if (os.startsWith("mac")) {
      return "macos";
    }
    return os.startsWith("windows") ? "windows" : os.replace(" ", "");
  }

  static String arch(String name) {
    String arch = name.toLowerCase(Locale.ROOT);
    return switch (arch) {
      case "amd64", "x86_64" -> "x86_64";
      case "arm64", "aarch64" -> "aarch64";
      default -> arch;
    };
  }
}
