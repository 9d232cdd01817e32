package io.spd4j.finetune.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON as maps, lists, strings, numbers, booleans and null. What is written may also hold arrays of
 * numbers; numbers that JSON does not have (NaN, infinity) become null, and anything else the
 * string that it prints as. Thread-safe.
 */
public final class Json {
  private static final JsonFactory JSON = new JsonFactory();

  private Json() {}

  /**
   * An object with fields in this order.
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
   * @throws IOException if it is not JSON
   */
  public static Object read(byte[] bytes) throws IOException {
    try (JsonParser json = JSON.createParser(bytes)) {
      json.nextToken();
      Object tree = value(json);
      if (json.nextToken() != null) {
        throw new IOException("there is more than one value");
      }
      return tree;
    }
  }

  /** One value in one line. */
  public static String line(Object tree) throws IOException {
    StringWriter line = new StringWriter();
    try (JsonGenerator json = JSON.createGenerator(line)) {
      write(json, tree);
    }
    return line.toString();
  }

  /** Writes one value in many lines, and closes the stream. */
  public static void write(Object tree, OutputStream out) throws IOException {
    try (JsonGenerator json = JSON.createGenerator(out)) {
      write(json.setPrettyPrinter(new DefaultPrettyPrinter()), tree);
    }
  }

  private static Object value(JsonParser json) throws IOException {
    return switch (json.currentToken()) {
      case START_OBJECT -> {
        Map<String, Object> object = new LinkedHashMap<>();
        while (json.nextToken() != JsonToken.END_OBJECT) {
          String name = json.currentName();
          json.nextToken();
          object.put(name, value(json));
        }
        yield object;
      }
      case START_ARRAY -> {
        List<Object> array = new ArrayList<>();
        while (json.nextToken() != JsonToken.END_ARRAY) {
          array.add(value(json));
        }
        yield array;
      }
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> json.getNumberValue();
      case VALUE_TRUE, VALUE_FALSE -> json.getBooleanValue();
      case VALUE_NULL -> null;
      default -> json.getText();
    };
  }

  private static void write(JsonGenerator json, Object tree) throws IOException {
    switch (tree) {
      case null -> json.writeNull();
      case Map<?, ?> object -> {
        json.writeStartObject();
        for (Map.Entry<?, ?> field : object.entrySet()) {
          json.writeFieldName(field.getKey().toString());
          write(json, field.getValue());
        }
        json.writeEndObject();
      }
      case List<?> array -> {
        json.writeStartArray();
        for (Object element : array) {
          write(json, element);
        }
        json.writeEndArray();
      }
      case int[] array -> json.writeArray(array, 0, array.length);
      case long[] array -> json.writeArray(array, 0, array.length);
      case double[] array -> {
        json.writeStartArray();
        for (double element : array) {
          write(json, element);
        }
        json.writeEndArray();
      }
      case float[] array -> {
        json.writeStartArray();
        for (float element : array) {
          write(json, element);
        }
        json.writeEndArray();
      }
      case Boolean b -> json.writeBoolean(b);
      case Integer n -> json.writeNumber(n);
      case Long n -> json.writeNumber(n);
      case BigDecimal n -> json.writeNumber(n.toPlainString());
      case Float n when Float.isFinite(n) -> json.writeNumber(n);
      case Number n when Double.isFinite(n.doubleValue()) -> json.writeNumber(n.doubleValue());
      case Number nan -> json.writeNull();
      default -> json.writeString(tree.toString());
    }
  }
}
