package io.spd4j.safetensors;

import static io.spd4j.safetensors.SafetensorsException.quoted;
import static java.util.Objects.requireNonNull;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharsetEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.zip.CRC32;

/**
 * Writes <a href="https://github.com/huggingface/safetensors#format">safetensors</a> files.
 *
 * <p>Tensors with wider elements come first; otherwise the given order is kept. So every tensor is
 * aligned to its elements. The data start at a multiple of {@value #ALIGNMENT} bytes. Metadata are
 * sorted by key. The same tensors and metadata give the same bytes.
 */
public final class SafetensorsWriter {
  /** The data's alignment in the file, in bytes: a cache line, and the widest vector register. */
  static final int ALIGNMENT = 64;

  /** Bytes written at a time. */
  static final int CHUNK_SIZE = 8 << 20;

  private static final JsonFactory JSON = new JsonFactory();

  /** What {@link #write} does besides writing. */
  public enum Option {
    /**
     * Adds a checksum of the whole file, which {@link SafetensorsFile#verify} checks, as {@code
     * spd4j.crc32} to the metadata: 8 hexadecimal digits, the CRC-32 of the file's bytes, computed
     * with zeros in the place of these digits.
     */
    CHECKSUM,
    /**
     * Keeps the file that is replaced under {@linkplain #previous another name}, and replaces what
     * had that name. The target exists at any moment, except on file systems without hard links.
     */
    KEEP_PREVIOUS
  }

  private SafetensorsWriter() {}

  /**
   * Writes a file, or replaces it, as {@link AtomicFile} describes: the whole file appears at once,
   * and after an exception the old file is unchanged. Mappings of the old file still show the old
   * file.
   *
   * <p>The tensors' data must not be written while this runs.
   *
   * @param target the file; its folder must exist
   * @param tensors the tensors to write; their names must be distinct, not empty and not {@code
   *     __metadata__}
   * @param metadata free-form strings, can be empty; {@code spd4j.crc32} among them is left out,
   *     because it is another file's checksum
   * @param options what else to do
   * @throws NullPointerException if an argument, a tensor, or a key or value of the metadata is
   *     null
   * @throws IllegalArgumentException if a name is not allowed or appears twice, a string holds an
   *     unpaired surrogate, or the header would be longer than the format's limit of 100 MB; then
   *     nothing is written
   * @throws IllegalStateException if the arena of a tensor's data is closed; the message names the
   *     tensor
   * @throws WrongThreadException if a tensor's data are confined to another thread
   * @throws IOException if the file cannot be written, or the target is neither a file nor missing
   */
  public static void write(
      Path target, Collection<Tensor> tensors, Map<String, String> metadata, Option... options)
      throws IOException {
    requireNonNull(target, "target");
    requireNonNull(tensors, "tensors");
    requireNonNull(metadata, "metadata");
    List<Tensor> inOrder = new ArrayList<>(tensors);
    check(inOrder, metadata);
    inOrder.sort(Comparator.comparingInt((Tensor t) -> t.dtype().byteSize()).reversed());
    Set<Option> chosen = Set.of(options);
    boolean checked = chosen.contains(Option.CHECKSUM);
    SortedMap<String, String> sorted = new TreeMap<>(metadata);
    sorted.remove(Checksum.KEY);
    if (checked) {
      sorted.put(Checksum.KEY, Checksum.ZEROS);
    }
    ByteBuffer header = header(inOrder, sorted);

    try (TemporaryFile temporary = TemporaryFile.beside(target)) {
      CRC32 crc = checked ? new CRC32() : null;
      long size = header.limit();
      for (Tensor tensor : inOrder) {
        size = Math.min(CHUNK_SIZE, size + Math.min(CHUNK_SIZE, tensor.data().byteSize()));
      }
      try (Chunks chunks = new Chunks(temporary, size, crc)) {
        chunks.write(MemorySegment.ofBuffer(header));
        for (Tensor tensor : inOrder) {
          chunks.write(tensor.data());
        }
        chunks.flush();
      }
      if (checked) {
        temporary.write(
            StandardCharsets.US_ASCII.encode(Checksum.digits(crc)),
            Checksum.offset(header.array()));
      }
      temporary.publish(chosen.contains(Option.KEEP_PREVIOUS) ? previous(target) : null);
    }
  }

