package io.spd4j;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.spd4j.kernel.Place;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What the metadata of a checkpoint say about its optimizer, as JSON.
 *
 * @param seed of stochastic rounding
 * @param parameters whether the checkpoint has the parameters' values
 */
record SavedOptimizer(long seed, boolean parameters, List<Group> groups) {
  private static final int VERSION = 1;
  private static final JsonFactory JSON = new JsonFactory();

  /** A group's settings and parameters. */
  record Group(
      double lr,
      double beta1,
      double beta2,
      double eps,
      DecayRule decay,
      boolean amsgrad,
      boolean maximize,
      boolean frozen,
      List<Tensor> parameters) {
    static Group of(ParameterGroup g, Place place) {
      return new Group(
          g.lr(),
          g.beta1(),
          g.beta2(),
          g.eps(),
          g.decay(),
          g.amsgrad(),
          g.maximize(),
          g.frozen(),
          g.parameters().stream().map(p -> Tensor.of(p, place)).toList());
    }

    List<String> names() {
      return parameters.stream().map(Tensor::name).toList();
    }
  }

  /**
   * A parameter.
   *
   * @param low whether low halves belong to the data
   * @param anchor the type and the CRC-32 of the anchor's bytes; null if there is none
   */
  record Tensor(
      String name, long numel, ElementType type, boolean low, MomentType moments, String anchor) {
    static Tensor of(Parameter p, Place place) {
      String anchor = p.anchor() == null ? null : p.anchorType() + " " + crc32(p, place);
      return new Tensor(p.name(), p.numel(), p.type(), p.low() != null, p.momentType(), anchor);
    }

    private static String crc32(Parameter p, Place place) {
      try (Arena host = Arena.ofConfined()) {
        MemorySegment anchor = place.onHost(p.anchor(), host);
        var tensor =
            new io.spd4j.safetensors.Tensor(p.name(), p.anchorType(), List.of(p.numel()), anchor);
        return tensor.crc32();
      }
    }
  }

  static SavedOptimizer of(Adam adam, boolean parameters) {
    return new SavedOptimizer(
        adam.seed(),
        parameters,
        adam.groups().stream().map(group -> Group.of(group, adam.place())).toList());
  }

  /** Returns the names of the parameters of all groups. */
  List<String> names() {
    return groups.stream().flatMap(group -> group.names().stream()).toList();
  }

