package io.spd4j.finetune.minilm;

/**
 * The sizes of a BERT encoder.
 *
 * @param vocabulary rows of the word embeddings
 * @param positions the longest sequence
 * @param hidden features of a token; a multiple of heads
 * @param heads of the attention
 * @param intermediate features within the feed-forward block
 * @param layers of the encoder
 */
public record Config(
    int vocabulary, int positions, int hidden, int heads, int intermediate, int layers) {
  /** What BERT adds to the variance in layer normalization. */
  static final float EPSILON = 1e-12f;

  /** all-MiniLM-L6-v2. */
  public static final Config MINILM_L6 = new Config(30522, 512, 384, 12, 1536, 6);

  /** Multiplications and additions in the matrix products of a forward pass. */
  public double forwardFlops(long size, long length) {
    double rows = (double) size * length;
    double linear = 4.0 * hidden * hidden + 2.0 * hidden * intermediate;
    double attention = 2.0 * length * hidden; // scores, and the values they weigh
    return 2 * rows * (linear + attention) * layers;
  }

  /** About how much memory the activations of a batch take while it is trained. */
  public long activationBytes(long size, long length) {
    long token = 8L * hidden + 2L * intermediate + heads * length + 4;
    return size * length * token * layers * Float.BYTES;
  }

  /** Features of a head. */
  int headSize() {
    return hidden / heads;
  }
}
