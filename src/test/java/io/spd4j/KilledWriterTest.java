package io.spd4j;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
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
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.jar.JarOutputStream;
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
  /** Folders in which processes are killed, side by side, and how often in each. */
  private static final int FOLDERS = 2;

  private static final int KILLS = 40;

  /** The kill of a process that cannot write a whole checkpoint. */
  private static final int DISK_FULL = 15;

  @TempDir private static Path shared;
  private static final List<String> JAVA = new ArrayList<>();

  @TempDir private Path temporary;
  private final List<Process> processes = new ArrayList<>();

  /** Archives the classes of {@link SavingLoop}, because a JVM then starts in half the time. */
  @BeforeAll
  static void archiveClasses() throws Exception {
    Path jar = shared.resolve("classes.jar");
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar))) {
      addClasses(out, origin(Adam.class), "");
      addClasses(out, origin(SavingLoop.class), "SavingLoop");
    }
    Path archive = shared.resolve("classes.jsa");
    JAVA.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    JAVA.addAll(List.of("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData"));
    JAVA.addAll(List.of("-Xshare:auto", "-Xmx32m", "-Dspd4j.backend=scalar"));
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
  void everyKillLeavesAWholeCheckpoint() throws Exception {
    List<Callable<Integer>> work = new ArrayList<>();
    for (int i = 0; i < FOLDERS; i++) {
      Path folder = Files.createDirectory(temporary.resolve("folder" + i));
      int seed = i;
      work.add(() -> kill(folder, new Random(seed)));
    }
    int duringWrites = 0;
    try (ExecutorService threads = Executors.newFixedThreadPool(FOLDERS)) {
      for (Future<Integer> kills : threads.invokeAll(work)) {
        duringWrites += kills.get();
      }
    }
    assertThat(duringWrites).isGreaterThan(FOLDERS * KILLS / 10);
  }

  /** Returns how many of the kills left a temporary file. */
  private int kill(Path folder, Random random) throws Exception {
    Path path = folder.resolve("state.safetensors");
    int duringWrites = 0;
    long last = 0;
    for (int kill = 0; kill < KILLS; kill++) {
      boolean full = kill == DISK_FULL;
      Process process = start(path, full);
      try (BufferedReader out = process.inputReader()) {
        String line = out.readLine();
        Thread.sleep(0, random.nextInt(999_999));
        Thread.sleep(random.nextInt(8));
        kill(process);
        for (; line != null; line = out.readLine()) {
          if (full) {
            assertThat(line).contains("File too large");
          } else {
            last = Long.parseLong(line); // a broken line would be a shorter number
          }
        }
      }
      long step = assertWhole(path);
      assertThat(step).isBetween(last, full ? last : last + 1);
      if (Files.exists(Checkpoint.previous(path))) {
        assertThat(assertWhole(Checkpoint.previous(path))).isBetween(step - 1, step);
      }
      last = step;
      long left = temporaries(folder);
      assertThat(left).isBetween(0L, 1L); // the writer before deleted those before it
      duringWrites += (int) left;
    }
    return duringWrites;
  }

  @Test
  void twoProcessesCanWriteTheSameFile() throws Exception {
    Path path = temporary.resolve("state.safetensors");
    for (int round = 0; round < 3; round++) {
      Process first = start(path, false);
      Process second = start(path, false);
      assertThat(first.inputReader().readLine()).matches("\\d+");
      assertThat(second.inputReader().readLine()).matches("\\d+");
      for (int i = 0; i < 20; i++) {
        assertWhole(path);
      }
      kill(second);
      long left = temporaries(temporary);
      for (int i = 0; i < 1000 && left > 1; i++) { // until the first writes again
        Thread.sleep(10);
        left = temporaries(temporary);
      }
      assertThat(left).isLessThanOrEqualTo(1);
      kill(first);
      for (Process process : List.of(first, second)) {
        assertThat(process.inputReader().lines()).allMatch(line -> line.matches("\\d+"));
      }
      assertWhole(path);
    }
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
    synchronized (processes) {
      processes.add(process);
    }
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
