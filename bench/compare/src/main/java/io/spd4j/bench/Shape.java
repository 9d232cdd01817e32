package io.spd4j.bench;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonValue;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * The tensors of a model.
 *
 * @param name the name on the command line
 * @param tensors number of elements of each tensor
 * @param anchored whether the anchors are pre-trained values; otherwise they are the origin
 */
public record Shape(@JsonValue String name, List<Long> tensors, boolean anchored) {
  private static final Pattern ONE = Pattern.compile("one:(\\d{1,12})([KMG]?)");
  private static final Pattern MANY = Pattern.compile("many:(\\d{1,7})x(\\d{1,12})([KMG]?)");
  private static final int VIT_WIDTH = 768;
  private static final int VIT_BLOCKS = 12;
  private static final int VIT_CLASSES = 1000;

  /** Returns the number of elements of all tensors. */
  public long numel() {
    return tensors.stream().mapToLong(Long::longValue).sum();
  }

  /** Reads a shape from the command line. */
  public static final class Converter implements ITypeConverter<Shape> {
    @Override
    public Shape convert(String text) {
      return Shape.parse(text);
    }
  }

  @JsonCreator
  public static Shape parse(String text) {
    Matcher one = ONE.matcher(text);
    Matcher many = MANY.matcher(text);
    List<Long> tensors;
    if (text.equals("vit-b16")) {
      tensors = vitB16();
    } else if (text.equals("minilm")) {
      tensors = minilm();
    } else if (text.equals("lora")) {
      tensors = lora();
    } else if (one.matches()) {
      tensors = List.of(count(one.group(1), one.group(2)));
    } else if (many.matches()) {
      tensors = new ArrayList<>();
      repeat(tensors, Integer.parseInt(many.group(1)), count(many.group(2), many.group(3)));
    } else {
      throw new TypeConversionException(
          "'" + text + "' is not vit-b16, minilm, lora, one:N or many:COUNTxN");
    }
    if (tensors.isEmpty() || tensors.contains(0L)) {
      throw new TypeConversionException("'" + text + "' has no elements");
    }
    return new Shape(text, List.copyOf(tensors), !text.equals("lora"));
  }

  private static long count(String digits, String suffix) {
    return Long.parseLong(digits)
        * switch (suffix) {
          case "K" -> 1_000;
          case "M" -> 1_000_000;
          case "G" -> 1_000_000_000;
          default -> 1;
        };
  }

  /** ViT-B/16 at 224x224. */
  private static List<Long> vitB16() {
    List<Long> t = new ArrayList<>();
    t.add((long) VIT_WIDTH); // class token
    t.add(197L * VIT_WIDTH); // positions
    linear(t, 3 * 16 * 16, VIT_WIDTH); // patches
    for (int block = 0; block < VIT_BLOCKS; block++) {
      norm(t, VIT_WIDTH);
      linear(t, VIT_WIDTH, 3 * VIT_WIDTH); // q, k, v
      linear(t, VIT_WIDTH, VIT_WIDTH);
      norm(t, VIT_WIDTH);
      linear(t, VIT_WIDTH, 4 * VIT_WIDTH);
      linear(t, 4 * VIT_WIDTH, VIT_WIDTH);
    }
    norm(t, VIT_WIDTH);
    linear(t, VIT_WIDTH, VIT_CLASSES);
    return t;
  }

  /** all-MiniLM-L6-v2, a BERT. */
  private static List<Long> minilm() {
    long width = 384;
    List<Long> t = new ArrayList<>();
    t.add(30522 * width); // words
    t.add(512 * width); // positions
    t.add(2 * width); // token types
    norm(t, width);
    for (int layer = 0; layer < 6; layer++) {
      linear(t, width, width); // q
      linear(t, width, width); // k
      linear(t, width, width); // v
      linear(t, width, width);
      norm(t, width);
      linear(t, width, 4 * width);
      linear(t, 4 * width, width);
      norm(t, width);
    }
    linear(t, width, width); // pooler
    return t;
  }

  /** Rank 8 on q, k, v and the projection of ViT-B's attention, and a new head. */
  private static List<Long> lora() {
    List<Long> t = new ArrayList<>();
    repeat(t, VIT_BLOCKS * 4 * 2, 8L * VIT_WIDTH);
    linear(t, VIT_WIDTH, VIT_CLASSES);
    return t;
  }

  private static void linear(List<Long> tensors, long in, long out) {
    tensors.add(in * out);
    tensors.add(out);
  }

  private static void norm(List<Long> tensors, long width) {
    repeat(tensors, 2, width);
  }

  private static void repeat(List<Long> tensors, int count, long numel) {
    for (int i = 0; i < count; i++) {
      tensors.add(numel);
    }
  }
}
