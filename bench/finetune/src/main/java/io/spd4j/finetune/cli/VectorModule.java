package io.spd4j.finetune.cli;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.module.ModuleFinder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Starts a second JVM with the incubating Vector API, which no entry of a manifest can ask for, so
 * that {@code java -jar} needs no options.
 */
public final class VectorModule {
  private static final String NAME = "jdk.incubator.vector";

  private VectorModule() {}

  /** Whether the API is in this JDK but not in this process. */
  static boolean shouldRelaunch() {
    return ModuleLayer.boot().findModule(NAME).isEmpty()
        && ModuleFinder.ofSystem().find(NAME).isPresent();
  }

  /** The options that a JVM of this program wants. */
  public static List<String> options() {
    List<String> options = new ArrayList<>();
    options.addAll(List.of("--add-modules", NAME, "--enable-native-access=ALL-UNNAMED"));
    if (Runtime.version().feature() >= 24) {
      options.add("--sun-misc-unsafe-memory-access=allow"); // else a warning: protobuf uses it
    }
    return options;
  }

  /** The command that runs a program of this class path in another JVM of the same kind. */
  public static List<String> command(Class<? extends Program> main, String... args) {
    List<String> command = new ArrayList<>();
    command.add(java());
    command.addAll(options());
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    command.addAll(List.of(args));
    return command;
  }

  /** The program that started this JVM. */
  public static String java() {
    return Path.of(System.getProperty("java.home"), "bin", "java").toString();
  }

  /** Runs a program with the options of this JVM; its exit status. */
  static int relaunch(Class<? extends Program> main, String... args)
      throws IOException, InterruptedException {
    List<String> command = command(main, args);
    command.addAll(1, ManagementFactory.getRuntimeMXBean().getInputArguments());
    ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
    // oneDNN's threads wait in a loop for their next call; libgomp's default starves all others.
    builder.environment().putIfAbsent("GOMP_SPINCOUNT", "10000");
    Process child = builder.start();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> end(child)));
    return child.waitFor();
  }

  /** Ctrl-C reaches both processes, and the child may have results to save. */
  private static void end(Process child) {
    child.destroy();
    try {
      child.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
