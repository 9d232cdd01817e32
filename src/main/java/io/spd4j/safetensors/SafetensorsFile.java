package io.spd4j.safetensors;

import static io.spd4j.safetensors.SafetensorsException.quoted;
import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.SequencedMap;
import java.util.zip.CRC32;

/**
 * A safetensors file, mapped into memory read-only. Tensors are slices of the mapping: nothing is
 * copied, files and tensors can be larger than 2 GiB, and pages are read when they are touched. So
 * pre-trained weights can be used in place.
 *
 * <p>The header is checked as the <a
 * href="https://github.com/huggingface/safetensors#format">format</a> requires, and more strictly
 * than by the reference implementation: duplicate keys and unknown fields are refused. The tensors'
 * values are not checked.
 *
 * <p>Immutable and thread-safe; the arena decides which threads can read the segments.
 */
public final class SafetensorsFile {
  private final Path file;
  private final MemorySegment mapped;
  private final long dataStart;
  private final Map<String, String> metadata;
  private final SequencedMap<String, Tensor> tensors;

  private SafetensorsFile(
      Path file,
      MemorySegment mapped,
      long dataStart,
      Map<String, String> metadata,
      SequencedMap<String, Tensor> tensors) {
    this.file = file;
    this.mapped = mapped;
    this.dataStart = dataStart;
    this.metadata = metadata;
    this.tensors = tensors;
  }

  /**
   * Maps a file. The mapping lives as long as the arena; after that every access to a tensor's data
   * throws {@link IllegalStateException}. Only the header is read onto the heap. A usual model's
   * header is well below 1 MB. The format limits it to 100 MB, which in a malicious file can take 1
   * GB once parsed.
   *
   * <p>If a mapped file is overwritten in place, its readers see the change. If it is truncated,
   * they fail with {@link InternalError}, or native code that reads it ends the JVM with SIGBUS.
   * {@link SafetensorsWriter} does neither: it replaces the file, and the mapping still shows the
   * old one.
   *
   * @param file the file
   * @param arena owns the mapping; use a shared arena if several threads are to read it
   * @return the file's tensors and metadata
   * @throws SafetensorsException if the file is not a valid safetensors file; then nothing is
   *     mapped
   * @throws IOException if the file cannot be read, is a folder, a pipe or a device, or the thread
   *     is interrupted ({@link java.nio.channels.ClosedByInterruptException}); then nothing is
   *     mapped
   * @throws NullPointerException if an argument is null
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   */
  public static SafetensorsFile map(Path file, Arena arena) throws IOException {
    requireNonNull(file, "file");
    requireNonNull(arena, "arena");
    RegularFile.require(file);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      long size = channel.size();
      byte[] json = readHeader(file, channel, size);
      long dataStart = Header.PREFIX_SIZE + json.length;
      Header header = HeaderParser.parse(file, json, size - dataStart);
      MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
      SequencedMap<String, Tensor> tensors = new LinkedHashMap<>();
      for (Header.Entry entry : header.entries()) {
        MemorySegment data = mapped.asSlice(dataStart + entry.begin(), entry.end() - entry.begin());
        tensors.put(entry.name(), new Tensor(entry.name(), entry.dtype(), entry.shape(), data));
      }
      return new SafetensorsFile(
          file,
          mapped,
          dataStart,
          header.metadata(),
          Collections.unmodifiableSequencedMap(tensors));
    }
  }

  /** Reads the header, trusting its stated length only if the file is that long. */
  private static byte[] readHeader(Path file, FileChannel channel, long fileSize)
      throws IOException {
    InputStream in = Channels.newInputStream(channel);
    byte[] prefix = in.readNBytes(Header.PREFIX_SIZE);
    if (prefix.length < Header.PREFIX_SIZE) {
      throw new SafetensorsException(
          file, "the file has " + prefix.length + " bytes, too few for the header's length");
    }
    long size = ByteBuffer.wrap(prefix).order(ByteOrder.LITTLE_ENDIAN).getLong();
    if (Long.compareUnsigned(size, Header.MAX_SIZE) > 0) {
      String length = Long.toUnsignedString(size);
      throw new SafetensorsException(
          file,
          "header of " + length + " bytes, more than the format's limit of " + Header.MAX_SIZE);
    }
    if (size > fileSize - Header.PREFIX_SIZE) {
      throw new SafetensorsException(
          file, "header of " + size + " bytes in a file of " + fileSize + " bytes");
    }
    return in.readNBytes((int) size);
  }

  /**
   * Reads the whole file and compares it with its checksum ({@link
   * SafetensorsWriter.Option#CHECKSUM}), which tells whether it was damaged since it was written.
   *
   * @return false if the file has no checksum
   * @throws SafetensorsException if the file is not the one that the checksum was computed from
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   */
  public boolean verify() throws SafetensorsException {
    String stated = metadata.get(Checksum.KEY);
    if (stated == null) {
      return false;
    }
    byte[] start = mapped.asSlice(0, dataStart).toArray(ValueLayout.JAVA_BYTE);
    int digits = Checksum.offset(start);
    if (digits < 0 || stated.length() != Checksum.ZEROS.length()) {
      throw new SafetensorsException(file, "the checksum " + quoted(stated) + " is malformed");
    }
    Arrays.fill(start, digits, digits + Checksum.ZEROS.length(), (byte) '0');
    CRC32 crc = new CRC32();
    crc.update(start);
    Checksum.update(crc, mapped.asSlice(dataStart));
    String actual = Checksum.digits(crc);
    if (!stated.equals(actual)) {
      throw new SafetensorsException(
          file,
          "the file is damaged: its checksum is " + actual + ", but should be " + quoted(stated));
    }
    return true;
  }

  /**
   * Returns the free-form strings of the header's {@code __metadata__}, in the order of the file.
   *
   * @return an unmodifiable map, empty if there are none
   */
  public Map<String, String> metadata() {
    return metadata;
  }

  /**
   * Returns all tensors by name, in the order of their data in the file. Their data are read-only.
   *
   * @return an unmodifiable map
   */
  public SequencedMap<String, Tensor> tensors() {
    return tensors;
  }

  /**
   * Returns one tensor. Its data are read-only.
   *
   * @param name its name in the file
   * @return the tensor
   * @throws NoSuchElementException if the file has no tensor of that name
   */
  public Tensor tensor(String name) {
    Tensor tensor = tensors.get(requireNonNull(name, "name"));
    if (tensor == null) {
      throw new NoSuchElementException(file + ": no tensor " + quoted(name));
    }
    return tensor;
  }
}
