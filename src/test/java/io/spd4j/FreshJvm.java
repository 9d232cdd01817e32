package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import javax.tools.ToolProvider;

/** Runs code in a new JVM: code that might crash it, or that must be the first to run in it. */
public final class FreshJvm {
  /** The flag that denies native access. Before JDK 24, allowing one module denies the others. */
  public static final String DENIED =
      Runtime.version().feature() < 24
          ? "--enable-native-access=java.base"
          : "--illegal-native-access=deny";

  private FreshJvm() {}

  /** Runs a main class on this class path; returns what it printed once it has exited with 0. */
  public static String run(Path folder, List<String> flags, Class<?> main)
      throws IOException, InterruptedException {
    return run(folder, flags, Map.of(), main);
  }

  /** Runs a main class like the other method, with variables added to the environment. */
  public static String run(
      Path folder, List<String> flags, Map<String, String> environment, Class<?> main)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(flags);
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-XX:-CreateCoredumpOnCrash"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    ProcessBuilder builder = new ProcessBuilder(command).directory(folder.toFile());
    builder.environment().putAll(environment);
    Process process = builder.redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
    assertThat(process.exitValue()).as(out).isZero();
    assertThat(folder.toFile().list((f, name) -> name.startsWith("hs_err"))).isEmpty();
    return out;
  }

  /** Runs javac in this JVM; asserts that it succeeds. */
  static void compile(String... arguments) {
    assertThat(ToolProvider.getSystemJavaCompiler().run(null, null, null, arguments)).isZero();
  }
}
