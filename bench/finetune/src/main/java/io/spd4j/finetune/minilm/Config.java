package io.spd4j.finetune.minilm;

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

  /** Returns the approximate bytes of a batch's activations in training. */
  public long activationBytes(long size, long length) {
    long token = 8L * hidden + 2L * intermediate + heads * length + 4;
    return size * length * token * layers * Float.BYTES;
  }

  /** Returns the features of a head. */
  int headSize() {
    return hidden / heads;
  }
}
