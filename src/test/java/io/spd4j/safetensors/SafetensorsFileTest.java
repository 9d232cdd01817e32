package io.spd4j.safetensors;

import static io.spd4j.Refusals.nullPointer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.spd4j.ElementType;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.NoSuchElementException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsFileTest {
  @TempDir Path folder;

  @Test
  void tensorsComeInTheOrderOfTheirDataWithTheirBytes() throws IOException {
    Path path =
        RawFile.write(
            folder,
            """
            {"last":{"data_offsets":[10,12],"shape":[2],"dtype":"I8"},
             "scalar":{"dtype":"U16","shape":[],"data_offsets":[8,10]},
             "empty":{"dtype":"F64","shape":[3,0],"data_offsets":[8,8]},
             "__metadata__":{"format":"pt","\\u00e9":""},
             "first":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}\
            """,
            12);
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(path, arena);
      assertThat(file.tensors().keySet()).containsExactly("first", "empty", "scalar", "last");
      assertThat(file.metadata()).containsExactly(Map.entry("format", "pt"), Map.entry("é", ""));

      Tensor first = file.tensor("first");
      assertThat(first.name()).isEqualTo("first");
      assertThat(first.dtype()).isEqualTo(ElementType.FLOAT32);
      assertThat(first.shape()).containsExactly(1L, 2L);
      assertThat(bytes(first)).containsExactly(0, 1, 2, 3, 4, 5, 6, 7);
      assertThat(file.tensor("empty").shape()).containsExactly(3L, 0L);
      assertThat(file.tensor("empty").numel()).isZero();
      assertThat(file.tensor("scalar").shape()).isEmpty();
      assertThat(bytes(file.tensor("scalar"))).containsExactly(8, 9);
      assertThat(bytes(file.tensor("last"))).containsExactly(10, 11);
    }
  }

  @Test
  void everyDtypeOfTheFormatIsRead() throws IOException {
    for (ElementType dtype : ElementType.values()) {
      int size = 3 * dtype.byteSize();
      String header = entry(dtype.safetensorsName(), "[3]", 0, size);
      try (Arena arena = Arena.ofConfined()) {
        Tensor tensor = SafetensorsFile.map(RawFile.write(folder, header, size), arena).tensor("a");
        assertThat(tensor.dtype()).isEqualTo(dtype);
        assertThat(tensor.numel()).isEqualTo(3);
      }
    }
  }

  @Test
  void aFileCanHaveNoTensorsAndNoMetadata() throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(RawFile.write(folder, "{}    ", 0), arena);
      assertThat(file.tensors()).isEmpty();
      assertThat(file.metadata()).isEmpty();
    }
  }

  @Test
  void whatItReturnsCannotBeChanged() throws IOException {
    Path path =
        RawFile.write(
            folder, "{\"__metadata__\":{\"k\":\"v\"}," + entry("U8", "[4]", 0, 4).substring(1), 4);
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(path, arena);
      MemorySegment data = file.tensor("a").data();
      assertThat(data.isReadOnly()).isTrue();
      assertThat(data.isMapped()).isTrue();
      assertThatExceptionOfType(IllegalArgumentException.class)
          .isThrownBy(() -> data.set(ValueLayout.JAVA_BYTE, 0, (byte) 1));
      assertThatExceptionOfType(UnsupportedOperationException.class)
          .isThrownBy(() -> file.tensors().clear());
      assertThatExceptionOfType(UnsupportedOperationException.class)
          .isThrownBy(() -> file.metadata().put("k", "w"));
      assertThat(file.tensor("a").shape()).isUnmodifiable();
    }
  }

  @Test
  void closingTheArenaClosesTheData() throws IOException {
    Arena arena = Arena.ofConfined();
    MemorySegment data =
        SafetensorsFile.map(RawFile.write(folder, entry("U8", "[4]", 0, 4), 4), arena)
            .tensor("a")
            .data();
    assertThat(data.get(ValueLayout.JAVA_BYTE, 3)).isEqualTo((byte) 3);
    arena.close();
    assertThatIllegalStateException().isThrownBy(() -> data.get(ValueLayout.JAVA_BYTE, 3));
  }

  @Test
  void anUnknownTensorIsNamed() throws IOException {
    Path path = RawFile.write(folder, "{}", 0);
    SafetensorsFile file = SafetensorsFile.map(path, Arena.ofAuto());
    assertThatExceptionOfType(NoSuchElementException.class)
        .isThrownBy(() -> file.tensor("head.weight"))
        .withMessage(path + ": no tensor 'head.weight'");
    nullPointer("name", () -> file.tensor(null));
  }

  @Test
  void argumentsAreChecked() {
    nullPointer("file", () -> SafetensorsFile.map(null, Arena.ofAuto()));
    nullPointer("arena", () -> SafetensorsFile.map(folder, null));
    assertThatExceptionOfType(NoSuchFileException.class)
        .isThrownBy(() -> SafetensorsFile.map(folder.resolve("missing"), Arena.ofAuto()));
    assertThatExceptionOfType(FileSystemException.class)
        .isThrownBy(() -> SafetensorsFile.map(folder, Arena.ofAuto()))
        .withMessage(folder + ": it is a folder, not a file");
  }

  @Test
  void aHeaderOfAnyLengthIsMappedAndAlignmentIsTold() throws IOException {
    String header = entry("F32", "[2]", 0, 8);
    for (int padding = 0; padding < 8; padding++) {
      Path path = RawFile.write(folder, header + " ".repeat(padding), 8);
      try (Arena arena = Arena.ofConfined()) {
        Tensor tensor = SafetensorsFile.map(path, arena).tensor("a");
        assertThat(tensor.isAligned()).isEqualTo((header.length() + padding) % 4 == 0);
        assertThat(bytes(tensor)).containsExactly(0, 1, 2, 3, 4, 5, 6, 7);
        assertThat(
                tensor
                    .data()
                    .get(ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 4))
            .isEqualTo(0x07060504);
      }
    }
  }

  @Test
  void aTensorCanHaveMoreThanTwoToThe31Elements() throws IOException {
    long numel = (1L << 31) + 5;
    String header = entry("F32", "[" + numel + "]", 0, numel * Float.BYTES);
    header += " ".repeat(8 - header.length() % 8);
    Path path = folder.resolve("sparse.safetensors");
    try (RandomAccessFile sparse = new RandomAccessFile(path.toFile(), "rw")) {
      long dataStart = Long.BYTES + header.length();
      sparse.setLength(dataStart + numel * Float.BYTES);
      sparse.writeLong(Long.reverseBytes(header.length()));
      sparse.write(header.getBytes(StandardCharsets.UTF_8));
      sparse.seek(dataStart + (numel - 1) * Float.BYTES);
      sparse.write(ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(0.75f).array());
    }
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor = SafetensorsFile.map(path, arena).tensor("a");
      ValueLayout.OfFloat layout = ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN);
      assertThat(tensor.numel()).isEqualTo(numel);
      assertThat(tensor.data().getAtIndex(layout, numel - 1)).isEqualTo(0.75f);
      assertThat(tensor.data().getAtIndex(layout, numel - 2)).isZero();
    }
  }

  private static String entry(String dtype, String shape, long begin, long end) {
    return "{\"a\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}}"
        .formatted(dtype, shape, begin, end);
  }

  private static byte[] bytes(Tensor tensor) {
    return tensor.data().toArray(ValueLayout.JAVA_BYTE);
  }
}
