package io.spd4j.kernel;

import java.nio.charset.StandardCharsets;

/**
 * Random bits for stochastic rounding, in plain Java, as in {@code native/include/random.h}: a hash
 * of the tensor's key, the step, the index of the element in the whole tensor, and the use.
 */
public final class RandomWords {
  /** What random bits are for; the ordinals are the values of {@code spd4j_use}. */
  enum Use {
    UPDATE,
    PROJECT,
    MOMENTS
  }

  private RandomWords() {}

  /** Returns the key of a parameter's random bits, which depend on nothing but its arguments. */
  public static long key(long seed, String name) {
    long hash = 0xcbf29ce484222325L; // FNV-1a
    for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
    }
    return mix(hash + mix(seed));
  }

  /**
   * Returns both keys of a block's words: k1 in the low half, k2 in the high half.
   *
   * @param step the step count t
   * @param block the index of the block in the whole tensor
   */
  static long block(long key, long step, long block, Use use) {
    return mix(mix(key + step * 0x9e3779b97f4a7c15L) + 4 * block + use.ordinal());
  }

  /** Returns the word of a block's element i. */
  static int word(long block, int i) {
    int x = i ^ (int) block;
    x = (x ^ x >>> 16) * 0x7feb352d;
    x = (x ^ x >>> 15) + (int) (block >>> 32);
    x *= 0x846ca68b;
    return x ^ x >>> 16;
  }

  private static long mix(long x) {
    x = (x ^ x >>> 30) * 0xbf58476d1ce4e5b9L;
    x = (x ^ x >>> 27) * 0x94d049bb133111ebL;
    return x ^ x >>> 31;
  }
}
