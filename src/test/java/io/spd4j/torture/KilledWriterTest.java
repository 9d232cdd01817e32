package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
import io.spd4j.Adam;
import io.spd4j.Checkpoint;
import io.spd4j.safetensors.AtomicFile;
import io.spd4j.safetensors.Tensor;
import java.io.BufferedReader;
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
        last = kill(path, last, kill > 0 && random.nextInt(8) == 0, random);
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
   * @param full whether it can write less than a checkpoint
   */
  private long kill(Path path, long last, boolean full, SplittableRandom random) throws Exception {
    Process process = start(path, full);
    long told = last;
    try (BufferedReader out = process.inputReader()) {
      String line = out.readLine();
      assertThat(line).as("it continues").isNotNull();
      Thread.sleep(0, random.nextInt(999_999));
      Thread.sleep(random.nextInt(8));
      kill(process);
      for (; line != null; line = out.readLine()) {
        if (full) {
          assertThat(line).contains("File too large");
        } else {
          told = Long.parseLong(line); // a broken line would be a shorter number
        }
      }
    }
    long step = assertWhole(path);
    assertThat(step).isBetween(told, full ? told : told + 1);
    if (Files.exists(Checkpoint.previous(path))) {
      assertThat(assertWhole(Checkpoint.previous(path))).isBetween(step - 1, step);
    }
    assertThat(temporaries(path.getParent())).isBetween(0L, 1L); // those before it are deleted
    return step;
  }

  /** Kills two processes that write the same file, one after the other. */
  private long killTwo(Path path, SplittableRandom random) throws Exception {
    Process first = start(path, false);
    Process second = start(path, false);
    assertThat(first.inputReader().readLine()).matches("\\d+");
    assertThat(second.inputReader().readLine()).matches("\\d+");
    for (int i = 0; i < 20; i++) {
      assertWhole(path);
    }
    Thread.sleep(random.nextInt(8));
    kill(second);
    do { // what was read before the kill, and at least one step after it
      assertThat(first.inputReader().readLine()).matches("\\d+");
    } while (first.inputReader().ready());
    kill(first);
    for (Process process : List.of(first, second)) {
      assertThat(process.inputReader().lines()).allMatch(line -> line.matches("\\d+"));
    }
    if (Files.exists(Checkpoint.previous(path))) {
      assertWhole(Checkpoint.previous(path));
    }
    return assertWhole(path);
  }

  /**
   * Starts a process that saves checkpoints.
   *
   * @param full whether it can write less than one
   */
  private Process start(Path path, boolean full) throws IOException {
    List<String> command = new ArrayList<>();
    if (full) {
      command.addAll(List.of("bash", "-c", "ulimit -f 1024; exec \"$0\" \"$@\""));
    }
    command.addAll(JAVA);
    command.addAll(
        List.of(SavingLoop.class.getName(), path.toString(), Long.toString(Long.MAX_VALUE)));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    processes.add(process);
    return process;
  }

  /** Sends SIGKILL. Unlike Process.destroyForcibly, it leaves the output to be read. */
  private static void kill(Process process) throws InterruptedException {
    process.toHandle().destroyForcibly();
    process.waitFor();
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
