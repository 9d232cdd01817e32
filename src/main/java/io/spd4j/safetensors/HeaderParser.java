package io.spd4j.safetensors;

import static io.spd4j.safetensors.SafetensorsException.quoted;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import io.spd4j.ElementType;
import io.spd4j.safetensors.Header.Entry;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetEncoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A strict parser of a header's JSON. It refuses what the format does not describe and reports the
 * first fault. It never descends into an unexpected value, so deep nesting costs nothing.
 */
final class HeaderParser {
  private static final Set<String> PACKED_DTYPES = Set.of("F4", "F6_E2M3", "F6_E3M2");

  private static final JsonFactory JSON =
      JsonFactory.builder()
          // Each name is seen once: a table of names would only give a file memory to fill.
          .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          // The header's size is the limit. Jackson's own limits are lower than the format's.
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxStringLength(Header.MAX_SIZE)
                  .maxNameLength(Header.MAX_SIZE)
                  .build())
          .build();

  private final Path file;
  private final JsonParser json;
  private final CharsetEncoder utf8 = StandardCharsets.UTF_8.newEncoder();

  /** The tensor whose entry is being read, for messages; null outside an entry. */
  private String tensor;

  private HeaderParser(Path file, JsonParser json) {
    this.file = file;
    this.json = json;
  }

  /**
   * Parses and checks a header.
   *
   * @param file the file, for messages
   * @param header the header's bytes, including the padding
   * @param dataSize how many bytes the file has after the header
   */
  static Header parse(Path file, byte[] header, long dataSize) throws IOException {
    if (header.length == 0 || header[0] != '{') {
      throw new SafetensorsException(file, "the header does not start with '{'");
    }
    // Decoded here because Jackson would guess UTF-16 or UTF-32 from the first bytes.
    var text =
        new InputStreamReader(
            new ByteArrayInputStream(header), StandardCharsets.UTF_8.newDecoder());
    try (JsonParser json = JSON.createParser(text)) {
      return new HeaderParser(file, json).header(dataSize);
    } catch (CharacterCodingException e) {
      throw new SafetensorsException(file, "the header is not valid UTF-8", e);
    } catch (JsonProcessingException e) {
      JsonLocation at = e.getLocation();
      String place = at == null ? "" : " (character " + at.getCharOffset() + " of the header)";
      throw new SafetensorsException(
          file, "the header is not valid JSON: " + e.getOriginalMessage() + place, e);
    }
  }

  private Header header(long dataSize) throws IOException {
    Map<String, String> metadata = null;
    Map<String, Entry> entries = new LinkedHashMap<>();
    json.nextToken();
    while (json.nextToken() != JsonToken.END_OBJECT) {
      String name = unicode(json.currentName());
      if (name.equals(Header.METADATA)) {
        if (metadata != null) {
          throw fault(Header.METADATA + " appears twice");
        }
        metadata = metadata();
      } else {
        tensor = name;
        if (entries.containsKey(name)) {
          throw fault("appears twice");
        }
        entries.put(name, entry());
        tensor = null;
      }
    }
    if (json.nextToken() != null) {
      throw fault("something follows the JSON object of the header");
    }
    // Sorted by place; an empty tensor comes before the one that starts at the same place.
    List<Entry> inOrder = new ArrayList<>(entries.values());
    inOrder.sort(Comparator.comparingLong(Entry::begin).thenComparingLong(Entry::end));
    checkCover(inOrder, dataSize);
    return new Header(metadata == null ? Map.of() : Collections.unmodifiableMap(metadata), inOrder);
  }

  private Map<String, String> metadata() throws IOException {
    if (json.nextToken() != JsonToken.START_OBJECT) {
      throw fault(Header.METADATA + " is not an object");
    }
    Map<String, String> metadata = new LinkedHashMap<>();
    while (json.nextToken() != JsonToken.END_OBJECT) {
      String key = unicode(json.currentName());
      if (json.nextToken() != JsonToken.VALUE_STRING) {
        throw fault(Header.METADATA + " key " + quoted(key) + " is not a string");
      }
      if (metadata.put(key, unicode(json.getText())) != null) {
        throw fault(Header.METADATA + " key " + quoted(key) + " appears twice");
      }
    }
    return metadata;
  }

  private Entry entry() throws IOException {
    if (json.nextToken() != JsonToken.START_OBJECT) {
      throw fault("its entry is not an object");
    }
    ElementType dtype = null;
    List<Long> shape = null;
    List<Long> offsets = null;
    while (json.nextToken() != JsonToken.END_OBJECT) {
      String field = json.currentName();
      json.nextToken();
      switch (field) {
        case Header.DTYPE -> {
          checkFirst(field, dtype);
          dtype = dtype();
        }
        case Header.SHAPE -> {
          checkFirst(field, shape);
          shape = numbers(field, Tensor.MAX_RANK);
        }
        case Header.DATA_OFFSETS -> {
          checkFirst(field, offsets);
          offsets = numbers(field, 2);
        }
        default -> throw fault("unknown field " + quoted(field));
      }
    }
    checkPresent(Header.DTYPE, dtype);
    checkPresent(Header.SHAPE, shape);
    checkPresent(Header.DATA_OFFSETS, offsets);
    if (offsets.size() != 2) {
      throw fault("data_offsets has " + offsets.size() + " numbers instead of 2");
    }
    return entry(dtype, shape, offsets.get(0), offsets.get(1));
  }

  private Entry entry(ElementType dtype, List<Long> shape, long begin, long end)
      throws SafetensorsException {
    if (begin > end) {
      throw fault("data_offsets begin at " + begin + ", after their end at " + end);
    }
    long needed;
    try {
      needed = Tensor.byteSize(dtype, shape);
    } catch (ArithmeticException e) {
      throw fault("the size of shape " + shape + " overflows");
    }
    if (needed != end - begin) {
      throw fault(
          "%s of shape %s takes %d bytes, but data_offsets [%d, %d] hold %d"
              .formatted(dtype.safetensorsName(), shape, needed, begin, end, end - begin));
    }
    return new Entry(tensor, dtype, List.copyOf(shape), begin, end);
  }

  private ElementType dtype() throws IOException {
    if (json.currentToken() != JsonToken.VALUE_STRING) {
      throw fault("dtype is not a string");
    }
    String name = json.getText();
    if (PACKED_DTYPES.contains(name)) {
      throw fault(
          "dtype " + name + " packs its elements into less than a byte, which is not supported");
    }
    return ElementType.ofSafetensorsName(name)
        .orElseThrow(() -> fault("unknown dtype " + quoted(name)));
  }

  /** Reads an array of at most {@code most} integers, each from 0 to 2^63-1. */
  private List<Long> numbers(String field, int most) throws IOException {
    if (json.currentToken() != JsonToken.START_ARRAY) {
      throw fault(field + " is not an array");
    }
    List<Long> numbers = new ArrayList<>();
    while (json.nextToken() != JsonToken.END_ARRAY) {
      if (json.currentToken() != JsonToken.VALUE_NUMBER_INT) {
        throw fault(field + " holds something that is not an integer");
      }
      if (json.getNumberType() == JsonParser.NumberType.BIG_INTEGER) {
        throw fault(field + " holds a number outside of 64 bits");
      }
      if (json.getLongValue() < 0) {
        throw fault(field + " holds the negative number " + json.getLongValue());
      }
      if (numbers.size() == most) {
        throw fault(field + " has more than " + most + " numbers");
      }
      numbers.add(json.getLongValue());
    }
    return numbers;
  }

  /** Checks that every byte after the header belongs to exactly one tensor. */
  private void checkCover(List<Entry> inOrder, long dataSize) throws SafetensorsException {
    long covered = 0;
    for (Entry entry : inOrder) {
      tensor = entry.name();
      if (entry.end() > dataSize) {
        throw fault(
            "its data end at " + entry.end() + ", but the file has " + dataSize + " bytes of data");
      }
      if (entry.begin() < covered) {
        throw fault(
            "its data begin at "
                + entry.begin()
                + " and overlap the preceding data, which end at "
                + covered);
      }
      if (entry.begin() > covered) {
        throw fault(
            "its data begin at "
                + entry.begin()
                + ", with a gap after the preceding data, which end at "
                + covered);
      }
      covered = entry.end();
    }
    tensor = null;
    if (covered != dataSize) {
      throw fault(
          "the tensors' data end at %d, but the file has %d bytes of data"
              .formatted(covered, dataSize));
    }
  }

  /** Checks for unpaired surrogates, which JSON can escape but no Unicode text holds. */
  private String unicode(String text) throws SafetensorsException {
    if (!utf8.canEncode(text)) {
      throw fault("unpaired surrogate in " + quoted(text));
    }
    return text;
  }

  private void checkFirst(String field, Object before) throws SafetensorsException {
    if (before != null) {
      throw fault(field + " appears twice");
    }
  }

  private void checkPresent(String field, Object value) throws SafetensorsException {
    if (value == null) {
      throw fault(field + " is missing");
    }
  }

  private SafetensorsException fault(String problem) {
    return new SafetensorsException(
        file, tensor == null ? problem : "tensor " + quoted(tensor) + ": " + problem);
  }
}
