package io.spd4j.safetensors;

import static io.spd4j.safetensors.SafetensorsException.quoted;
import static java.util.Objects.requireNonNull;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.SequencedMap;

/**
 * A safetensors file, mapped into memory read-only. Tensors are slices of the mapping: nothing is
 * copied, files and tensors can be larger than 2 GiB, and pages are read when they are touched.
 * Pre-trained weights can so be used where they lie.
 *
 * <p>The header is checked as the <a
 * href="https://github.com/huggingface/safetensors#format">format</a> asks, and more strictly than
 * by the reference implementation: duplicate keys and unknown fields are refused. The values are
 * not looked at.
 *
 * <p>Immutable and safe for use by several threads, as far as the arena lets them read the
 * segments.
 */
public final class SafetensorsFile {
  private final Path file;
  private final Map<String, String> metadata;
  private final SequencedMap<String, Tensor> tensors;

  private SafetensorsFile(
      Path file, Map<String, String> metadata, SequencedMap<String, Tensor> tensors) {
    this.file = file;
    this.metadata = metadata;
    this.tensors = tensors;
  }

  /**
   * Maps a file. The mapping lives as long as the arena; after that every access to a tensor's data
   * throws {@link IllegalStateException}. Only the header is read onto the heap. The format limits
   * it to 100 MB, which in a file made to do harm can take 1 GB once parsed; that of a usual model
   * is well below 1 MB.
   *
   * <p>A file that is overwritten in place while it is mapped changes under its readers, and one
   * that is truncated makes them fail with {@link InternalError}, or end the JVM with SIGBUS if
   * native code reads it. {@link SafetensorsWriter} does neither: it replaces the file, and the
   * mapping goes on to show the old one.
   *
   * @param file the file
   * @param arena what owns the mapping; one that is shared if several threads are to read it
   * @return what the file holds
   * @throws SafetensorsException if the file is not a valid safetensors file; nothing is then
   *     mapped
   * @throws IOException if the file cannot be read
   * @throws NullPointerException if an argument is null
   * @throws IllegalStateException if the arena is closed
   * @throws WrongThreadException if the arena is confined to another thread
   */
  public static SafetensorsFile map(Path file, Arena arena) throws IOException {
    requireNonNull(file, "file");
    requireNonNull(arena, "arena");
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
          file, header.metadata(), Collections.unmodifiableSequencedMap(tensors));
    }
  }

  /** Trusts the length that the file says only where the file has as many bytes. */
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
   * The free-form strings of the header's {@code __metadata__}, in the order of the file.
   *
   * @return an unmodifiable map, empty if there are none
   */
  public Map<String, String> metadata() {
    return metadata;
  }

  /**
   * All tensors by name, in the order of their data in the file. Their data are read-only.
   *
   * @return an unmodifiable map
   */
  public SequencedMap<String, Tensor> tensors() {
    return tensors;
  }

  /**
   * One tensor. Its data are read-only.
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
