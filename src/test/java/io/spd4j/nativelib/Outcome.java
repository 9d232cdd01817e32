package io.spd4j.nativelib;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;

/**
 * A Report that was read from another class loader or JVM.
 *
 * @param used what using the library gave: its ISA, or OneDnn's operation or message
 */
record Outcome(boolean loaded, String used, String reason) {

  // A library stays loaded as long as its class loader is reachable.
  private static final List<ClassLoader> LOADERS = new ArrayList<>();

  /** Returns why the library was not loaded. */
  String refusal() {
    assertThat(loaded).isFalse();
    return reason;
  }

  private static Outcome parse(String report) {
    String[] lines = report.split("\\R", 3);
    return new Outcome(Boolean.parseBoolean(lines[0]), lines[1], lines[2].strip());
  }

  /** Returns the report of a new class loader in this JVM, made while the properties are set. */
  static Outcome inNewLoader(Path classes, Map<String, String> properties)
      throws IOException, ReflectiveOperationException {
    return inNewLoader(List.of(classes), properties);
  }

  static Outcome inNewLoader(List<Path> classPath, Map<String, String> properties)
      throws IOException, ReflectiveOperationException {
    Properties before = (Properties) System.getProperties().clone();
    List<URL> path = new ArrayList<>(List.of(Places.TEST_CLASSES.toUri().toURL()));
    for (Path entry : classPath) {
      path.add(entry.toUri().toURL());
    }
    try (URLClassLoader loader =
        new URLClassLoader(path.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
      LOADERS.add(loader);
      properties.forEach(System::setProperty);
      Class<?> report = loader.loadClass(Report.class.getName());
      assertThat(report.getClassLoader()).isSameAs(loader);
      return parse((String) report.getMethod("report").invoke(null));
    } finally {
      System.setProperties(before);
    }
  }

  /** Asserts that a library made from this C source is refused for this reason. */
  static Outcome refused(
      Path folder, String name, Map<String, String> report, String source, String reason)
      throws Exception {
    Path wrong = Places.compile(folder, source);
    String property = name + ".library.path";
    Map<String, String> properties = new HashMap<>(report);
    properties.put(property, wrong.toString());
    Outcome outcome = inNewLoader(Places.CLASSES, properties);
    assertThat(outcome.refusal())
        .isEqualTo(
            "%s from %s (-D%s) cannot be used: %s"
                .formatted(System.mapLibraryName(name), wrong, property, reason));
    return outcome;
  }

  /** Returns the report of a new JVM. */
  static Outcome inNewJvm(List<String> java) throws IOException, InterruptedException {
    return of(start(List.of(), java));
  }

  /** Returns the report of a new JVM that has the classes on its class path. */
  static Outcome onClassPath(Path classes, String... flags)
      throws IOException, InterruptedException {
    return inNewJvm(classPath(classes, flags));
  }

  static List<String> classPath(Path classes, String... flags) {
    List<String> java = new ArrayList<>(List.of(flags));
    java.addAll(
        List.of("-cp", classes + System.getProperty("path.separator") + Places.TEST_CLASSES));
    java.add(Report.class.getName());
    return java;
  }

  static Process start(List<String> prefix, List<String> java) throws IOException {
    List<String> command = new ArrayList<>(prefix);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.add("-XX:TieredStopAtLevel=1");
    command.addAll(java);
    return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
  }

  static Outcome of(Process process) throws IOException, InterruptedException {
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(out).isZero();
    return parse(out);
  }
}
