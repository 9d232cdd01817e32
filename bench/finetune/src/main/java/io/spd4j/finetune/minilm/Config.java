package io.spd4j.finetune.minilm;

import io.spd4j.ElementType;

/**
 * The sizes of a BERT encoder.
 *
 * @param vocabulary rows of the word embeddings
 * @param positions the longest sequence
 * @param hidden features of a token; a multiple of heads
 * @param heads attention heads
 * @param intermediate features inside the feed-forward block
 * @param layers encoder layers
 */
public record Config(
    int vocabulary, int positions, int hidden, int heads, int intermediate, int layers) {
  /** The constant that BERT adds to the variance in layer normalization. */
  static final float EPSILON = 1e-12f;

  /** all-MiniLM-L6-v2. */
  public static final Config MINILM_L6 = new Config(30522, 512, 384, 12, 1536, 6);

  /** Returns the multiplications and additions in the matrix products of a forward pass. */
  public double forwardFlops(long size, long length) {
    double rows = (double) size * length;
    double linear = 4.0 * hidden * hidden + 2.0 * hidden * intermediate;
    double attention = 2.0 * length * hidden; // scores, and the values they weigh
    return 2 * rows * (linear + attention) * layers;
  }

  /**
   * Returns the bytes of the activations and their gradients, which an encoder allocates. oneDNN's
   * scratch memory is not among them.
   *
   * @param rank the rank of adapters, 0 for none
   * @param operands as from {@link Encoder#operands}
   */
  public long activationBytes(long size, long length, int rank, ElementType operands) {
    boolean rounds = operands != ElementType.FLOAT32;
    long h = hidden;
    long i = intermediate;
    long scores = heads * length;
    long adapters = 2L * rank * EncoderLayer.ATTENTION_PROJECTIONS.size();
    long layer = (rounds ? 4 * h + i : 8 * h + 2 * i) + scores + adapters + 4;
    long shared = 9 * h + i + scores + 4 + (rounds ? Math.max(h, i) : 0);
    long token = (layer * layers + shared) * Float.BYTES;
    if (rounds) {
      long copies = (6 * h + i + scores + adapters) * layers + 7 * h + i + scores;
      token += copies * operands.byteSize();
    }
    return size * length * token;
  }

  /**
   * Returns the elements of the longest vector that an operation of oneDNN is made for, which are
   * limited to 2³¹ − 1: GELU's, or that of the attention scores if they are rounded.
   *
   * @param operands as from {@link Encoder#operands}
   */
  public long longestVector(long size, long length, ElementType operands) {
    long scores = operands == ElementType.FLOAT32 ? 0 : heads * length;
    return size * length * Math.max(intermediate, scores);
  }

  /** Returns the features of a head. */
  int headSize() {
    return hidden / heads;
  }
}