  /** Returns where {@link Option#KEEP_PREVIOUS} keeps the old file: its name and .previous. */
  public static Path previous(Path target) {
    return target.toAbsolutePath().resolveSibling(target.getFileName() + ".previous");
  }

  private static void check(List<Tensor> tensors, Map<String, String> metadata) {
    CharsetEncoder utf8 = StandardCharsets.UTF_8.newEncoder();
    Set<String> names = new HashSet<>();
    for (Tensor tensor : tensors) {
      String name = requireNonNull(tensor, "tensor of tensors").name();
      if (name.isEmpty()) {
        throw new IllegalArgumentException("a tensor's name is empty");
      }
      if (name.equals(Header.METADATA)) {
        throw new IllegalArgumentException("a tensor cannot be named " + Header.METADATA);
      }
      checkUnicode(utf8, name);
      if (!names.add(name)) {
        throw new IllegalArgumentException("two tensors are named " + quoted(name));
      }
      if (!tensor.data().scope().isAlive()) {
        throw new IllegalStateException(quoted(name) + " lies in an arena that is closed");
      }
      if (!tensor.data().isAccessibleBy(Thread.currentThread())) {
        throw new WrongThreadException(
            quoted(name) + " lies in device memory or a confined arena of another thread");
      }
    }
    metadata.forEach((key, value) -> {
      checkUnicode(utf8, requireNonNull(key, "key of metadata"));
      checkUnicode(utf8, requireNonNull(value, () -> "value of metadata " + quoted(key)));
    });
  }

  private static void checkUnicode(CharsetEncoder utf8, String text) {
    if (!utf8.canEncode(text)) {
      throw new IllegalArgumentException("unpaired surrogate in " + quoted(text));
    }
  }

  /** Returns the header, preceded by its length and followed by its padding. */
  private static ByteBuffer header(List<Tensor> inOrder, SortedMap<String, String> metadata)
      throws IOException {
    ByteArrayOutputStream json = new ByteArrayOutputStream();
    try (JsonGenerator generator = JSON.createGenerator(json)) {
      generator.writeStartObject();
      if (!metadata.isEmpty()) {
        generator.writeObjectFieldStart(Header.METADATA);
        for (Map.Entry<String, String> entry : metadata.entrySet()) {
          generator.writeStringField(entry.getKey(), entry.getValue());
        }
        generator.writeEndObject();
      }
      long begin = 0;
      for (Tensor tensor : inOrder) {
        long end = begin + tensor.data().byteSize();
        generator.writeObjectFieldStart(tensor.name());
        generator.writeStringField(Header.DTYPE, tensor.dtype().safetensorsName());
        generator.writeArrayFieldStart(Header.SHAPE);
        for (long dimension : tensor.shape()) {
          generator.writeNumber(dimension);
        }
        generator.writeEndArray();
        generator.writeArrayFieldStart(Header.DATA_OFFSETS);
        generator.writeNumber(begin);
        generator.writeNumber(end);
        generator.writeEndArray();
        generator.writeEndObject();
        begin = end;
      }
      generator.writeEndObject();
    }
    long dataStart = Math.ceilDiv((long) Header.PREFIX_SIZE + json.size(), ALIGNMENT) * ALIGNMENT;
    long size = dataStart - Header.PREFIX_SIZE;
    if (size > Header.MAX_SIZE) {
      throw new IllegalArgumentException(
          "header of " + size + " bytes, more than the format's limit of " + Header.MAX_SIZE);
    }
    ByteBuffer header = ByteBuffer.allocate((int) dataStart).order(ByteOrder.LITTLE_ENDIAN);
    header.putLong(size).put(json.toByteArray());
    while (header.hasRemaining()) {
      header.put((byte) ' ');
    }
    return header.flip();
  }
}
