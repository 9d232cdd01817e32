package io.spd4j.finetune.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON as maps, lists, strings, numbers, booleans and null. Thread-safe. */
public final class Json {
  private static final JsonFactory JSON = new JsonFactory();

  private Json() {}

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

  /**
   * One value in one line. Besides what {@link #read} returns there may be arrays of long and of
   * float, which are finite.
   */
  public static String line(Object tree) throws IOException {
    StringWriter line = new StringWriter();
    try (JsonGenerator json = JSON.createGenerator(line)) {
      write(json, tree);
    }
    return line.toString();
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
      case long[] array -> json.writeArray(array, 0, array.length);
      case float[] array -> {
        json.writeStartArray();
        for (float element : array) {
          json.writeNumber(element);
        }
        json.writeEndArray();
      }
      case Boolean b -> json.writeBoolean(b);
      case Integer n -> json.writeNumber(n);
      case Long n -> json.writeNumber(n);
      case Double n -> json.writeNumber(n);
      default -> json.writeString(tree.toString());
    }
  }
}
