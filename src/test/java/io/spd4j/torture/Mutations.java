package io.spd4j.torture;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.zip.CRC32;

/**
 * Changes valid safetensors files into ones that somebody hostile, or a broken disk, could make.
 */
final class Mutations {
  private static final Pattern NUMBER = Pattern.compile("-?\\d+(\\.\\d+)?([eE][-+]?\\d+)?");
  private static final Pattern STRING = Pattern.compile("\"(?:[^\"\\\\]++|\\\\.)*+\"");
  private static final Pattern LIST = Pattern.compile("\\[[^\\[\\]]*\\]");
  private static final Pattern FIELD =
      Pattern.compile(
          "\"(?:[^\"\\\\]++|\\\\.)*+\":(\\d+|\"[^\"\\\\]*+\"|\\[[^\\[\\]]*\\]|\\{[^{}]*\\})");
  private static final String MEANING = "{}[]\":,\\0123456789-+.eEu \n\0/é";
  private static final List<String> NUMBERS =
      List.of(
          "0",
          "1",
          "-1",
          "2",
          "4",
          "8",
          "64",
          "255",
          "4096",
          "0.5",
          "1e3",
          "1e999",
          "-0",
          "00",
          "2147483647",
          "2147483648",
          "4294967296",
          "9007199254740993",
          "9223372036854775807",
          "9223372036854775808",
          "18446744073709551615",
          "-9223372036854775808",
          "1" + "0".repeat(400),
          "1e-400",
          "NaN",
          "Infinity");
  private static final List<String> VALUES =
      List.of(
          "null",
          "true",
          "{}",
          "[]",
          "\"\"",
          "\"F32\"",
          "\"U8\"",
          "\"F64\"",
          "\"I64\"",
          "\"BF16\"",
          "\"F4\"",
          "\"FLOAT32\"",
          "\"BLOCKWISE_8BIT\"",
          "\"spd\"",
          "\"\\ud800\"",
          "\"\\u0000\"",
          "[0,0]",
          "[[]]",
          "{\"a\":{}}",
          "\"__metadata__\"",
          "\"spd4j.crc32\"");

  private Mutations() {}

  /**
   * Returns a changed file.
   *
   * @param other another valid file, of which parts can be taken
   */
  static byte[] of(byte[] valid, byte[] other, SplittableRandom random) {
    byte[] file = valid;
    do {
      file = one(file, other, random);
    } while (random.nextInt(3) == 0);
    return random.nextInt(4) == 0 ? file : withChecksum(file);
  }

  private static byte[] one(byte[] file, byte[] other, SplittableRandom random) {
    int length = headerLength(file);
    if (length < 0 || random.nextInt(4) == 0) {
      return bytes(file, other, random);
    }
    String header = new String(file, Long.BYTES, length, StandardCharsets.UTF_8);
    byte[] data = Arrays.copyOfRange(file, Long.BYTES + length, file.length);
    if (random.nextInt(6) == 0) { // values: NaN, huge counts of steps, anything
      for (int n = random.nextInt(16); n > 0 && data.length > 0; n--) {
        data[random.nextInt(data.length)] = (byte) random.nextInt();
      }
      return whole(header.getBytes(StandardCharsets.UTF_8), data);
    }
    if (random.nextInt(12) == 0) {
      return whole(notUtf8(header, random), data);
    }
    int inner = header.indexOf("\"spd4j.checkpoint\":\"");
    if (inner >= 0 && random.nextBoolean()) {
      int begin = inner + "\"spd4j.checkpoint\":\"".length();
      int end = begin;
      while (end < header.length() && header.charAt(end) != '"') {
        end += header.charAt(end) == '\\' ? 2 : 1;
      }
      end = Math.min(end, header.length());
      String json = header.substring(begin, end).replace("\\\"", "\"");
      header =
          header.substring(0, begin)
              + text(json, json, random).replace("\\", "\\\\").replace("\"", "\\\"")
              + header.substring(end);
    } else {
      int otherLength = headerLength(other);
      header =
          text(header, new String(other, Long.BYTES, otherLength, StandardCharsets.UTF_8), random);
    }
    return whole(header.getBytes(StandardCharsets.UTF_8), data);
  }

  /** Changes bytes, whatever they mean. */
  private static byte[] bytes(byte[] file, byte[] other, SplittableRandom random) {
    byte[] changed = file.clone();
    switch (random.nextInt(5)) {
      case 0 -> {
        for (int n = 1 + random.nextInt(8); n > 0 && changed.length > 0; n--) {
          changed[random.nextInt(changed.length)] ^= (byte) (1 << random.nextInt(8));
        }
      }
      case 1 -> changed = Arrays.copyOf(file, random.nextInt(file.length + 1));
      case 2 -> changed = Arrays.copyOf(file, file.length + 1 + random.nextInt(64));
      case 3 -> {
        if (file.length >= Long.BYTES) {
          long length = random.nextLong() >> random.nextInt(64);
          ByteBuffer.wrap(changed).order(ByteOrder.LITTLE_ENDIAN).putLong(0, length);
        }
      }
      default -> { // the start of one file and the end of another
        int at = random.nextInt(file.length + 1);
        int from = random.nextInt(other.length);
        changed = Arrays.copyOf(file, at + other.length - from);
        System.arraycopy(other, from, changed, at, other.length - from);
      }
    }
    return changed;
  }

