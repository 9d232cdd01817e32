package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.onednn.LayerNorm;
import io.spd4j.onednn.OneDnn;
import java.lang.foreign.MemorySegment;

/**
 * The normalized sum of a token's word, position and type embeddings (with a single type). The
 * backward pass adds into the rows that were looked up.
 */
final class Embeddings {
  private final OneDnn dnn;
  private final int hidden;
  private final Weight words;
  private final Weight positions;
  private final Weight types;
  private final Norm norm;
  private final MemorySegment sum;
  private final MemorySegment gradient;

  /** Tokens whose gradient rows are not zero; null if any row may be. */
  private int[] scattered = {};

  Embeddings(OneDnn dnn, Config config, Weights weights, Buffers buffers) {
    this.dnn = dnn;
    hidden = config.hidden();
    words = weights.get(Weights.WORDS);
    positions = weights.get("embeddings.position_embeddings.weight");
    types = weights.get("embeddings.token_type_embeddings.weight");
    norm = new Norm(weights, "embeddings.LayerNorm", buffers);
    sum = buffers.tokens(hidden);
    gradient = buffers.tokens(hidden);
  }

  private LayerNorm op(Batch batch) {
    return dnn.layerNorm(batch.rows(), hidden, Config.EPSILON);
  }

  void forward(Batch batch, MemorySegment dst) {
    PartEvent event = PartEvent.begin("embeddings forward");
    MemorySegment word = words.data();
    MemorySegment position = positions.data();
    MemorySegment type = types.data();
    for (int row = 0; row < batch.rows(); row++) {
      long at = (long) row * hidden;
      long wordRow = (long) batch.ids()[row] * hidden;
      long positionRow = (long) (row % batch.length()) * hidden;
      for (int i = 0; i < hidden; i++) {
        float value =
            word.getAtIndex(JAVA_FLOAT, wordRow + i)
                + type.getAtIndex(JAVA_FLOAT, i)
                + position.getAtIndex(JAVA_FLOAT, positionRow + i);
        sum.setAtIndex(JAVA_FLOAT, at + i, value);
      }
    }
    event.commit();
    norm.forward(op(batch), sum, dst);
  }

  /**
   * Computes the gradients of the weights.
   *
   * @param grad the gradient of dst
   */
  void backward(Batch batch, MemorySegment grad) {
    norm.backward(op(batch), sum, grad, gradient);
    if (words.gradient() == null) {
      return;
    }
    PartEvent event = PartEvent.begin("embeddings backward");
    if (scattered == null) {
      words.gradient().fill((byte) 0);
    } else {
      for (int id : scattered) {
        row(words.gradient(), id).fill((byte) 0);
      }
    }
    scattered = batch.ids();
    positions.gradient().fill((byte) 0);
    types.gradient().fill((byte) 0);
    for (int row = 0; row < batch.rows(); row++) {
      int position = row % batch.length();
      if (position < batch.lengths()[row / batch.length()]) {
        addRow(row, words.gradient(), batch.ids()[row]);
        addRow(row, positions.gradient(), position);
        addRow(row, types.gradient(), 0);
      }
    }
    event.commit();
  }

  /**
   * Says that others have written to the gradients, which backward passes else leave as they are.
   */
  void gradientsChanged() {
    scattered = null;
  }

  private MemorySegment row(MemorySegment matrix, int row) {
    long bytes = (long) hidden * Float.BYTES;
    return matrix.asSlice(row * bytes, bytes);
  }

  private void addRow(int token, MemorySegment matrix, int matrixRow) {
    long from = (long) token * hidden;
    long to = (long) matrixRow * hidden;
    for (int i = 0; i < hidden; i++) {
      float value =
          matrix.getAtIndex(JAVA_FLOAT, to + i) + gradient.getAtIndex(JAVA_FLOAT, from + i);
      matrix.setAtIndex(JAVA_FLOAT, to + i, value);
    }
  }
}
