package io.spd4j.finetune.report;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.JsonSerializer;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.cfg.EnumFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.datatype.jsr310.JavaTimeModule;
import java.io.IOException;
import java.io.OutputStream;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Reads and writes JSON. Records become objects, and enum constants their names in lower case. A
 * double that JSON cannot express (NaN, infinity) is written as null, and null is read as NaN.
 * Thread-safe.
 */
public final class Json {
  private static final JsonSerializer<Double> FINITE_OR_NULL =
      new JsonSerializer<>() {
        @Override
        public void serialize(Double value, JsonGenerator json, SerializerProvider unused)
            throws IOException {
          if (Double.isFinite(value)) {
            json.writeNumber(value);
          } else {
            json.writeNull();
          }
        }
      };

  private static final JsonDeserializer<Double> NUMBER_OR_NAN =
      new JsonDeserializer<>() {
        @Override
        public Double deserialize(JsonParser json, DeserializationContext unused)
            throws IOException {
          return json.getDoubleValue();
        }

        @Override
        public Double getNullValue(DeserializationContext unused) {
          return Double.NaN;
        }
      };

  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .addModule(new JavaTimeModule())
          .addModule(
              new SimpleModule()
                  .addSerializer(Double.class, FINITE_OR_NULL)
                  .addSerializer(double.class, FINITE_OR_NULL)
                  .addDeserializer(double.class, NUMBER_OR_NAN))
          .enable(EnumFeature.WRITE_ENUMS_TO_LOWERCASE)
          .enable(MapperFeature.ACCEPT_CASE_INSENSITIVE_ENUMS)
          .enable(StreamWriteFeature.WRITE_BIGDECIMAL_AS_PLAIN)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
          .build();

  /** Also reads the nulls in lists of numbers as NaN. */
  private static final JsonMapper EXACT =
      MAPPER
          .rebuild()
          .addModule(new SimpleModule("lists").addDeserializer(Double.class, NUMBER_OR_NAN))
          .build();

  private Json() {}

  /**
   * Returns an object with its fields in the order given.
   *
   * @param fields name, value, name, value …; a value may be null
   */
  public static Map<String, Object> object(Object... fields) {
    Map<String, Object> object = new LinkedHashMap<>();
    for (int i = 0; i < fields.length; i += 2) {
      object.put((String) fields[i], fields[i + 1]);
    }
    return object;
  }

  /**
   * Reads one value.
   *
   * @throws IOException if the bytes are not JSON or do not describe such a value
   */
  public static <T> T read(byte[] json, Class<T> type) throws IOException {
    return MAPPER.readValue(json, type);
  }

  /**
   * Reads one value that has all fields of the type and no others. No number of it can be missing.
   *
   * @throws IOException if the bytes are not JSON or do not describe such a value
   */
  static <T> T readExactly(byte[] json, Class<T> type) throws IOException {
    return EXACT
        .readerFor(type)
        .with(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
        .with(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES)
        .with(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
        .readValue(json);
  }

  /**
   * Converts a value to another type with the same JSON.
   *
   * @throws IllegalArgumentException if the value's JSON does not describe the other type
   */
  public static <T> T convert(Object value, Class<T> type) {
    return MAPPER.convertValue(value, type);
  }

  /** Returns the JSON of a value on one line. */
  public static String line(Object value) throws IOException {
    return MAPPER.writeValueAsString(value);
  }

  /** Writes a value, indented, and closes the stream. */
  public static void write(Object value, OutputStream out) throws IOException {
    MAPPER.writerWithDefaultPrettyPrinter().writeValue(out, value);
  }
}