  /** Changes JSON. */
  private static String text(String json, String other, SplittableRandom random) {
    return switch (random.nextInt(8)) {
      case 0 -> replace(json, NUMBER, pick(NUMBERS, random), random);
      case 1 -> {
        MatchResult number = any(json, NUMBER, random);
        yield number == null
            ? json
            : replace(json, number, Long.toString(random.nextLong() >> random.nextInt(64)));
      }
      case 2 -> replace(json, random.nextBoolean() ? STRING : LIST, pick(VALUES, random), random);
      case 3 -> { // two of a kind, such as offsets, change places; a string may replace another
        Pattern kind = random.nextBoolean() ? LIST : random.nextBoolean() ? STRING : NUMBER;
        MatchResult a = any(json, kind, random);
        MatchResult b = any(json, kind, random);
        yield a == null ? json : replace(json, a, b.group());
      }
      case 4 -> { // a field a second time, or gone
        MatchResult field = any(json, FIELD, random);
        yield field == null
            ? json
            : replace(json, field, random.nextBoolean() ? field.group() + "," + field.group() : "");
      }
      case 5 -> { // characters
        StringBuilder changed = new StringBuilder(json);
        for (int n = 1 + random.nextInt(3); n > 0 && !json.isEmpty(); n--) {
          changed.setCharAt(
              random.nextInt(json.length()), MEANING.charAt(random.nextInt(MEANING.length())));
        }
        yield changed.toString();
      }
      case 6 -> { // deep nesting
        int at = random.nextInt(json.length() + 1);
        String nest = random.nextBoolean() ? "[" : "{\"a\":";
        yield json.substring(0, at)
            + nest.repeat(1 + random.nextInt(random.nextInt(20) == 0 ? 50_000 : 1500))
            + json.substring(at);
      }
      default -> { // a piece of another header, in place of one of this
        int begin = random.nextInt(json.length() + 1);
        int end = Math.min(json.length(), begin + random.nextInt(80));
        int from = random.nextInt(other.length() + 1);
        int to = Math.min(other.length(), from + random.nextInt(120));
        yield json.substring(0, begin) + other.substring(from, to) + json.substring(end);
      }
    };
  }

  private static byte[] notUtf8(String header, SplittableRandom random) {
    if (random.nextInt(4) == 0) {
      return header.getBytes(
          random.nextBoolean() ? StandardCharsets.UTF_16LE : StandardCharsets.UTF_16);
    }
    byte[] bytes = header.getBytes(StandardCharsets.UTF_8);
    if (bytes.length > 0) {
      bytes[random.nextInt(bytes.length)] = (byte) (0x80 | random.nextInt(0x80));
    }
    return bytes;
  }

  private static String replace(
      String text, Pattern pattern, String replacement, SplittableRandom random) {
    MatchResult match = any(text, pattern, random);
    return match == null ? text : replace(text, match, replacement);
  }

  private static String replace(String text, MatchResult match, String replacement) {
    return text.substring(0, match.start()) + replacement + text.substring(match.end());
  }

  private static MatchResult any(String text, Pattern pattern, SplittableRandom random) {
    // Nested text would make the patterns recurse as deeply.
    List<MatchResult> all =
        text.length() > 20_000 ? List.of() : pattern.matcher(text).results().toList();
    return all.isEmpty() ? null : pick(all, random);
  }

  private static <T> T pick(List<T> list, SplittableRandom random) {
    return list.get(random.nextInt(list.size()));
  }

  /** Returns the header's length, -1 if it is not true. */
  private static int headerLength(byte[] file) {
    if (file.length < Long.BYTES) {
      return -1;
    }
    long length = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong();
    return length >= 0 && length <= file.length - Long.BYTES ? (int) length : -1;
  }

  private static byte[] whole(byte[] header, byte[] data) {
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    file.writeBytes(length.putLong(header.length).array());
    file.writeBytes(header);
    file.writeBytes(data);
    return file.toByteArray();
  }

  /** Makes the checksum right, if there is one: who changes a file can do so, too. */
  private static byte[] withChecksum(byte[] file) {
    String key = "\"spd4j.crc32\":\"";
    int at = new String(file, StandardCharsets.ISO_8859_1).indexOf(key) + key.length();
    if (at < key.length() || at + 8 > file.length) {
      return file;
    }
    byte[] changed = file.clone();
    Arrays.fill(changed, at, at + 8, (byte) '0');
    CRC32 crc = new CRC32();
    crc.update(changed);
    byte[] digits = "%08x".formatted(crc.getValue()).getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(digits, 0, changed, at, 8);
    return changed;
  }
}
