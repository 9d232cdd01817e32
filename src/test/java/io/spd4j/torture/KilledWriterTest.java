package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
import io.spd4j.Adam;
import io.spd4j.Checkpoint;
import io.spd4j.safetensors.AtomicFile;
import io.spd4j.safetensors.Tensor;
import java.io.File;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.jar.JarOutputStream;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Whenever a process is killed that saves checkpoints, there is a whole one: the old or the new.
 */
class KilledWriterTest {
  /** Kills in a folder. */
  private static final int KILLS = 3;

  /** A checkpoint has more KiB than this. */
  private static final int LEAST_KIB = (int) (SavingLoop.BYTES / 1024);

  @TempDir private static Path shared;
  private static final List<String> JAVA = new ArrayList<>();

  @TempDir private Path temporary;
  private final List<Process> processes = new ArrayList<>();

  @BeforeAll
  static void chooseFlags() throws Exception {
    JAVA.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    JAVA.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"));
    JAVA.addAll(List.of("-Xshare:auto", "-Xmx32m", "-Dspd4j.backend=scalar"));
    if (Rounds.isLong()) {
      archiveClasses();
    } else {
      List<Path> places =
          List.of(origin(Adam.class), origin(SavingLoop.class), origin(JsonFactory.class));
      JAVA.add("-cp");
      JAVA.add(places.stream().map(Path::toString).collect(Collectors.joining(File.pathSeparator)));
    }
  }

