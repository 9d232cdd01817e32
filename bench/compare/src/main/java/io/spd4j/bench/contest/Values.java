package io.spd4j.bench.contest;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.bench.Select;
import io.spd4j.finetune.cli.Rule;
import java.lang.foreign.MemorySegment;
import java.util.stream.LongStream;

/**
 * The values that every contestant starts from, in every language. Each value is a hash of the
 * seed, the kind of array, the tensor and the element in wrapping 32-bit integers, converted to
 * float with every operation rounded. The values stay sane for a million steps: none gets near
 * overflow or the subnormals, and SPD keeps selecting the same tensors.
 */
public final class Values {
  private static final int SEED = 0x9E3779B1;
  private static final int KIND = 0x85EBCA77;
  private static final int TENSOR = 0xC2B2AE3D;
  private static final int ELEMENT = 0x27D4EB2F;

  /** Number of elements generated at once. */
  private static final int CHUNK = 1 << 14;

  private final Setup setup;

  Values(Setup setup) {
    this.setup = setup;
  }

  /** Fills all arrays of a contestant that has been set up. */
  public static void fill(Contestant contestant, Setup setup) {
    Values values = new Values(setup);
    for (ArrayKind kind : setup.arrays()) {
      for (int i = 0; i < setup.tensors().size(); i++) {
        contestant.fill(kind, i, values);
      }
    }
  }

  /**
   * Fills elements of an array on all processors.
   *
   * @param first the index of the first element in its tensor
   * @param part the elements, in memory that any thread may access
   */
  void fill(ArrayKind kind, int tensor, long first, MemorySegment part) {
    long numel = part.byteSize() / Float.BYTES;
    LongStream.range(0, Math.ceilDiv(numel, CHUNK))
        .parallel()
        .forEach(chunk -> {
          long from = chunk * CHUNK;
          float[] values = new float[(int) Math.min(CHUNK, numel - from)];
          fill(kind, tensor, (int) (first + from), values);
          MemorySegment.copy(values, 0, part, JAVA_FLOAT, from * Float.BYTES, values.length);
        });
  }

  /**
   * SPD selects a tensor if the gradient points along the deviation, and projects it if the update,
   * which follows the first moment, still leads further away. For ALL, the gradient and the first
   * moment therefore have opposite signs. The first moment is the larger one, so that it keeps its
   * sign.
   */
  private void fill(ArrayKind kind, int tensor, int from, float[] values) {
    boolean selected = setup.rule() == Rule.SPD && setup.select() != Select.NATURAL;
    ArrayKind signs = selected ? ArrayKind.DATA : kind;
    switch (kind) {
      case DATA -> {
        random(kind, kind, 1, tensor, from, values);
        if (setup.anchored()) {
          float[] anchors = new float[values.length];
          random(ArrayKind.ANCHOR, ArrayKind.ANCHOR, 1, tensor, from, anchors);
          for (int k = 0; k < values.length; k++) {
            values[k] = anchors[k] + values[k];
          }
        }
      }
      case GRADIENT -> {
        int turn = selected && setup.select() == Select.NONE ? -1 : 1;
        random(kind, signs, turn, tensor, from, values);
      }
      case ANCHOR -> random(kind, kind, 1, tensor, from, values);
      case EXP_AVG -> random(kind, signs, selected ? -1 : 1, tensor, from, values);
      case EXP_AVG_SQ -> {
        fill(ArrayKind.GRADIENT, tensor, from, values);
        for (int k = 0; k < values.length; k++) {
          values[k] = values[k] * values[k];
        }
      }
    }
  }

  /**
   * Combines the magnitudes of one kind with the signs of another, times turn, in operations that
   * vectorize.
   */
  private void random(
      ArrayKind magnitudes, ArrayKind signs, int turn, int tensor, int from, float[] values) {
    int ofMagnitude = setup.seed() * SEED + magnitudes.ordinal() * KIND + tensor * TENSOR;
    int ofSign = setup.seed() * SEED + signs.ordinal() * KIND + tensor * TENSOR;
    float scale = magnitudes.scale;
    for (int k = 0; k < values.length; k++) {
      int h = hash(ofMagnitude + (from + k) * ELEMENT);
      int sign = turn - 2 * turn * (hash(ofSign + (from + k) * ELEMENT) & 1);
      values[k] = scale * (1 + (h >>> 8) * 0x1p-24f) * sign;
    }
  }

  private static int hash(int key) {
    int h = key;
    h ^= h >>> 15;
    h *= 0x2C1B3C6D;
    h ^= h >>> 12;
    h *= 0x297A2D39;
    return h ^ h >>> 15;
  }
}
