package io.spd4j.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MalformedFileTest {
  private static final String VALID =
      """
      {"__metadata__":{"format":"pt","note":"caf\\u00e9 é"},
       "a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
       "b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]},
       "c":{"dtype":"I64","shape":[0,7],"data_offsets":[26,26]},
       "d":{"dtype":"U8","shape":[6],"data_offsets":[26,32]}}\
      """;
  private static final int VALID_DATA = 32;

  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          # The text
          ``              | does not start with '{'
          ` {}`           | does not start with '{'
          []              | does not start with '{'
          {               | not valid JSON
          {}x             | not valid JSON
          {} {}           | something follows
          {}1             | something follows
          {'a':1}         | not valid JSON
          {} // comment   | not valid JSON
          {"a":NaN}       | not valid JSON
          {"\\ud800":{}}  | surrogate
          # An entry
          {"a":1}         | tensor 'a': its entry is not an object
          {"a":[]}        | tensor 'a': its entry is not an object
          {"a":null}      | tensor 'a': its entry is not an object
          {"a":{}}        | tensor 'a': dtype is missing
          {"a":{"dtype":"U8","data_offsets":[0,1]}} | tensor 'a': shape is missing
          {"a":{"dtype":"U8","shape":[1]}}          | tensor 'a': data_offsets is missing
          {"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":0}} | tensor 'a': unknown field 'x'
          {"a":{"DTYPE":"U8"}}                      | tensor 'a': unknown field 'DTYPE'
          # Keys that come twice
          {"a":{"dtype":"U8","dtype":"U8"}}                    | tensor 'a': dtype appears twice
          {"a":{"shape":[],"shape":[]}}                        | tensor 'a': shape appears twice
          {"a":{"data_offsets":[0,0],"data_offsets":[0,0]}}    | tensor 'a': data_offsets appears twice
          {"__metadata__":{},"__metadata__":{}}                | __metadata__ appears twice
          {"__metadata__":{"k":"","k":""}}                     | __metadata__ key 'k' appears twice
          # Metadata
          {"__metadata__":[]}               | __metadata__ is not an object
          {"__metadata__":null}             | __metadata__ is not an object
          {"__metadata__":{"k":1}}          | __metadata__ key 'k' is not a string
          {"__metadata__":{"k":null}}       | __metadata__ key 'k' is not a string
          {"__metadata__":{"k":{"l":"m"}}}  | __metadata__ key 'k' is not a string
          {"__metadata__":{"k":"\\udc00"}}  | surrogate
          """)
  void aFaultOfTheHeaderIsNamed(String header, String message) throws IOException {
    assertRefused(RawFile.bytes(header, 1), message);
  }

  /** The only tensor is a, with this entry. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          # Types
          8         | [1]      | [0,1]   | 1 | dtype is not a string
          null      | [1]      | [0,1]   | 1 | dtype is not a string
          "F33"     | [1]      | [0,1]   | 1 | unknown dtype 'F33'
          "u8"      | [1]      | [0,1]   | 1 | unknown dtype 'u8'
          "F4"      | [2]      | [0,1]   | 1 | dtype F4 packs its elements
          "F6_E2M3" | [4]      | [0,3]   | 3 | dtype F6_E2M3 packs its elements
          "U8"      | 1        | [0,1]   | 1 | shape is not an array
          "U8"      | {}       | [0,1]   | 1 | shape is not an array
          "U8"      | [1.0]    | [0,1]   | 1 | shape holds something that is not an integer
          "U8"      | [1e0]    | [0,1]   | 1 | shape holds something that is not an integer
          "U8"      | ["1"]    | [0,1]   | 1 | shape holds something that is not an integer
          "U8"      | [[1]]    | [0,1]   | 1 | shape holds something that is not an integer
          "U8"      | [null]   | [0,1]   | 1 | shape holds something that is not an integer
          # Dimensions
          "U8"      | [-1,-1]  | [0,1]   | 1 | shape holds the negative number -1
          "U8"      | [18446744073709551616]    | [0,1] | 1 | shape holds a number outside of 64 bits
          "U8"      | [4294967296,4294967296]   | [0,1] | 1 | the size of shape [4294967296, 4294967296] overflows
          "U8"      | [4294967296,4294967296,0] | [0,0] | 0 | the size of shape [4294967296, 4294967296, 0] overflows
          "F32"     | [4611686018427387904]     | [0,0] | 0 | the size of shape [4611686018427387904] overflows
          # Places
          "U8"      | [1]      | [0]     | 1 | data_offsets has 1 numbers instead of 2
          "U8"      | [1]      | [0,1,2] | 1 | data_offsets has more than 2 numbers
          "U8"      | [1]      | [-1,0]  | 1 | data_offsets holds the negative number -1
          "U8"      | [1]      | [1,0]   | 1 | data_offsets begin at 1, after their end at 0
          "F32"     | [2]      | [0,4]   | 4 | F32 of shape [2] takes 8 bytes, but data_offsets [0, 4] hold 4
          "U8"      | [9]      | [0,9]   | 8 | its data end at 9, but the file has 8 bytes of data
          "U8"      | [1]      | [9223372036854775806,9223372036854775807] | 1 | its data end at 9223372036854775807
          "U8"      | [4]      | [4,8]   | 8 | its data begin at 4, with a gap
          """)
  void aFaultOfAnEntryIsNamed(
      String dtype, String shape, String offsets, int dataSize, String message) throws IOException {
    assertRefused(RawFile.bytes(one(dtype, shape, offsets), dataSize), "tensor 'a': " + message);
  }

  @ParameterizedTest
  @CsvSource({
    "b, '[5,9]', 9, tensor 'b': its data begin at 5, with a gap",
    "b, '[3,7]', 7, tensor 'b': its data begin at 3 and overlap",
    "b, '[0,4]', 4, tensor 'b': its data begin at 0 and overlap",
    "a, '[4,8]', 8, tensor 'a': appears twice",
    "\\u0061, '[4,8]', 8, tensor 'a': appears twice"
  })
  void aFaultOfASecondTensorIsNamed(String name, String offsets, int dataSize, String message)
      throws IOException {
    String header =
        """
        {"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},\
        "%s":{"dtype":"U8","shape":[4],"data_offsets":%s}}\
        """;
    assertRefused(RawFile.bytes(header.formatted(name, offsets), dataSize), message);
  }

  @Test
  void faultsOfTheWholeAreNamed() throws IOException {
    assertRefused(RawFile.bytes("{}\0", 0), "not valid JSON");
    assertRefused(RawFile.bytes(one("\"U8\"", "[01]", "[0,1]"), 1), "not valid JSON");
    assertRefused(
        RawFile.bytes(one("\"U8\"", "[" + "9".repeat(5000) + "]", "[0,1]"), 1),
        "not valid JSON: Number value length");
    assertRefused(
        RawFile.bytes(one("\"U8\"", "[" + "1,".repeat(64) + "1]", "[0,1]"), 1),
        "tensor 'a': shape has more than 64 numbers");
    assertRefused(
        RawFile.bytes(one("\"U8\"", "[4]", "[0,4]"), 8),
        "the tensors' data end at 4, but the file has 8 bytes of data");
    assertRefused(
        RawFile.bytes("{}", 1), "the tensors' data end at 0, but the file has 1 bytes of data");
  }

  @Test
  void nestingIsNotFollowed() throws IOException {
    int deep = 200_000;
    assertRefused(
        RawFile.bytes("{\"a\":" + "[".repeat(deep), 0), "tensor 'a': its entry is not an object");
    assertRefused(RawFile.bytes("{\"a\":".repeat(deep), 0), "tensor 'a': unknown field 'a'");
    assertRefused(RawFile.bytes("{\"__metadata__\":".repeat(deep), 0), "is not a string");
    assertRefused(RawFile.bytes("{\"a\":{\"shape\":" + "[".repeat(deep), 0), "not an integer");
    assertRefused(
        RawFile.bytes("{\"a\":{\"dtype\":" + "{\"a\":".repeat(deep), 0), "dtype is not a string");
  }

  @Test
  void theTextMustBeUtf8() throws IOException {
    byte[][] wrong = {
      {(byte) 0x80}, // continuation byte alone
      {(byte) 0xC3}, // cut off
      {(byte) 0xC0, (byte) 0xAF}, // overlong
      {(byte) 0xED, (byte) 0xA0, (byte) 0x80}, // unpaired surrogate
      {(byte) 0xF4, (byte) 0x90, (byte) 0x80, (byte) 0x80}, // beyond Unicode
    };
    for (byte[] text : wrong) {
      ByteArrayOutputStream header = new ByteArrayOutputStream();
      header.writeBytes("{\"__metadata__\":{\"k\":\"".getBytes(StandardCharsets.UTF_8));
      header.writeBytes(text);
      header.writeBytes("\"}}".getBytes(StandardCharsets.UTF_8));
      assertRefused(RawFile.bytes(header.toByteArray(), 0), "not valid UTF-8");
    }
    assertRefused(RawFile.bytes("{}".getBytes(StandardCharsets.UTF_16LE), 0), "not valid JSON");
    assertRefused(RawFile.bytes("\uFEFF{}", 0), "does not start with '{'");
  }

  @Test
  void theLengthOfTheHeaderMustBeTrue() throws IOException {
    for (int size = 0; size < Long.BYTES; size++) {
      assertRefused(new byte[size], "the file has " + size + " bytes, too few");
    }
    assertRefused(lengthAndHeader(3, "{}"), "header of 3 bytes in a file of 10 bytes");
    assertRefused(
        lengthAndHeader(100_000_000, "{}"), "header of 100000000 bytes in a file of 10 bytes");
    assertRefused(
        lengthAndHeader(100_000_001, "{}"),
        "header of 100000001 bytes, more than the format's limit");
    assertRefused(
        lengthAndHeader(100L << 30, "{}"),
        "header of 107374182400 bytes, more than the format's limit");
    assertRefused(
        lengthAndHeader(Long.MAX_VALUE, "{}"), "header of 9223372036854775807 bytes, more");
    assertRefused(
        lengthAndHeader(Long.MIN_VALUE, "{}"), "header of 9223372036854775808 bytes, more");
    assertRefused(lengthAndHeader(-1, "{}"), "header of 18446744073709551615 bytes, more");
    assertRefused(lengthAndHeader(-8, "{}"), "header of 18446744073709551608 bytes, more");
  }

  @Test
  void aHostileNameDoesNotMakeALongMessage() throws IOException {
    byte[] file = RawFile.bytes("{\"" + "x\\n".repeat(100_000) + "\":1}", 0);
    try (Arena arena = Arena.ofConfined()) {
      assertThatExceptionOfType(SafetensorsException.class)
          .isThrownBy(() -> SafetensorsFile.map(RawFile.write(folder, file), arena))
          .satisfies(e -> assertThat(e.getMessage()).hasSizeLessThan(1000).doesNotContain("\n"));
    }
  }

  @Test
  void everyTruncationIsRefused() throws IOException {
    byte[] valid = RawFile.bytes(VALID, VALID_DATA);
    assertThat(isAccepted(valid)).isTrue();
    for (int size = 0; size < valid.length; size++) {
      assertRefused(Arrays.copyOf(valid, size), "");
    }
    assertRefused(Arrays.copyOf(valid, valid.length + 1), "the file has 33 bytes of data");
  }

  @Test
  void randomBytesAreRefused() throws IOException {
    Random random = new Random(7);
    for (int i = 0; i < 1000; i++) {
      byte[] header = new byte[random.nextInt(200)];
      random.nextBytes(header);
      assertRefused(RawFile.bytes(header, random.nextInt(20)), "");
    }
  }

  private void assertRefused(byte[] bytes, String message) throws IOException {
    Path path = RawFile.write(folder, bytes);
    try (Arena arena = Arena.ofConfined()) {
      assertThatExceptionOfType(SafetensorsException.class)
          .isThrownBy(() -> SafetensorsFile.map(path, arena))
          .withMessageStartingWith(path + ": ")
          .withMessageContaining(message);
    }
  }

  /** Any other exception fails the test. */
  private boolean isAccepted(byte[] bytes) throws IOException {
    Path path = RawFile.write(folder, bytes);
    try (Arena arena = Arena.ofConfined()) {
      long total = 0;
      SafetensorsFile file = SafetensorsFile.map(path, arena);
      for (Tensor tensor : file.tensors().values()) {
        total += tensor.data().toArray(ValueLayout.JAVA_BYTE).length;
      }
      int header = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt();
      assertThat(total).isEqualTo(bytes.length - Long.BYTES - header);
      return true;
    } catch (SafetensorsException e) {
      assertThat(e).hasMessageStartingWith(path + ": ");
      return false;
    }
  }

  private static byte[] lengthAndHeader(long length, String header) {
    byte[] file = RawFile.bytes(header, 0);
    ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).putLong(length);
    return file;
  }

  private static String one(String dtype, String shape, String offsets) {
    return "{\"a\":{\"dtype\":%s,\"shape\":%s,\"data_offsets\":%s}}"
        .formatted(dtype, shape, offsets);
  }
}
