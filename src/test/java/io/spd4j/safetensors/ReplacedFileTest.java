package io.spd4j.safetensors;

import static io.spd4j.Refusals.nullPointer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assumptions.assumeThat;
import static org.junit.jupiter.api.Assumptions.abort;

import io.spd4j.ElementType;
import io.spd4j.safetensors.SafetensorsWriter.Option;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What a write keeps of the file that it replaces, and what it refuses to replace. */
class ReplacedFileTest {
  @TempDir private Path folder;
  private Path target;

  @BeforeEach
  void nameTarget() {
    target = folder.resolve("model.safetensors");
  }

  @AfterEach
  void clearInterrupt() {
    Thread.interrupted();
  }

  @ParameterizedTest
  @DisabledOnOs(OS.WINDOWS)
  @ValueSource(strings = {"rw-------", "rw-r-----", "r--r--r--", "rw-rw-rw-"})
  void thePermissionsStay(String permissions) throws IOException {
    write(1);
    Files.setPosixFilePermissions(target, PosixFilePermissions.fromString(permissions));
    write(2, Option.KEEP_PREVIOUS);
    write(3, Option.KEEP_PREVIOUS);
    assertThat(permissions(target)).isEqualTo(permissions);
    assertThat(permissions(SafetensorsWriter.previous(target))).isEqualTo(permissions);
    AtomicFile.write(target, out -> out.write(1));
    assertThat(permissions(target)).isEqualTo(permissions);
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void aNewFileHasTheUsualPermissions() throws IOException {
    write(1);
    assertThat(permissions(target))
        .isEqualTo(permissions(Files.createFile(folder.resolve("usual"))));
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void theOwnerAndTheGroupStayWhereTheProcessMaySetThem() throws IOException {
    write(1);
    assumeThat(Files.getAttribute(target, "unix:uid")).as("only root can").isEqualTo(0);
    try {
      Files.setAttribute(target, "unix:uid", 12345);
      Files.setAttribute(target, "unix:gid", 23456);
    } catch (FileSystemException e) {
      abort("not even root can here: " + e);
    }
    Files.setPosixFilePermissions(target, PosixFilePermissions.fromString("rw-r-----"));
    write(2);
    assertThat(Files.getAttribute(target, "unix:uid")).isEqualTo(12345);
    assertThat(Files.getAttribute(target, "unix:gid")).isEqualTo(23456);
    assertThat(permissions(target)).isEqualTo("rw-r-----");
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void aLinkIsReplacedByAFileThatIsNoMorePublicThanTheLinkedOne() throws IOException {
    Path linked = folder.resolve("linked");
    Files.writeString(linked, "old");
    Files.setPosixFilePermissions(linked, PosixFilePermissions.fromString("rw-------"));
    Files.createSymbolicLink(target, linked);
    write(1);
    assertThat(Files.isSymbolicLink(target)).isFalse();
    assertThat(permissions(target)).isEqualTo("rw-------");
    assertThat(linked).hasContent("old");

    Files.delete(target);
    Files.createSymbolicLink(target, folder.resolve("nothing"));
    write(1);
    assertThat(Files.isSymbolicLink(target)).isFalse();
    assertThat(folder.resolve("nothing")).doesNotExist();
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void whatIsNotAFileIsNeitherReplacedNorRead() throws Exception {
    Path pipe = folder.resolve("pipe");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    Path toPipe = Files.createSymbolicLink(folder.resolve("link"), pipe);
    Path toFolder = Files.createSymbolicLink(folder.resolve("folder"), folder);
    Path toDevice = Files.createSymbolicLink(folder.resolve("device"), Path.of("/dev/null"));
    long before = files().size();
    // Both ends are open: whoever opens the pipe does not wait.
    try (RandomAccessFile ends = new RandomAccessFile(pipe.toFile(), "rw")) {
      for (Path path : List.of(pipe, toPipe, toDevice, folder, toFolder)) {
        String kind =
            path.endsWith("folder") || path == folder ? "a folder" : "a pipe, a device or the like";
        String message = path + ": it is " + kind + ", not a file";
        target = path;
        assertThatExceptionOfType(FileSystemException.class)
            .isThrownBy(() -> write(1))
            .withMessage(message);
        assertThatExceptionOfType(FileSystemException.class)
            .isThrownBy(() -> write(1, Option.KEEP_PREVIOUS))
            .withMessage(message);
        assertThatExceptionOfType(FileSystemException.class)
            .isThrownBy(() -> AtomicFile.write(path, out -> {}))
            .withMessage(message);
        assertThatExceptionOfType(FileSystemException.class)
            .isThrownBy(() -> SafetensorsFile.map(path, Arena.ofAuto()))
            .withMessage(message);
      }
      assertThat(new FileInputStream(ends.getFD()).available()).isZero();
    }
    assertThat(files()).hasSize((int) before);
    assertThat(Files.isSymbolicLink(toPipe)).isTrue();
  }

  @Test
  void anInterruptedThreadWritesTheWholeFileAndStaysInterrupted() throws IOException {
    write(1);
    Thread.currentThread().interrupt();
    write(2, Option.CHECKSUM, Option.KEEP_PREVIOUS);
    assertThat(Thread.interrupted()).isTrue();
    assertWhole(2);
    Thread.currentThread().interrupt();
    AtomicFile.write(folder.resolve("text"), out -> out.write(new byte[3_000_000]));
    assertThat(Thread.interrupted()).isTrue();
    assertThat(folder.resolve("text")).hasSize(3_000_000);
  }

  @Test
  void anInterruptAtAnyTimeDoesNotEndAWrite() throws Exception {
    Thread writer = Thread.currentThread();
    AtomicBoolean done = new AtomicBoolean();
    Thread interrupter =
        Thread.ofPlatform()
            .start(() -> {
              while (!done.get()) {
                writer.interrupt();
                Thread.onSpinWait();
              }
            });
    try {
      for (int i = 0; i < 20; i++) {
        write(i, Option.CHECKSUM, Option.KEEP_PREVIOUS);
        assertThat(writer.isInterrupted()).isTrue();
      }
    } finally {
      done.set(true);
      while (interrupter.isAlive()) {
        Thread.onSpinWait(); // a join would be interrupted
      }
      Thread.interrupted();
    }
    assertWhole(19);
    assertThat(files())
        .containsExactlyInAnyOrder("model.safetensors", "model.safetensors.previous");
  }

  @Test
  void anInterruptedThreadIsNotToldThatAFileIsMapped() throws IOException {
    write(1);
    Thread.currentThread().interrupt();
    assertThatExceptionOfType(ClosedByInterruptException.class)
        .isThrownBy(() -> SafetensorsFile.map(target, Arena.ofAuto()));
    assertThat(Thread.interrupted()).isTrue();
  }

  @Test
  void aFileThatAnotherMachineStillWritesStays() throws IOException {
    Path written = Files.createFile(folder.resolve(".spd4j-0123-" + UUID.randomUUID() + ".tmp"));
    write(1);
    assertThat(written).exists();
    Files.setLastModifiedTime(written, FileTime.from(Instant.now().minus(Duration.ofDays(2))));
    write(2);
    assertThat(files()).containsExactly("model.safetensors");
  }

  @Test
  @DisabledOnOs(OS.WINDOWS)
  void aPipeOrALinkWithTheNameOfATemporaryFileIsLeftAlone() throws Exception {
    String name = ".spd4j-" + Machine.ID + "-";
    Path pipe = folder.resolve(name + "pipe.tmp");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    Path other = Files.createFile(folder.resolve("other"));
    Path link = Files.createSymbolicLink(folder.resolve(name + "link.tmp"), other);
    try (RandomAccessFile ends = new RandomAccessFile(pipe.toFile(), "rw")) {
      write(1);
      assertThat(new FileInputStream(ends.getFD()).available()).isZero();
    }
    assertThat(files()).contains(pipe.getFileName().toString(), link.getFileName().toString());
    assertThat(other).exists();
  }

  @Test
  void contentThatFailsLeavesTheOldFile() throws IOException {
    AtomicFile.write(target, out -> out.write("old".getBytes()));
    assertThatExceptionOfType(IllegalStateException.class)
        .isThrownBy(() ->
            AtomicFile.write(
                target,
                out -> {
                  out.write(new byte[5_000_000]);
                  throw new IllegalStateException("no more");
                }))
        .withMessage("no more");
    assertThat(target).hasContent("old");
    AtomicFile.write(
        target,
        out -> {
          for (byte b : "new".getBytes()) {
            out.write(b);
          }
          out.close();
        });
    assertThat(target).hasContent("new");
    assertThat(files()).containsExactly("model.safetensors");
  }

  @Test
  void nullIsNamed() {
    nullPointer("target", () -> AtomicFile.write(null, out -> {}));
    nullPointer("content", () -> AtomicFile.write(target, null));
  }

  private void write(int value, Option... options) throws IOException {
    MemorySegment data = MemorySegment.ofArray(new byte[100_000]).fill((byte) value);
    SafetensorsWriter.write(
        target,
        List.of(new Tensor("a", ElementType.UINT8, List.of(100_000L), data)),
        Map.of(),
        options);
  }

  private void assertWhole(int value) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(target, arena);
      assertThat(file.verify()).isTrue();
      MemorySegment expected = arena.allocate(100_000).fill((byte) value);
      assertThat(file.tensor("a").data().mismatch(expected)).isEqualTo(-1);
    }
  }

  private static String permissions(Path file) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(file));
  }

  private List<String> files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).toList();
    }
  }
}
