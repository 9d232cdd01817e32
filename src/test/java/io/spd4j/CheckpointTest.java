package io.spd4j;

import static io.spd4j.Refusals.illegalArgument;
import static io.spd4j.Refusals.illegalState;
import static io.spd4j.Refusals.nullPointer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Random;
import java.util.zip.CRC32;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is in a checkpoint's file, and how a damaged one is found. */
class CheckpointTest {
  @TempDir Path folder;
  private final Arena arena = Arena.ofShared();
  private Path path;
  private Adam adam;

  @BeforeEach
  void train() {
    path = folder.resolve("state.safetensors");
    ParameterGroup backbone =
        ParameterGroup.builder()
            .lr(2e-5)
            .decay(new SelectiveProjectionDecay(0.5))
            .amsgrad(true)
            .parameter(Tensors.selected(arena, "a", 1, 5))
            .build();
    Parameter head = Tensors.parameter(arena, "b", 2, 300);
    adam = Adam.builder().seed(-7).group(backbone).group(0.1, new L2SP(0.3), List.of(head)).build();
    adam.step();
    adam.step();
    adam.stepParameter(head);
  }

  @AfterEach
  void close() {
    adam.close();
    arena.close();
  }

  private Checkpoint read() throws IOException {
    return Checkpoint.read(path, arena);
  }

  @Test
  void theFileHasPyTorchsNames() throws IOException {
    adam.save(path);
    SafetensorsFile file = SafetensorsFile.map(path, arena);
    assertThat(file.tensors().keySet())
        .containsExactlyInAnyOrder(
            "a.step",
            "a.spd",
            "a.exp_avg",
            "a.exp_avg_sq",
            "a.max_exp_avg_sq",
            "b.step",
            "b.exp_avg",
            "b.exp_avg_sq");
    Parameter a = adam.parameters().getFirst();
    assertThat(file.tensor("a.exp_avg").data().mismatch(a.expAvg())).isEqualTo(-1);
    assertThat(file.tensor("a.max_exp_avg_sq").data().mismatch(a.maxExpAvgSq())).isEqualTo(-1);
    assertThat(file.tensor("b.exp_avg").shape()).containsExactly(300L);
    assertThat(file.tensor("b.step").data().get(ValueLayout.JAVA_DOUBLE, 0)).isEqualTo(3);
    assertThat(file.tensor("b.step").shape()).isEmpty();
    assertThat(file.metadata().get("spd4j.checkpoint"))
        .startsWith("{\"version\":1,\"seed\":-7,\"parameters\":false,\"groups\":[{\"lr\":2.0E-5,");
    assertThat(file.verify()).isTrue();
    try (var files = Files.list(folder)) {
      assertThat(files).containsExactly(path);
    }
  }

  @Test
  void theChecksumIsThatOfAllBytes() throws IOException {
    adam.save(path);
    byte[] bytes = Files.readAllBytes(path);
    String key = "\"spd4j.crc32\":\"";
    int at = new String(bytes, StandardCharsets.ISO_8859_1).indexOf(key) + key.length();
    String stated = new String(bytes, at, 8, StandardCharsets.US_ASCII);
    Arrays.fill(bytes, at, at + 8, (byte) '0');
    CRC32 crc = new CRC32();
    crc.update(bytes);
    assertThat(stated).isEqualTo(HexFormat.of().toHexDigits((int) crc.getValue()));
  }

  @Test
  void whatTheCallerAddsIsReadAgain() throws IOException {
    MemorySegment best = MemorySegment.ofArray(new float[] {1, 2, 3, 4, 5, 6});
    Checkpoint.of(adam)
        .parameters(true)
        .metadata("job", "{\"epoch\": 3}")
        .tensor("best", ElementType.FLOAT32, List.of(2L, 3L), best)
        .write(path);
    Checkpoint checkpoint = read();
    assertThat(checkpoint.metadata()).isEqualTo(Map.of("job", "{\"epoch\": 3}"));
    assertThat(checkpoint.tensor("best").data().mismatch(best)).isEqualTo(-1);
    assertThat(checkpoint.tensor("best").shape()).containsExactly(2L, 3L);
    assertThat(checkpoint.tensor("a").data().mismatch(adam.parameters().getFirst().data()))
        .isEqualTo(-1);
    assertThat(checkpoint.step("a")).isEqualTo(2);
    assertThat(checkpoint.step("b")).isEqualTo(3);
    assertThatExceptionOfType(NoSuchElementException.class)
        .isThrownBy(() -> checkpoint.step("c"))
        .withMessage(path + ": no tensor 'c.step'");
  }

