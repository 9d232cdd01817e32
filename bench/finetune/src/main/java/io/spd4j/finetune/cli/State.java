package io.spd4j.finetune.cli;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import io.spd4j.ElementType;
import io.spd4j.MomentType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Map.Entry;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * How the arrays of a parameter are stored. {@link #toString} is the name on the command line and
 * in files: that of a preset, else the parts that are not float32, as in {@code
 * param=split+moments=8bit}.
 *
 * @param parameter the parameter's type: float32 or bfloat16
 * @param split whether low halves make a bfloat16 parameter exactly float32
 * @param gradient the gradient's type: float32 or bfloat16
 * @param anchor the anchor's type: float32 or bfloat16
 * @param moments the type of both moments
 */
public record State(
    ElementType parameter,
    boolean split,
    ElementType gradient,
    ElementType anchor,
    MomentType moments) {
  /** Everything float32. */
  public static final State FLOAT32 =
      new State(
          ElementType.FLOAT32, false, ElementType.FLOAT32, ElementType.FLOAT32, MomentType.FLOAT32);

  /** Parameters in two halves, which are exactly float32; the rest is float32. */
  public static final State SPLIT = parse("param=split");

  /** Everything bfloat16; parameters and moments are rounded stochastically. */
  public static final State BF16 = parse("param=bf16+grad=bf16+anchor=bf16+moments=bf16");

  /** Parameters in two halves, bfloat16 gradients and anchors, 8-bit moments. */
  public static final State EIGHT_BIT = parse("param=split+grad=bf16+anchor=bf16+moments=8bit");

  /** What has a name, by that name. */
  private static final Map<String, State> PRESETS = new LinkedHashMap<>();

  static {
    PRESETS.put("float32", FLOAT32);
    PRESETS.put("split", SPLIT);
    PRESETS.put("bf16", BF16);
    PRESETS.put("8bit", EIGHT_BIT);
  }

  /** Explains the values of an option, for its description. */
  public static final String HELP =
      "float32, split (exact float32 parameters in two halves), bf16 (everything in bfloat16, "
          + "rounded stochastically), 8bit (exact parameters, bfloat16 gradients and anchors, 8-bit "
          + "moments), or parts, the others float32: param=split|bf16, grad=bf16, anchor=bf16, "
          + "moments=bf16|8bit, as in param=split+moments=8bit";

  /** Reads the option. */
  public static final class Converter implements ITypeConverter<State> {
    @Override
    public State convert(String text) {
      try {
        return of(text);
      } catch (IllegalArgumentException e) {
        throw new TypeConversionException(e.getMessage());
      }
    }
  }

  /**
   * @throws IllegalArgumentException if the parameter has low halves but is not bfloat16
   */
  public State {
    if (split && parameter != ElementType.BFLOAT16) {
      throw new IllegalArgumentException("a split parameter is bfloat16, not " + parameter);
    }
  }

  /**
   * Finds a state by its name.
   *
   * @param text a preset or parts in any order, in lower or upper case
   * @throws IllegalArgumentException if there is no such preset, part or type
   */
  @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
  public static State of(String text) {
    String name = text.toLowerCase(Locale.ROOT);
    State preset = PRESETS.get(name);
    return preset == null ? parse(name) : preset;
  }

  private static State parse(String text) {
    Map<String, String> types = new LinkedHashMap<>();
    for (String part : text.split("\\+", -1)) {
      int equals = part.indexOf('=');
      if (equals < 0) {
        throw new IllegalArgumentException(
            "'%s' is neither float32, split, bf16, 8bit nor PART=TYPE+PART=TYPE…".formatted(text));
      }
      String name = part.substring(0, equals);
      if (!List.of("param", "grad", "anchor", "moments").contains(name)) {
        throw new IllegalArgumentException(
            "'%s' is not a part: param, grad, anchor, moments".formatted(name));
      }
      if (types.put(name, part.substring(equals + 1)) != null) {
        throw new IllegalArgumentException("'%s' is given twice".formatted(name));
      }
    }
    String parameter = types.getOrDefault("param", "float32");
    boolean split = parameter.equals("split");
    return new State(
        split ? ElementType.BFLOAT16 : type("param", parameter, "float32, split, bf16"),
        split,
        type("grad", types.getOrDefault("grad", "float32"), "float32, bf16"),
        type("anchor", types.getOrDefault("anchor", "float32"), "float32, bf16"),
        moments(types.getOrDefault("moments", "float32")));
  }

  private static ElementType type(String part, String text, String possible) {
    return switch (text) {
      case "float32" -> ElementType.FLOAT32;
      case "bf16" -> ElementType.BFLOAT16;
      default -> throw unknown(part, text, possible);
    };
  }

  private static MomentType moments(String text) {
    return switch (text) {
      case "float32" -> MomentType.FLOAT32;
      case "bf16" -> MomentType.BFLOAT16;
      case "8bit" -> MomentType.BLOCKWISE_8BIT;
      default -> throw unknown("moments", text, "float32, bf16, 8bit");
    };
  }

  private static IllegalArgumentException unknown(String part, String text, String possible) {
    return new IllegalArgumentException(
        "%s cannot be '%s': one of %s".formatted(part, text, possible));
  }

  /** Returns whether the values are those of float32, to the bit. */
  public boolean isExact() {
    return equals(FLOAT32) || equals(SPLIT);
  }

  @JsonValue
  @Override
  public String toString() {
    for (Entry<String, State> preset : PRESETS.entrySet()) {
      if (equals(preset.getValue())) {
        return preset.getKey();
      }
    }
    List<String> parts = new ArrayList<>();
    if (parameter != ElementType.FLOAT32) {
      parts.add("param=" + (split ? "split" : "bf16"));
    }
    if (gradient != ElementType.FLOAT32) {
      parts.add("grad=bf16");
    }
    if (anchor != ElementType.FLOAT32) {
      parts.add("anchor=bf16");
    }
    switch (moments) {
      case FLOAT32 -> {}
      case BFLOAT16 -> parts.add("moments=bf16");
      case BLOCKWISE_8BIT -> parts.add("moments=8bit");
    }
    return String.join("+", parts);
  }
}
