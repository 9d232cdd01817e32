package io.spd4j.safetensors;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Writes files byte by byte, so that they can be wrong. */
final class RawFile {
  private RawFile() {}

  /** Returns the header's length, the header, and data bytes that count up from 0. */
  static byte[] bytes(byte[] header, int dataSize) {
    ByteBuffer file =
        ByteBuffer.allocate(Long.BYTES + header.length + dataSize).order(ByteOrder.LITTLE_ENDIAN);
    file.putLong(header.length).put(header);
    for (int i = 0; i < dataSize; i++) {
      file.put((byte) i);
    }
    return file.array();
  }

  static byte[] bytes(String header, int dataSize) {
    return bytes(header.getBytes(StandardCharsets.UTF_8), dataSize);
  }

  static Path write(Path folder, byte[] bytes) throws IOException {
    Path file = folder.resolve("raw.safetensors");
    // Overwriting a file in place makes ext4 write it out at once: ten times slower.
    Files.deleteIfExists(file);
    return Files.write(file, bytes);
  }

  static Path write(Path folder, String header, int dataSize) throws IOException {
    return write(folder, bytes(header, dataSize));
  }
}
