package io.spd4j.oracle;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * The random words of one tensor, as native/NUMERICS.md defines them. Everything is a long: 64 bits
 * wrap around, and 32 bits are masked.
 */
final class Words {
  /** What a word is for, numbered as in native/NUMERICS.md. */
  enum Use {
    UPDATE,
    PROJECTION,
    MOMENTS
  }

  private static final int BLOCK = 4096;
  private static final long LOW = 0xffff_ffffL;

  private final long key;

  /** The block whose keys were asked for last, by use. */
  private final long[] blocks = {-1, -1, -1};

  private final long[] keys = new long[3];
  private long step;

  Words(long seed, String name) {
    long hash = 0xcbf29ce484222325L;
    for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
      hash ^= Byte.toUnsignedLong(b);
      hash *= 0x100000001b3L;
    }
    key = mix(hash + mix(seed));
  }

  /** Begins step t. */
  void step(long t) {
    step = t;
    Arrays.fill(blocks, -1);
  }

  /** Returns the word of an element of the whole tensor, 32 bits. */
  long word(Use use, long element) {
    int u = use.ordinal();
    long block = element / BLOCK;
    if (blocks[u] != block) {
      blocks[u] = block;
      keys[u] = mix(mix(key + step * 0x9e3779b97f4a7c15L) + 4 * block + u);
    }
    long x = element % BLOCK ^ keys[u] & LOW;
    x = (x ^ x >>> 16) * 0x7feb352dL & LOW;
    x = (x ^ x >>> 15) + (keys[u] >>> 32) & LOW;
    x = x * 0x846ca68bL & LOW;
    return x ^ x >>> 16;
  }

  static long mix(long x) {
    x = (x ^ x >>> 30) * 0xbf58476d1ce4e5b9L;
    x = (x ^ x >>> 27) * 0x94d049bb133111ebL;
    return x ^ x >>> 31;
  }
}
