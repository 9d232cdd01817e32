package io.spd4j.finetune.cli;

import com.fasterxml.jackson.annotation.JsonValue;
import io.spd4j.ElementType;
import io.spd4j.MomentType;

/**
 * How the arrays of a parameter are stored. {@link #toString} is the name on the command line and
 * in files.
 */
public enum State {
  /** Everything float32. */
  FLOAT32("float32", ElementType.FLOAT32, false, ElementType.FLOAT32, MomentType.FLOAT32),
  /** Parameters in two halves, which are exactly float32; the rest is float32. */
  SPLIT("split", ElementType.BFLOAT16, true, ElementType.FLOAT32, MomentType.FLOAT32),
  /** Everything bfloat16; parameters and moments are rounded stochastically. */
  BF16("bf16", ElementType.BFLOAT16, false, ElementType.BFLOAT16, MomentType.BFLOAT16),
  /** Parameters in two halves, bfloat16 gradients and anchors, 8-bit moments. */
  EIGHT_BIT("8bit", ElementType.BFLOAT16, true, ElementType.BFLOAT16, MomentType.BLOCKWISE_8BIT);

  private final String text;
  private final ElementType parameter;
  private final boolean split;
  private final ElementType input;
  private final MomentType moments;

  State(String text, ElementType parameter, boolean split, ElementType input, MomentType moments) {
    this.text = text;
    this.parameter = parameter;
    this.split = split;
    this.input = input;
    this.moments = moments;
  }

  /** Returns the type of the parameter; if it is split, of its high halves. */
  public ElementType parameter() {
    return parameter;
  }

  /** Returns whether low halves make the parameter exactly float32. */
  public boolean split() {
    return split;
  }

  /** Returns the type of gradients and anchors, which steps only read. */
  public ElementType input() {
    return input;
  }

  /** Returns the type of the moments. */
  public MomentType moments() {
    return moments;
  }

  @JsonValue
  @Override
  public String toString() {
    return text;
  }
}