  @Test
  void namesThatAreTakenAreRefused() {
    MemorySegment one = MemorySegment.ofArray(new float[1]);
    for (String name : List.of("a", "b.low", "a.exp_avg", "b.max_exp_avg_sq", "a.step", "b.spd")) {
      illegalArgument(
          "tensor " + name + " has a name that belongs to parameter " + name.charAt(0),
          () -> Checkpoint.of(adam).tensor(name, ElementType.FLOAT32, List.of(1L), one));
    }
    illegalArgument(
        "key spd4j.x starts with spd4j., which is reserved",
        () -> Checkpoint.of(adam).metadata("spd4j.x", ""));
    nullPointer("value of x is null", () -> Checkpoint.of(adam).metadata("x", null));
    nullPointer("adam is null", () -> Checkpoint.of(null));
    nullPointer("path is null", () -> adam.save(null));
    assertThatCode(adam::step).doesNotThrowAnyException();
  }

  @Test
  void aClosedOptimizerSaysWhereItsMomentsWent() {
    adam.close();
    illegalState(
        "the optimizer is closed and its moments are freed: save before close()",
        () -> adam.save(path));
    assertThat(path).doesNotExist();
  }

  @Test
  void arraysInAClosedArenaAreNamed() {
    Arena own = Arena.ofShared();
    Parameter w = Tensors.parameter(own, "w", 1, 10);
    Adam lost = Adam.builder().group(1, new NoDecay(), List.of(w)).build();
    own.close();
    illegalState("data of w lies in an arena that is closed", () -> lost.save(path));
    lost.close();
    assertThat(folder).isEmptyDirectory();
  }

  @Test
  void theCheckpointBeforeIsKeptOnRequest() throws IOException {
    Path previous = folder.resolve("state.safetensors.previous");
    assertThat(Checkpoint.previous(path)).isEqualTo(previous.toAbsolutePath());
    Checkpoint.of(adam).keepPrevious(true).write(path);
    assertThat(previous).doesNotExist();
    for (int step = 3; step <= 5; step++) {
      byte[] before = Files.readAllBytes(path);
      adam.step();
      Checkpoint.of(adam).keepPrevious(true).write(path);
      assertThat(previous).hasBinaryContent(before);
      assertThat(read().step("a")).isEqualTo(step);
    }
    adam.step();
    adam.save(path);
    assertThat(Checkpoint.read(previous, arena).step("a")).isEqualTo(4);
  }

  @Test
  void aParameterThatHasJustJoinedIsSavedToo() throws IOException {
    adam.addParameter(adam.groups().getFirst(), Tensors.selected(arena, "late", 9, 70));
    adam.save(path);
    assertThat(read().step("late")).isZero();
    assertThat(read().tensors()).containsKey("late.max_exp_avg_sq").doesNotContainKey("late.spd");
    adam.step();
    adam.save(path);
    assertThat(read().step("late")).isEqualTo(1);
    assertThat(read().step("b")).isEqualTo(4);
    assertThat(read().tensors()).containsKey("late.spd");
  }

  /** A bit anywhere in the header, and in many places of the data. */
  @Test
  void everyFlippedBitIsFound() throws IOException {
    Checkpoint.of(adam).parameters(true).metadata("job", "text").write(path);
    byte[] bytes = Files.readAllBytes(path);
    byte[] whole = bytes.clone();
    int dataStart = 8 + (int) MemorySegment.ofArray(bytes).get(ValueLayout.JAVA_LONG_UNALIGNED, 0);
    Random random = new Random(4);
    Path damaged = folder.resolve("damaged");
    for (int at = 0; at < bytes.length; at += at < dataStart ? 1 : 1 + random.nextInt(20)) {
      bytes[at] ^= (byte) (1 << random.nextInt(8));
      rewrite(damaged, bytes);
      assertDamaged(damaged, "byte " + at);
      bytes[at] = whole[at];
    }
  }

