package io.spd4j.safetensors;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.zip.CRC32;

/**
 * The checksum of a whole file: the CRC-32 of all its bytes, header included, in which the
 * checksum's own 8 hexadecimal digits count as zeros.
 */
final class Checksum {
  /** The key in {@code __metadata__}. */
  static final String KEY = "spd4j.crc32";

  /** What stands for the digits while the checksum is computed. */
  static final String ZEROS = "00000000";

  private static final byte[] BEFORE = ("\"" + KEY + "\":\"").getBytes(StandardCharsets.US_ASCII);
  private static final int CHUNK_SIZE = 1 << 16;

  private Checksum() {}

  /**
   * Returns where the digits are in a file's first bytes, -1 if nowhere. Quotes within JSON strings
   * are escaped, so no other text of the header looks like the key and its value.
   */
  static int offset(byte[] start) {
    for (int at = 0; at + BEFORE.length + ZEROS.length() < start.length; at++) {
      int i = 0;
      while (i < BEFORE.length && start[at + i] == BEFORE[i]) {
        i++;
      }
      if (i == BEFORE.length) {
        return at + i;
      }
    }
    return -1;
  }

  static String digits(CRC32 crc) {
    return HexFormat.of().toHexDigits((int) crc.getValue());
  }

  /**
   * Adds the bytes of a segment. They are copied to the heap first: in a mapped file that was cut
   * short, a copy ends with an error, but a checksum's native code would end the JVM.
   */
  static void update(CRC32 crc, MemorySegment data) {
    byte[] chunk = new byte[(int) Math.min(CHUNK_SIZE, data.byteSize())];
    for (long at = 0; at < data.byteSize(); at += chunk.length) {
      int size = (int) Math.min(chunk.length, data.byteSize() - at);
      MemorySegment.copy(data, ValueLayout.JAVA_BYTE, at, chunk, 0, size);
      crc.update(chunk, 0, size);
    }
  }
}
