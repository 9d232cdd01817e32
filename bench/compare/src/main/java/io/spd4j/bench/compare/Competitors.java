package io.spd4j.bench.compare;

import io.spd4j.Backend;
import io.spd4j.bench.Main;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.finetune.cli.State;
import io.spd4j.finetune.cli.VectorModule;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** All competitors, in the order of the tables. */
final class Competitors {
  static final String NATIVE = "spd4j-native";
  static final String VECTOR = "spd4j-vector";
  static final String SCALAR = "spd4j-scalar";
  static final String COPY = "c-copy";
  static final String RMW = "c-rmw";
  static final String PLAIN_ADAMW = "c-adamw";
  static final String FUSED = "pytorch-fused";
  static final String BF16 = "pytorch-bf16";
  static final String FOREACH = "pytorch-foreach";
  static final String EAGER = "pytorch-eager";
  static final String COMPILED = "pytorch-compiled";

  private static final List<String> PYTORCH = List.of(FUSED, BF16, FOREACH, EAGER, COMPILED);
  private static final List<String> JAVA = List.of("djl-adam", "libtorch-fused", "nd4j-adam");

  /** Left out of a quick run: no target needs them, or they compile for minutes. */
  static final List<String> NOT_QUICK =
      Stream.concat(Stream.of(SCALAR, BF16, FOREACH, COMPILED), JAVA.stream()).toList();

  /** A heap of our own, so that garbage does not count as memory that a job needs. */
  private static final String HEAP = "-Xmx128m";

  private Competitors() {}

  /**
   * Returns all competitors, installed or not.
   *
   * @param limits the program that `make limits` builds
   * @param python a Python with torch
   * @param peers the folder of the Python scripts
   * @param javaPeers the folder that the Maven profile `peers` fills
   */
  static List<Competitor> all(Path limits, String python, Path peers, Path javaPeers) {
    List<Competitor> all = new ArrayList<>();
    for (Backend backend : List.of(Backend.NATIVE, Backend.VECTOR, Backend.SCALAR)) {
      Competitor ours = ours(backend);
      ours.command().add(1, HEAP);
      all.add(ours);
    }
    String program = limits.toAbsolutePath().toString();
    all.add(new Competitor(RMW, Kind.LIMIT, false, List.of(program, "rmw")));
    all.add(new Competitor(COPY, Kind.LIMIT, false, List.of(program, "copy")));
    all.add(new Competitor(PLAIN_ADAMW, Kind.PLAIN, true, List.of(program, "adamw")));
    String script = peers.resolve("contestant.py").toString();
    for (String name : PYTORCH) {
      String variant = name.substring("pytorch-".length());
      all.add(
          new Competitor(
              name,
              Kind.PEER,
              name.equals(FUSED) || name.equals(BF16),
              name.equals(BF16) ? State.BF16 : State.FLOAT32,
              List.of(python, script, "--variant", variant)));
    }
    for (String name : JAVA) {
      all.add(new Competitor(name, Kind.PEER, false, javaPeer(javaPeers, name)));
    }
    return all;
  }

  /**
   * Returns one of our own backends.
   *
   * @param options options of the contestant command
   */
  static Competitor ours(Backend backend, String... options) {
    List<String> command =
        VectorModule.command(Main.class, "contestant", "--backend", backend.id());
    command.addAll(List.of(options));
    return new Competitor("spd4j-" + backend.id(), Kind.OURS, false, command);
  }

  /** If the class path was not built, the JVM reports what is missing. */
  private static List<String> javaPeer(Path folder, String name) {
    List<String> command = new ArrayList<>();
    command.add(VectorModule.java());
    command.addAll(VectorModule.options());
    String classPath =
        String.join(
            File.pathSeparator,
            folder.resolve("classes").toString(),
            System.getProperty("java.class.path"),
            libraries(folder));
    command.addAll(List.of("-cp", classPath, "io.spd4j.bench.peers.PeerMain", name));
    return command;
  }

  private static String libraries(Path folder) {
    try {
      return Files.readString(folder.resolve("classpath")).strip();
    } catch (IOException notBuilt) {
      return "";
    }
  }
}