  String toJson() throws IOException {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = JSON.createGenerator(text)) {
      json.writeStartObject();
      json.writeNumberField("version", VERSION);
      json.writeNumberField("seed", seed);
      json.writeBooleanField("parameters", parameters);
      json.writeArrayFieldStart("groups");
      for (Group group : groups) {
        write(json, group);
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    return text.toString();
  }

  private static void write(JsonGenerator json, Group group) throws IOException {
    json.writeStartObject();
    json.writeNumberField("lr", group.lr);
    json.writeNumberField("beta1", group.beta1);
    json.writeNumberField("beta2", group.beta2);
    json.writeNumberField("eps", group.eps);
    json.writeStringField("decay", group.decay.id());
    json.writeNumberField("lambda", group.decay.lambda());
    json.writeBooleanField("amsgrad", group.amsgrad);
    json.writeBooleanField("maximize", group.maximize);
    json.writeBooleanField("frozen", group.frozen);
    json.writeArrayFieldStart("parameters");
    for (Tensor p : group.parameters) {
      json.writeStartObject();
      json.writeStringField("name", p.name);
      json.writeNumberField("numel", p.numel);
      json.writeStringField("type", p.type.name());
      json.writeBooleanField("low", p.low);
      json.writeStringField("moments", p.moments.name());
      json.writeStringField("anchor", p.anchor);
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  /**
   * Reads what {@link #toJson} wrote.
   *
   * @throws IllegalArgumentException if it is not JSON, or something is missing or not as expected
   */
  static SavedOptimizer parse(String text) {
    try (JsonParser json = JSON.createParser(text)) {
      json.nextToken();
      Fields all = new Fields(value(json));
      long version = all.integer("version");
      if (version != VERSION) {
        throw new IllegalArgumentException(
            "its version is " + version + ", this library reads " + VERSION);
      }
      List<Group> groups = new ArrayList<>();
      for (Object group : all.list("groups")) {
        groups.add(group(new Fields(group)));
      }
      return new SavedOptimizer(all.integer("seed"), all.flag("parameters"), groups);
    } catch (IOException e) {
      throw new IllegalArgumentException("its settings are not JSON", e);
    }
  }

  private static Group group(Fields group) {
    List<Tensor> parameters = new ArrayList<>();
    for (Object parameter : group.list("parameters")) {
      Fields p = new Fields(parameter);
      parameters.add(
          new Tensor(
              p.text("name"),
              p.integer("numel"),
              ElementType.valueOf(p.text("type")),
              p.flag("low"),
              MomentType.valueOf(p.text("moments")),
              p.textOrNull("anchor")));
    }
    return new Group(
        Checks.nonNegative("lr", group.number("lr")), // the others are compared with valid ones
        group.number("beta1"),
        group.number("beta2"),
        group.number("eps"),
        decay(group.text("decay"), group.number("lambda")),
        group.flag("amsgrad"),
        group.flag("maximize"),
        group.flag("frozen"),
        parameters);
  }

  private static DecayRule decay(String id, double lambda) {
    return switch (id) {
      case "none" -> new NoDecay();
      case "adamw" -> new WeightDecay(lambda);
      case "l2sp" -> new L2SP(lambda);
      case "l2sp_coupled" -> new L2SP(lambda, true);
      case "spd" -> new SelectiveProjectionDecay(lambda);
      case "cautious" -> new CautiousDecay(lambda);
      default -> throw new IllegalArgumentException("unknown decay rule " + id);
    };
  }

  /** Returns the value at the parser's token as a Map, List, String, Number or Boolean, or null. */
  private static Object value(JsonParser json) throws IOException {
    return switch (json.currentToken()) {
      case START_OBJECT -> {
        Map<String, Object> fields = new HashMap<>();
        while (json.nextToken() == JsonToken.FIELD_NAME) {
          String name = json.currentName();
          json.nextToken();
          fields.put(name, value(json));
        }
        yield fields;
      }
      case START_ARRAY -> {
        List<Object> values = new ArrayList<>();
        while (json.nextToken() != JsonToken.END_ARRAY) {
          values.add(value(json));
        }
        yield values;
      }
      case VALUE_STRING -> json.getText();
      case VALUE_NUMBER_INT, VALUE_NUMBER_FLOAT -> json.getNumberValue();
      case VALUE_TRUE -> true;
      case VALUE_FALSE -> false;
      case null, default -> null;
    };
  }

  /** The fields of a JSON object, which must have the types asked for. */
  private record Fields(Object object) {
    String textOrNull(String name) {
      return get(name) == null ? null : text(name);
    }

    String text(String name) {
      return typed(name, String.class);
    }

    boolean flag(String name) {
      return typed(name, Boolean.class);
    }

    double number(String name) {
      return typed(name, Number.class).doubleValue();
    }

    long integer(String name) {
      Number number = typed(name, Number.class);
      if (!(number instanceof Integer || number instanceof Long)) {
        throw new IllegalArgumentException("its " + name + " is " + number);
      }
      return number.longValue();
    }

    List<?> list(String name) {
      return typed(name, List.class);
    }

    private <T> T typed(String name, Class<T> type) {
      if (!type.isInstance(get(name))) {
        throw new IllegalArgumentException("its " + name + " is " + get(name));
      }
      return type.cast(get(name));
    }

    private Object get(String name) {
      return object instanceof Map<?, ?> fields ? fields.get(name) : null;
    }
  }
}
