package io.spd4j.finetune.cli;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.module.ModuleFinder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Starts a second JVM with the incubating Vector API, so that {@code java -jar} needs no options: a
 * jar's manifest cannot enable the API.
 */
public final class VectorModule {
  private static final String NAME = "jdk.incubator.vector";

  private VectorModule() {}

  /**
   * Returns whether this JDK has the API but this process has not resolved it. Under the mpirun of
   * MPICH it stays without: a second JVM would lack the socket to mpirun.
   */
  static boolean shouldRelaunch() {
    return System.getenv("PMI_FD") == null
        && ModuleLayer.boot().findModule(NAME).isEmpty()
        && ModuleFinder.ofSystem().find(NAME).isPresent();
  }

  /** Returns the options that this program's JVM needs. */
  public static List<String> options() {
    List<String> options = new ArrayList<>();
    options.addAll(List.of("--add-modules", NAME, "--enable-native-access=ALL-UNNAMED"));
    if (Runtime.version().feature() >= 24) {
      options.add("--sun-misc-unsafe-memory-access=allow"); // avoids a warning: protobuf uses it
    }
    return options;
  }

  /** Returns the command that runs a program of this class path in another JVM of this JDK. */
  public static List<String> command(Class<? extends Program> main, String... args) {
    List<String> command = new ArrayList<>();
    command.add(java());
    command.addAll(options());
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), main.getName()));
    command.addAll(List.of(args));
    return command;
  }

  /** Returns the path of this JDK's java program. */
  public static String java() {
    return Path.of(System.getProperty("java.home"), "bin", "java").toString();
  }

  /** Runs a program with the options of this JVM and returns its exit status. */
  static int relaunch(Class<? extends Program> main, String... args)
      throws IOException, InterruptedException {
    List<String> command = command(main, args);
    command.addAll(1, ManagementFactory.getRuntimeMXBean().getInputArguments());
    ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
    // oneDNN's threads spin until their next call; libgomp's default starves all other threads.
    builder.environment().putIfAbsent("GOMP_SPINCOUNT", "10000");
    Process child = builder.start();
    Runtime.getRuntime().addShutdownHook(new Thread(() -> end(child)));
    return child.waitFor();
  }

  /**
   * Lets the child end first: Ctrl-C reaches both processes, and the child may have results to
   * save.
   */
  private static void end(Process child) {
    child.destroy();
    try {
      child.waitFor();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
