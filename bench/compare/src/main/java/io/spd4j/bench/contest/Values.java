package io.spd4j.bench.contest;

import io.spd4j.bench.Select;
import io.spd4j.finetune.cli.Rule;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;

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
   * Fills an array on all processors. Each uses its own buffer again and again: a heap full of
   * garbage would count as the contestant's memory.
   *
   * @param array memory that any thread may access
   */
  void fill(ArrayKind kind, int tensor, Storage storage, MemorySegment array) {
    long numel = setup.tensors().get(tensor);
    int workers = Runtime.getRuntime().availableProcessors();
    IntStream.range(0, workers)
        .parallel()
        .forEach(worker -> {
          float[] values = new float[(int) Math.min(CHUNK, numel)];
          for (long from = (long) worker * CHUNK; from < numel; from += (long) workers * CHUNK) {
            int count = (int) Math.min(CHUNK, numel - from);
            fill(kind, tensor, (int) from, values, count);
            storage.write(array, numel, from, values, count);
          }
        });
  }

  /**
   * SPD selects a tensor if the gradient points along the deviation, and projects it if the update,
   * which follows the first moment, still leads further away. For ALL, the gradient and the first
   * moment therefore have opposite signs. The first moment is the larger one, so that it keeps its
   * sign.
   */
  private void fill(ArrayKind kind, int tensor, int from, float[] values, int count) {
    boolean selected = setup.rule() == Rule.SPD && setup.select() != Select.NATURAL;
    switch (kind) {
      case DATA -> {
        random(kind, kind, 1, tensor, from, values, count);
        if (setup.anchored()) {
          int key = key(ArrayKind.ANCHOR, tensor);
          for (int k = 0; k < count; k++) {
            values[k] = random(ArrayKind.ANCHOR, key, key, 1, from + k) + values[k];
          }
        }
      }
      case GRADIENT -> {
        int turn = selected && setup.select() == Select.NONE ? -1 : 1;
        random(kind, selected ? ArrayKind.DATA : kind, turn, tensor, from, values, count);
      }
      case ANCHOR -> random(kind, kind, 1, tensor, from, values, count);
      case EXP_AVG ->
          random(
              kind,
              selected ? ArrayKind.DATA : kind,
              selected ? -1 : 1,
              tensor,
              from,
              values,
              count);
      case EXP_AVG_SQ -> {
        fill(ArrayKind.GRADIENT, tensor, from, values, count);
        for (int k = 0; k < count; k++) {
          values[k] = values[k] * values[k];
        }
      }
    }
  }

  /** Combines the magnitudes of one kind with the signs of another, times turn. */
  private void random(
      ArrayKind magnitudes,
      ArrayKind signs,
      int turn,
      int tensor,
      int from,
      float[] values,
      int count) {
    int ofMagnitude = key(magnitudes, tensor);
    int ofSign = key(signs, tensor);
    for (int k = 0; k < count; k++) {
      values[k] = random(magnitudes, ofMagnitude, ofSign, turn, from + k);
    }
  }

  private int key(ArrayKind kind, int tensor) {
    return setup.seed() * SEED + kind.ordinal() * KIND + tensor * TENSOR;
  }

  /** Returns an element, by operations that vectorize. */
  private static float random(
      ArrayKind magnitudes, int ofMagnitude, int ofSign, int turn, int element) {
    int h = hash(ofMagnitude + element * ELEMENT);
    int sign = turn - 2 * turn * (hash(ofSign + element * ELEMENT) & 1);
    return magnitudes.scale * (1 + (h >>> 8) * 0x1p-24f) * sign;
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