  @Test
  void everyTruncatedFileIsFound() throws IOException {
    Checkpoint.of(adam).parameters(true).write(path);
    byte[] bytes = Files.readAllBytes(path);
    Random random = new Random(5);
    Path damaged = folder.resolve("damaged");
    for (int length = 0; length < bytes.length; length += 1 + random.nextInt(40)) {
      rewrite(damaged, Arrays.copyOf(bytes, length));
      assertDamaged(damaged, length + " bytes");
    }
    rewrite(damaged, Arrays.copyOf(bytes, bytes.length - 1));
    assertDamaged(damaged, "a byte less");
    rewrite(damaged, Arrays.copyOf(bytes, bytes.length + 1));
    assertDamaged(damaged, "a byte more");
  }

  /** Writes a new file: ext4 forces one that is overwritten in place to the disk. */
  private static void rewrite(Path file, byte[] bytes) throws IOException {
    Files.deleteIfExists(file);
    Files.write(file, bytes);
  }

  private static void assertDamaged(Path file, String what) {
    try (Arena own = Arena.ofConfined()) {
      assertThatThrownBy(() -> Checkpoint.read(file, own))
          .as(what)
          .isInstanceOf(CheckpointException.class)
          .hasMessageStartingWith(file + ": ");
    }
  }

  @Test
  void aDamagedCheckpointOffersTheOneBefore() throws IOException {
    Checkpoint.of(adam).write(path);
    adam.step();
    Checkpoint.of(adam).keepPrevious(true).write(path);
    Path previous = Checkpoint.previous(path);
    byte[] bytes = Files.readAllBytes(path);
    bytes[bytes.length - 1] ^= 1;
    Files.write(path, bytes);
    assertThatExceptionOfType(CheckpointException.class)
        .isThrownBy(this::read)
        .withMessageMatching(
            "\\Q%s\\E: the file is damaged: its checksum is [0-9a-f]{8}, but should be '[0-9a-f]{8}'; \\Q%s\\E"
                .formatted(path, "the checkpoint before it is whole: " + previous));
    Files.delete(path);
    assertThatExceptionOfType(NoSuchFileException.class)
        .isThrownBy(this::read)
        .withMessage(path + ": the checkpoint before it is whole: " + previous);
    Files.write(previous, Arrays.copyOf(bytes, 100));
    assertThatExceptionOfType(NoSuchFileException.class)
        .isThrownBy(this::read)
        .withMessage(path.toString());
  }

  @Test
  void theFaultIsNamedEvenIfTheOneBeforeCannotBeRead() throws IOException {
    Files.createDirectory(Checkpoint.previous(path));
    assertThatExceptionOfType(NoSuchFileException.class)
        .isThrownBy(this::read)
        .withMessage(path.toString());
    Files.write(path, new byte[3]);
    assertDamaged(path, "three bytes");
  }

  @Test
  void aCheckpointNeedsItsChecksumAndAVersionThatIsKnown() throws IOException {
    adam.save(path);
    SafetensorsFile file = SafetensorsFile.map(path, arena);
    List<Tensor> tensors = List.copyOf(file.tensors().values());
    Map<String, String> metadata = new HashMap<>(file.metadata());
    SafetensorsWriter.write(path, tensors, metadata);
    assertThatExceptionOfType(CheckpointException.class)
        .isThrownBy(this::read)
        .withMessage(path + ": the file is damaged: it has no checksum");
    assertUnusable(tensors, "{\"version\":2}", "its version is 2, this library reads 1");
    assertUnusable(tensors, "{\"version\":1}", "its groups is null");
    assertUnusable(tensors, "[]", "its version is null");
    assertUnusable(tensors, "", "its version is null");
    String json = metadata.get("spd4j.checkpoint");
    assertUnusable(tensors, json.replace("\"spd\"", "\"abc\""), "unknown decay rule abc");
    assertUnusable(tensors, json.substring(0, 99), "its settings are not JSON");
  }

  private void assertUnusable(List<Tensor> tensors, String json, String message)
      throws IOException {
    SafetensorsWriter.write(
        path, tensors, Map.of("spd4j.checkpoint", json), SafetensorsWriter.Option.CHECKSUM);
    assertThatExceptionOfType(CheckpointException.class)
        .isThrownBy(this::read)
        .withMessage(path + ": the checkpoint cannot be used: " + message);
  }
}
