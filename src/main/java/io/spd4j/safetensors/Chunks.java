package io.spd4j.safetensors;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.zip.CRC32;

/** Collects bytes and writes them to a file in chunks. Closing writes nothing. */
final class Chunks extends OutputStream {
  private final TemporaryFile file;

  /** Of all bytes so far; null if they have no checksum. */
  private final CRC32 crc;

  private final Arena arena = Arena.ofShared();
  private final MemorySegment chunk;
  private long filled;

  /**
   * @param size of a chunk, in bytes, at least 1
   */
  Chunks(TemporaryFile file, long size, CRC32 crc) {
    this.file = file;
    this.crc = crc;
    chunk = arena.allocate(size);
  }

  void write(MemorySegment data) throws IOException {
    long size;
    for (long at = 0; at < data.byteSize(); at += size) {
      if (filled == chunk.byteSize()) {
        flush();
      }
      size = Math.min(chunk.byteSize() - filled, data.byteSize() - at);
      MemorySegment.copy(data, at, chunk, filled, size);
      filled += size;
    }
  }

  @Override
  public void write(byte[] bytes, int offset, int length) throws IOException {
    write(MemorySegment.ofArray(bytes).asSlice(offset, length));
  }

  @Override
  public void write(int value) throws IOException {
    write(new byte[] {(byte) value});
  }

  @Override
  public void flush() throws IOException {
    MemorySegment bytes = chunk.asSlice(0, filled);
    filled = 0;
    if (crc != null) {
      crc.update(bytes.asByteBuffer());
    }
    file.write(bytes.asByteBuffer());
  }

  @Override
  public void close() {
    arena.close();
  }
}
