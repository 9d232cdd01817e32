package io.spd4j.safetensors;

import static io.spd4j.Refusals.nullPointer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.spd4j.ElementType;
import io.spd4j.safetensors.SafetensorsWriter.Option;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {
  @TempDir Path folder;
  private Path target;

  @BeforeEach
  void nameTarget() {
    target = folder.resolve("model.safetensors");
  }

  @Test
  void theBytesAreThoseOfTheFormat() throws IOException {
    Tensor tensor = bytes("a", 1, 2, 3);
    SafetensorsWriter.write(target, List.of(tensor), Map.of("k", "v"));
    String json =
        "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]}}";
    byte[] file = Files.readAllBytes(target);
    assertThat(file).startsWith(120, 0, 0, 0, 0, 0, 0, 0).endsWith(1, 2, 3).hasSize(8 + 120 + 3);
    assertThat(new String(file, 8, 120, StandardCharsets.UTF_8))
        .isEqualTo(json + " ".repeat(120 - json.length()));
  }

  @Test
  void whatIsWrittenIsReadAgain() throws IOException {
    Random random = new Random(11);
    Map<String, Tensor> written = new LinkedHashMap<>();
    for (ElementType dtype : ElementType.values()) {
      for (List<Long> shape :
          List.of(List.<Long>of(), List.of(3L), List.of(2L, 0L), List.of(5L, 1L, 7L))) {
        String name = dtype + "." + shape + " \"é😀\\\n";
        byte[] data = new byte[(int) Tensor.byteSize(dtype, shape)];
        random.nextBytes(data);
        written.put(name, new Tensor(name, dtype, shape, MemorySegment.ofArray(data)));
      }
    }
    Map<String, String> metadata = Map.of("format", "pt", "é😀", "\u0000\"\n😀", "", "");
    SafetensorsWriter.write(target, written.values(), metadata);
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(target, arena);
      assertThat(file.metadata()).isEqualTo(metadata);
      assertThat(file.tensors().keySet()).containsExactlyInAnyOrderElementsOf(written.keySet());
      for (Tensor tensor : file.tensors().values()) {
        Tensor original = written.get(tensor.name());
        assertThat(tensor.dtype()).isEqualTo(original.dtype());
        assertThat(tensor.shape()).isEqualTo(original.shape());
        assertThat(tensor.data().mismatch(original.data())).isEqualTo(-1);
        assertThat(tensor.isAligned()).isTrue();
      }
      Tensor first = file.tensors().firstEntry().getValue();
      assertThat(first.data().address() % 64).isZero();
    }
  }

  @Test
  void widerElementsComeFirstAndOtherwiseTheOrderIsKept() throws IOException {
    Tensor half = tensor("half", ElementType.FLOAT16, 2);
    Tensor single = tensor("single", ElementType.FLOAT32, 4);
    SafetensorsWriter.write(target, List.of(bytes("z", 1), half, bytes("a", 2), single), Map.of());
    try (Arena arena = Arena.ofConfined()) {
      assertThat(SafetensorsFile.map(target, arena).tensors().keySet())
          .containsExactly("single", "half", "z", "a");
    }
  }

  @Test
  void theSameInputGivesTheSameBytes() throws IOException {
    Map<String, String> forwards = new LinkedHashMap<>();
    Map<String, String> backwards = new LinkedHashMap<>();
    for (int i = 0; i < 20; i++) {
      forwards.put("key" + i, "value" + i);
      backwards.put("key" + (19 - i), "value" + (19 - i));
    }
    List<Tensor> tensors = List.of(bytes("b", 1, 2), bytes("a", 3));
    SafetensorsWriter.write(target, tensors, forwards);
    Path other = folder.resolve("other.safetensors");
    SafetensorsWriter.write(other, tensors, backwards);
    assertThat(other).hasSameBinaryContentAs(target);
  }

  @Test
  void noTensorsAndNoMetadata() throws IOException {
    SafetensorsWriter.write(target, List.of(), Map.of());
    assertThat(target).hasSize(64);
    try (Arena arena = Arena.ofConfined()) {
      assertThat(SafetensorsFile.map(target, arena).tensors()).isEmpty();
    }
  }

  @Test
  void dataLargerThanAChunkAreWrittenWhole() throws IOException {
    long[] values = new Random(3).longs(SafetensorsWriter.CHUNK_SIZE / 4 + 17).toArray();
    MemorySegment heap = MemorySegment.ofArray(values);
    List<Long> shape = List.of((long) values.length);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment offHeap = arena.allocateFrom(ValueLayout.JAVA_LONG, values);
      SafetensorsWriter.write(
          target,
          List.of(
              new Tensor("heap", ElementType.INT64, shape, heap),
              new Tensor("offHeap", ElementType.INT64, shape, offHeap)),
          Map.of());
      SafetensorsFile file = SafetensorsFile.map(target, arena);
      assertThat(file.tensor("heap").data().mismatch(heap)).isEqualTo(-1);
      assertThat(file.tensor("offHeap").data().mismatch(heap)).isEqualTo(-1);
    }
  }

  @Test
  void aMappedFileCanBeReplacedAndCopied() throws IOException {
    SafetensorsWriter.write(target, List.of(bytes("a", 1, 2, 3)), Map.of());
    try (Arena arena = Arena.ofShared()) {
      Tensor old = SafetensorsFile.map(target, arena).tensor("a");
      SafetensorsWriter.write(target, List.of(bytes("before", 9, 9), old), Map.of());
      assertThat(old.data().toArray(ValueLayout.JAVA_BYTE)).containsExactly(1, 2, 3);
      assertThat(SafetensorsFile.map(target, arena).tensor("a").data().mismatch(old.data()))
          .isEqualTo(-1);
    }
    assertThat(filesInFolder()).containsExactly("model.safetensors");
  }

  @Test
  void aFailureLeavesTheOldFileAndNothingElse() throws IOException {
    SafetensorsWriter.write(target, List.of(bytes("a", 1)), Map.of());
    byte[] old = Files.readAllBytes(target);
    Arena closed = Arena.ofConfined();
    Tensor gone = new Tensor("gone", ElementType.UINT8, List.of(4L), closed.allocate(4));
    closed.close();
    assertThatIllegalStateException()
        .isThrownBy(() -> SafetensorsWriter.write(target, List.of(bytes("a", 2), gone), Map.of()))
        .withMessage("'gone' lies in an arena that is closed");
    assertThat(target).hasBinaryContent(old);

    try (Arena arena = Arena.ofConfined()) {
      Tensor confined = new Tensor("confined", ElementType.UINT8, List.of(4L), arena.allocate(4));
      CompletableFuture<Void> elsewhere =
          CompletableFuture.runAsync(() -> {
            try {
              SafetensorsWriter.write(target, List.of(confined), Map.of());
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
      assertThatExceptionOfType(CompletionException.class)
          .isThrownBy(elsewhere::join)
          .havingCause()
          .isInstanceOf(WrongThreadException.class)
          .withMessage("'confined' lies in device memory or a confined arena of another thread");
    }
    assertThat(target).hasBinaryContent(old);
    assertThat(filesInFolder()).containsExactly("model.safetensors");
  }

  @Test
  void whatAKilledProcessLeftIsDeleted() throws IOException {
    Files.createFile(folder.resolve(".spd4j-" + Machine.ID + "-" + UUID.randomUUID() + ".tmp"));
    Files.createFile(folder.resolve(".spd4j-notes.txt"));
    SafetensorsWriter.write(target, List.of(bytes("a", 1)), Map.of());
    assertThat(filesInFolder()).containsExactlyInAnyOrder("model.safetensors", ".spd4j-notes.txt");
  }

  @Test
  void threadsThatWriteTheSameFileDoNotMixIt() throws Exception {
    byte[][] contents = new byte[4][300_000];
    try (ExecutorService threads = Executors.newFixedThreadPool(contents.length)) {
      List<Future<?>> writers = new ArrayList<>();
      for (int i = 0; i < contents.length; i++) {
        Arrays.fill(contents[i], (byte) i);
        Tensor tensor =
            new Tensor(
                "a",
                ElementType.UINT8,
                List.of((long) contents[i].length),
                MemorySegment.ofArray(contents[i]));
        writers.add(
            threads.submit(() -> {
              for (int round = 0; round < 20; round++) {
                SafetensorsWriter.write(
                    target, List.of(tensor), Map.of(), Option.CHECKSUM, Option.KEEP_PREVIOUS);
                assertWhole(target);
              }
              return null;
            }));
      }
      for (Future<?> writer : writers) {
        writer.get();
      }
    }
    assertWhole(SafetensorsWriter.previous(target));
    assertThat(filesInFolder())
        .containsExactlyInAnyOrder("model.safetensors", "model.safetensors.previous");
  }

  private static void assertWhole(Path file) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      assertThat(SafetensorsFile.map(file, arena).verify()).isTrue();
    }
  }

  @Test
  void aChecksumIsOfOneFile() throws IOException {
    SafetensorsWriter.write(target, List.of(bytes("a", 1)), Map.of("k", "v"), Option.CHECKSUM);
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(target, arena);
      assertThat(file.verify()).isTrue();
      assertThat(file.metadata()).containsKeys("k", "spd4j.crc32");
      SafetensorsWriter.write(target, file.tensors().values(), file.metadata());
      SafetensorsFile copy = SafetensorsFile.map(target, arena);
      assertThat(copy.metadata()).isEqualTo(Map.of("k", "v"));
      assertThat(copy.verify()).isFalse();
    }
    String header = "{\"__metadata__\":{\"spd4j.crc32\":\"1234567\"}}";
    Files.write(target, RawFile.bytes(header, 0));
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(target, arena);
      assertThatExceptionOfType(SafetensorsException.class)
          .isThrownBy(file::verify)
          .withMessage(target + ": the checksum '1234567' is malformed");
    }
  }

  @Test
  void aTargetThatCannotBeWrittenLeavesNothingBehind() throws IOException {
    Path directory = Files.createDirectory(folder.resolve("directory"));
    Files.createFile(directory.resolve("inside"));
    for (Option[] options : new Option[][] {{}, {Option.KEEP_PREVIOUS}}) {
      assertThatExceptionOfType(FileSystemException.class)
          .isThrownBy(
              () -> SafetensorsWriter.write(directory, List.of(bytes("a", 1)), Map.of(), options));
      assertThat(filesInFolder()).containsExactly("directory");
    }
    assertThat(directory.resolve("inside")).exists();
    assertThatExceptionOfType(NoSuchFileException.class)
        .isThrownBy(() -> SafetensorsWriter.write(folder.resolve("no/where"), List.of(), Map.of()))
        .withMessage(folder.resolve("no/where") + ": its folder does not exist");
  }

  @Test
  void namesAreChecked() {
    assertRefused(List.of(bytes("", 1)), Map.of(), "a tensor's name is empty");
    assertRefused(
        List.of(bytes("__metadata__", 1)), Map.of(), "a tensor cannot be named __metadata__");
    assertRefused(
        List.of(bytes("a", 1), bytes("b", 1), bytes("a", 2)),
        Map.of(),
        "two tensors are named 'a'");
    assertRefused(List.of(bytes("x\ud800", 1)), Map.of(), "unpaired surrogate");
    assertRefused(List.of(), Map.of("k", "\udc00"), "unpaired surrogate");
    assertRefused(List.of(), Map.of("\udc00", "v"), "unpaired surrogate");
  }

  @Test
  void textsCanBeAsLongAsTheHeaderAllows() throws IOException {
    String name = "n".repeat(1_000_000);
    Map<String, String> metadata = Map.of("k", "v".repeat(25_000_000));
    SafetensorsWriter.write(target, List.of(bytes(name, 1)), metadata);
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(target, arena);
      assertThat(file.tensors()).containsOnlyKeys(name);
      assertThat(file.metadata().equals(metadata)).isTrue();
    }
  }

  @Test
  void aHeaderBeyondTheFormatsLimitIsRefused() {
    assertRefused(
        List.of(),
        Map.of("k", "v".repeat(100_000_000)),
        "more than the format's limit of 100000000");
  }

  @Test
  void nullIsNamed() {
    nullPointer("target", () -> SafetensorsWriter.write(null, List.of(), Map.of()));
    nullPointer("tensors", () -> SafetensorsWriter.write(target, null, Map.of()));
    nullPointer("metadata", () -> SafetensorsWriter.write(target, List.of(), null));
    nullPointer(
        "tensor of tensors",
        () -> SafetensorsWriter.write(target, Arrays.asList(bytes("a", 1), null), Map.of()));
    nullPointer(
        "key of metadata",
        () -> SafetensorsWriter.write(target, List.of(), Collections.singletonMap(null, "v")));
    nullPointer(
        "value of metadata 'k'",
        () -> SafetensorsWriter.write(target, List.of(), Collections.singletonMap("k", null)));
    assertThat(target).doesNotExist();
  }

  private void assertRefused(List<Tensor> tensors, Map<String, String> metadata, String message) {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> SafetensorsWriter.write(target, tensors, metadata))
        .withMessageContaining(message);
    assertThat(folder).isEmptyDirectory();
  }

  private List<String> filesInFolder() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).toList();
    }
  }

  private static Tensor bytes(String name, int... values) {
    byte[] data = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      data[i] = (byte) values[i];
    }
    return new Tensor(
        name, ElementType.UINT8, List.of((long) data.length), MemorySegment.ofArray(data));
  }

  private static Tensor tensor(String name, ElementType dtype, int byteSize) {
    List<Long> shape = List.of((long) byteSize / dtype.byteSize());
    return new Tensor(name, dtype, shape, MemorySegment.ofArray(new byte[byteSize]));
  }
}