  /** Archives the classes of {@link SavingLoop}, because a JVM then starts in half the time. */
  private static void archiveClasses() throws Exception {
    Path jar = shared.resolve("classes.jar");
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
      addClasses(out, origin(Adam.class), "");
      addClasses(out, origin(SavingLoop.class), "SavingLoop");
    }
    Path archive = shared.resolve("classes.jsa");
    JAVA.addAll(List.of("-cp", jar + File.pathSeparator + origin(JsonFactory.class)));
    List<String> command = new ArrayList<>(JAVA);
    command.add(1, "-XX:ArchiveClassesAtExit=" + archive);
    command.addAll(List.of(SavingLoop.class.getName(), shared.resolve("state").toString(), "2"));
    for (int i = 0; i < 2; i++) { // the second one restores, too
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(process.waitFor()).as(out).isZero();
    }
    JAVA.add(1, "-XX:SharedArchiveFile=" + archive);
  }

  private static Path origin(Class<?> type) throws URISyntaxException {
    return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
  }

  private static void addClasses(JarOutputStream jar, Path folder, String prefix)
      throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : (Iterable<Path>) files::iterator) {
        String name = file.getFileName().toString();
        if (name.startsWith(prefix) && name.endsWith(".class")) {
          jar.putNextEntry(new ZipEntry(folder.relativize(file).toString()));
          Files.copy(file, jar);
        }
      }
    }
  }

  @AfterEach
  void noProcessIsLeft() {
    processes.forEach(Process::destroyForcibly);
  }

  @Test
  void everyKillLeavesAWholeCheckpoint() {
    Rounds.run(KilledWriterTest.class, 1, this::round);
  }

  private void round(SplittableRandom random, Rounds rounds) throws Exception {
    Path folder = Files.createTempDirectory(temporary, "folder");
    Path path = folder.resolve("state.safetensors");
    long last = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      if (random.nextInt(4) == 0) {
        last = killTwo(path, random);
        rounds.count("kills", 1);
      } else {
        boolean full = kill > 0 && random.nextInt(4) == 0;
        last = kill(path, last, full ? random.nextInt(1, LEAST_KIB) : 0, random, rounds);
      }
      rounds.count("kills", 1);
      rounds.count("kills during a write", temporaries(folder));
    }
    AtomicFile.write(folder.resolve("other"), out -> out.write(1));
    assertThat(temporaries(folder)).isZero();
    for (Path file : List.of(path, Checkpoint.previous(path), folder.resolve("other"), folder)) {
      Files.deleteIfExists(file);
    }
  }

  /**
   * Kills a process that continues from the last step.
   *
   * @param room the KiB that it can write of a file, less than a checkpoint has; 0 for all
   */
  private long kill(Path path, long last, int room, SplittableRandom random, Rounds rounds)
      throws Exception {
    Saver saver = start(path, room);
    saver.awaitLines(1);
    Thread.sleep(random.nextInt(8), random.nextInt(999_999));
    saver.kill();
    long told = last;
    for (String line : saver.lines()) {
      if (room > 0) {
        assertThat(line).contains("File too large");
        rounds.count("failed writes", 1);
      } else {
        told = Long.parseLong(line);
      }
    }
    long step = assertWhole(path);
    assertThat(step).isBetween(told, room > 0 ? told : told + 1);
    if (Files.exists(Checkpoint.previous(path))) {
      long before = assertWhole(Checkpoint.previous(path));
      if (room == 0) { // else two processes may have left that of the one, and this of the other
        assertThat(before).isBetween(step - 1, step);
      }
    }
    assertThat(temporaries(path.getParent())).isBetween(0L, 1L); // those before it are deleted
    return step;
  }

  /** Kills two processes that write the same file, one after the other. */
  private long killTwo(Path path, SplittableRandom random) throws Exception {
    Saver first = start(path, 0);
    Saver second = start(path, 0);
    first.awaitLines(1);
    second.awaitLines(1);
    for (int i = 0; i < 20; i++) {
      assertWhole(path);
    }
    Thread.sleep(random.nextInt(8));
    second.kill();
    first.awaitLines(first.lines().size() + 1); // it writes on
    first.kill();
    for (Saver saver : List.of(first, second)) {
      assertThat(saver.lines()).allMatch(line -> line.matches("\\d+"));
    }
    if (Files.exists(Checkpoint.previous(path))) {
      assertWhole(Checkpoint.previous(path));
    }
    return assertWhole(path);
  }

  /**
   * Starts a process that saves checkpoints.
   *
   * @param room the KiB that it can write of a file; 0 for all
   */
  private Saver start(Path path, int room) throws IOException {
    List<String> command = new ArrayList<>();
    if (room > 0) {
      command.addAll(List.of("bash", "-c", "ulimit -f " + room + "; exec \"$0\" \"$@\""));
    }
    command.addAll(JAVA);
    command.addAll(
        List.of(SavingLoop.class.getName(), path.toString(), Long.toString(Long.MAX_VALUE)));
    Path out = Files.createTempFile(temporary, "saver", ".out");
    ProcessBuilder builder = new ProcessBuilder(command).redirectOutput(out.toFile());
    Process process = builder.redirectError(ProcessBuilder.Redirect.INHERIT).start();
    processes.add(process);
    return new Saver(process, out);
  }

  /**
   * A process that saves checkpoints.
   *
   * @param out a file: when a process ends, the JDK may take what is left in a pipe from its reader
   */
  private record Saver(Process process, Path out) {
    /** Returns the lines that it has finished. */
    List<String> lines() throws IOException {
      String text = Files.readString(out);
      return text.substring(0, text.lastIndexOf('\n') + 1).lines().toList();
    }

    void awaitLines(int count) throws IOException, InterruptedException {
      while (lines().size() < count) {
        assertThat(process.isAlive()).isTrue();
        Thread.sleep(1);
      }
    }

    /** Sends SIGKILL. */
    void kill() throws InterruptedException {
      process.destroyForcibly().waitFor();
    }
  }

  /** Returns the number of steps of a checkpoint, after checking that all of it is of one time. */
  private static long assertWhole(Path path) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Checkpoint checkpoint = Checkpoint.read(path, arena);
      long step = checkpoint.step("p");
      Tensor large = checkpoint.tensor(SavingLoop.LARGE);
      MemorySegment expected = arena.allocate(SavingLoop.BYTES).fill((byte) step);
      assertThat(large.data().mismatch(expected)).isEqualTo(-1);
      return step;
    }
  }

  private static long temporaries(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.toString().endsWith(".tmp")).count();
    }
  }
}
