package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.ElementType;
import io.spd4j.safetensors.AtomicFile;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.SafetensorsWriter.Option;
import io.spd4j.safetensors.Tensor;
import io.spd4j.torture.FaultyFiles.Fault;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * A file is written, and each operation of its writer fails once, is where the disk is full, or is
 * where the process is killed: the old or the new file is whole, and what is left behind is gone
 * after the next write.
 */
@DisabledOnOs(OS.WINDOWS)
class CrashTest {
  private static final Set<PosixFilePermission> PRIVATE =
      PosixFilePermissions.fromString("rw-------");

  @TempDir private Path temporary;
  private Path folder;
  private Path target;
  private Path previous;

  /** A way to write a file. */
  private interface Writer {
    void write(Path file) throws IOException;
  }

  @Test
  void theOldOrTheNewFileIsWhole() {
    Rounds.run(CrashTest.class, 2, this::round);
  }

  private void round(SplittableRandom random, Rounds rounds) throws IOException {
    folder = Files.createDirectory(temporary.resolve("folder"));
    target = folder.resolve("file");
    previous = SafetensorsWriter.previous(target);
    boolean keep = random.nextBoolean();
    boolean exists = random.nextInt(4) > 0;
    byte[] old = exists ? bytes(writer(random, false)) : null;
    Writer newer = writer(random, keep);
    byte[] fresh = bytes(newer);
    for (Fault fault : Fault.values()) {
      boolean failed = true;
      for (long at = 0; failed; at++) {
        if (exists) {
          Files.write(target, old);
          Files.setPosixFilePermissions(target, PRIVATE);
        }
        failed = fails(newer, fault, at, old, fresh, keep, random);
        if (failed) {
          rounds.count(fault == Fault.KILL ? "kills at an operation" : "failed writes", 1);
        }
        if (exists) {
          assertThat(Files.getPosixFilePermissions(target)).isEqualTo(PRIVATE);
        }
        if (fault == Fault.KILL) {
          newer.write(target);
          assertSame("written again", target, fresh);
          assertThat(files()).isSubsetOf("file", "file.previous");
        }
        Files.deleteIfExists(target);
        Files.deleteIfExists(previous);
      }
    }
    Files.delete(folder);
  }

  /** Returns whether an operation failed: false if there are fewer. */
  private boolean fails(
      Writer newer,
      Fault fault,
      long at,
      byte[] old,
      byte[] fresh,
      boolean keep,
      SplittableRandom random)
      throws IOException {
    Path faulty = FaultyFiles.of(target, fault, at);
    FaultyFiles files = FaultyFiles.of(faulty);
    boolean done = false;
    try {
      newer.write(faulty);
      done = true;
    } catch (IOException | FaultyFiles.Killed e) {
      assertThat(e instanceof FaultyFiles.Killed).isEqualTo(fault == Fault.KILL);
      assertThat(files.hasFailed()).as("without a fault: " + e).isTrue();
    }
    List<String> operations = files.operations();
    String story = fault + " at " + at + " of " + operations;
    int good = (int) Math.min(at, operations.size());
    boolean moved = done || operations.subList(0, good).contains("move");
    if (done && !files.hasFailed()) {
      assertForced(operations);
    }
    if (fault == Fault.KILL && old != null) {
      assertPrivate();
    }
    assertSame(story, target, moved ? fresh : old);
    if (old != null && keep && moved) {
      assertSame(story, previous, old);
    }
    boolean deleted = good == operations.size() || !operations.get(good).equals("delete");
    if (fault != Fault.KILL && deleted) {
      assertThat(files()).as(story).isSubsetOf("file", "file.previous");
    }
    return files.hasFailed();
  }

  /** Without that, a power cut could leave a file that has its name, but not its bytes. */
  private static void assertForced(List<String> operations) {
    int move = operations.lastIndexOf("move");
    int write = operations.subList(0, move).lastIndexOf("write");
    assertThat(operations.subList(write, move)).as("the file: " + operations).contains("force");
    List<String> afterwards = operations.subList(move, operations.size());
    assertThat(afterwards)
        .as("the folder: " + operations)
        .contains("force")
        .doesNotContain("write");
  }

  private void assertPrivate() throws IOException {
    for (String file : files()) {
      Path path = folder.resolve(file);
      assertThat(Files.getPosixFilePermissions(path)).as(file).isEqualTo(PRIVATE);
    }
  }

  /** Compares without printing the bytes; null is no file. */
  private static void assertSame(String story, Path file, byte[] expected) throws IOException {
    byte[] found = Files.exists(file) ? Files.readAllBytes(file) : null;
    assertThat(Arrays.equals(found, expected)).as(file.getFileName() + ": " + story).isTrue();
  }

  /** Returns what a writer makes of a new file. */
  private byte[] bytes(Writer writer) throws IOException {
    Path file = temporary.resolve("expected");
    writer.write(file);
    byte[] bytes = Files.readAllBytes(file);
    Files.delete(file);
    return bytes;
  }

  private static Writer writer(SplittableRandom random, boolean keep) {
    byte[] content =
        new byte[random.nextInt(3) == 0 ? random.nextInt(3_000_000) : random.nextInt(2000)];
    random.nextBytes(content);
    if (!keep && random.nextInt(3) == 0) {
      return file -> AtomicFile.write(file, out -> out.write(content));
    }
    List<Option> options = new ArrayList<>();
    if (keep) {
      options.add(Option.KEEP_PREVIOUS);
    }
    if (random.nextBoolean()) {
      options.add(Option.CHECKSUM);
    }
    Tensor tensor =
        new Tensor(
            "a", ElementType.UINT8, List.of((long) content.length), MemorySegment.ofArray(content));
    return file ->
        SafetensorsWriter.write(
            file, List.of(tensor), Map.of("k", "v"), options.toArray(Option[]::new));
  }

  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).toList();
    }
  }
}
