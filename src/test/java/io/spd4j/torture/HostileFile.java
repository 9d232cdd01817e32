package io.spd4j.torture;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.spd4j.Adam;
import io.spd4j.Checkpoint;
import io.spd4j.ElementType;
import io.spd4j.MomentType;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.SelectiveProjectionDecay;
import io.spd4j.WeightDecay;
import io.spd4j.safetensors.SafetensorsException;
import io.spd4j.safetensors.SafetensorsFile;
import io.spd4j.safetensors.SafetensorsWriter;
import io.spd4j.safetensors.SafetensorsWriter.Option;
import io.spd4j.safetensors.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.stream.Stream;

/** What a file may do that somebody hostile may have made. */
final class HostileFile {
  static final String RESTORED = "restored";
  private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

  private HostileFile() {}

  /**
   * Maps a file and restores an optimizer from it: both end in the exceptions that are documented,
   * or what they give is consistent.
   *
   * @param most how many bytes of the heap the mapping of the file may take
   * @return what the optimizer did
   */
  static String check(Path path, byte[] bytes, long most) throws IOException {
    Files.deleteIfExists(path); // to overwrite it would take longer
    Files.write(path, bytes);
    read(path, bytes, most);
    return restore(path);
  }

  /** Reads all of a file if it is accepted. */
  private static void read(Path path, byte[] bytes, long most) throws IOException {
    long before = THREADS.getCurrentThreadAllocatedBytes();
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file;
      try {
        file = SafetensorsFile.map(path, arena);
      } catch (SafetensorsException e) {
        assertThat(e).hasMessageStartingWith(path + ": ");
        assertThat(e.getMessage()).hasSizeLessThan(10_000);
        return;
      } finally {
        long allocated = THREADS.getCurrentThreadAllocatedBytes() - before;
        assertThat(allocated).isLessThan(most);
      }
      long header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong();
      long at = Long.BYTES + header;
      for (Tensor tensor : file.tensors().values()) {
        byte[] data = tensor.data().toArray(ValueLayout.JAVA_BYTE);
        assertThat(data).hasSize((int) (tensor.numel() * tensor.dtype().byteSize()));
        assertThat(Arrays.equals(bytes, (int) at, (int) at + data.length, data, 0, data.length))
            .isTrue();
        assertThat(file.tensor(tensor.name())).isSameAs(tensor);
        at += data.length;
      }
      assertThat(at).isEqualTo(bytes.length);
      try {
        file.verify();
      } catch (SafetensorsException e) {
        assertThat(e).hasMessageStartingWith(path + ": ");
      }
    }
  }

  /** Returns what an optimizer does with a file. If it continues from it, it steps. */
  private static String restore(Path path) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Checkpoint checkpoint;
      try {
        checkpoint = Checkpoint.read(path, arena);
      } catch (IOException e) {
        assertThat(e.getMessage()).startsWith(path.toString());
        return "no checkpoint";
      }
      checkpoint.metadata().keySet().forEach(Objects::requireNonNull);
      List<ParameterGroup> groups = groups(arena);
      try {
        assertThat(checkpoint.step("a")).isBetween(0L, 1L << 53);
      } catch (NoSuchElementException e) {
        // it has none
      }
      List<byte[]> before = state(groups);
      Adam.Builder builder = Adam.builder().threads(1).restore(checkpoint);
      groups.forEach(builder::group);
      try (Adam adam = builder.build()) {
        for (ParameterGroup group : groups) {
          assertThat(group.lr()).isFinite().isNotNegative();
          assertThat(group.decay().lambda()).isFinite().isNotNegative();
        }
        adam.spdReports();
        adam.step();
        adam.spdReports();
        return RESTORED;
      } catch (IllegalArgumentException e) {
        assertThat(e).hasMessageStartingWith("the checkpoint " + path + " does not fit: ");
        assertThat(e.getMessage()).hasSizeLessThan(20_000);
        List<byte[]> after = state(groups);
        for (int i = 0; i < before.size(); i++) {
          assertThat(after.get(i)).isEqualTo(before.get(i));
        }
        for (ParameterGroup group : groups) {
          assertThat(group.lr()).isEqualTo(0.1);
          assertThat(group.frozen()).isFalse();
        }
        return "of another optimizer";
      }
    }
  }

  private static List<byte[]> state(List<ParameterGroup> groups) {
    return groups.stream()
        .flatMap(group -> group.parameters().stream())
        .flatMap(p ->
            Stream.of(
                p.data(),
                p.low(),
                p.gradient(),
                p.anchor(),
                p.expAvg(),
                p.expAvgSq(),
                p.maxExpAvgSq()))
        .filter(Objects::nonNull)
        .map(segment -> segment.toArray(ValueLayout.JAVA_BYTE))
        .toList();
  }

  /** Returns groups that the checkpoints among {@link #valid} fit. */
  private static List<ParameterGroup> groups(Arena arena) {
    Parameter a =
        Parameter.builder("a", array(arena, 4 * 130))
            .gradient(array(arena, 4 * 130))
            .anchor(array(arena, 4 * 130))
            .moments(array(arena, 4 * 130).fill((byte) 0), array(arena, 4 * 130).fill((byte) 0))
            .build();
    Parameter b =
        Parameter.builder("b.low", array(arena, 2 * 7), ElementType.BFLOAT16)
            .low(array(arena, 2 * 7))
            .gradient(array(arena, 2 * 7), ElementType.BFLOAT16)
            .momentType(MomentType.BLOCKWISE_8BIT)
            .build();
    Parameter c =
        Parameter.builder("c\"", array(arena, 4 * 3))
            .gradient(array(arena, 4 * 3))
            .momentType(MomentType.BFLOAT16)
            .build();
    return List.of(
        ParameterGroup.builder()
            .lr(0.1)
            .decay(new SelectiveProjectionDecay(1))
            .parameter(a)
            .parameter(b)
            .build(),
        ParameterGroup.builder()
            .lr(0.1)
            .decay(new WeightDecay(0.5))
            .amsgrad(true)
            .parameter(c)
            .build());
  }

  private static MemorySegment array(Arena arena, long bytes) {
    return arena.allocate(bytes, 64).fill((byte) 0x3c);
  }

  /** Returns files that are not changed yet: of tensors, and two checkpoints. */
  static List<byte[]> valid(Path folder) throws IOException {
    List<byte[]> valid = new ArrayList<>();
    Path path = folder.resolve("valid");
    List<Tensor> tensors = new ArrayList<>();
    for (ElementType type : ElementType.values()) {
      MemorySegment data = MemorySegment.ofArray(new byte[6 * type.byteSize()]);
      tensors.add(new Tensor("layer." + type, type, List.of(2L, 1L, 3L), data));
    }
    tensors.add(
        new Tensor(
            "empty", ElementType.FLOAT32, List.of(0L, 7L), MemorySegment.ofArray(new byte[0])));
    SafetensorsWriter.write(
        path, tensors, Map.of("format", "pt", "note", "é😀\n\""), Option.CHECKSUM);
    valid.add(Files.readAllBytes(path));
    for (boolean parameters : new boolean[] {false, true}) {
      try (Arena arena = Arena.ofConfined()) {
        Adam.Builder builder = Adam.builder().threads(1);
        groups(arena).forEach(builder::group);
        try (Adam adam = builder.build()) {
          adam.step();
          adam.step();
          Checkpoint.of(adam).parameters(parameters).metadata("epoch", "3").write(path);
        }
      }
      assertThat(restore(path)).isEqualTo(RESTORED);
      valid.add(Files.readAllBytes(path));
    }
    return valid;
  }
}
