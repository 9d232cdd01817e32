package io.spd4j.torture;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import io.spd4j.ElementType;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.SplittableRandom;

/** Chooses where arrays lie, mostly where they can, and what is in them. */
final class Spots {
  private static final float[] SPECIAL = {
    Float.NaN,
    Float.POSITIVE_INFINITY,
    Float.NEGATIVE_INFINITY,
    0f,
    -0f,
    Float.MIN_VALUE,
    1e-30f,
    1e10f,
    1e30f,
    -1e30f,
    Float.MAX_VALUE
  };

  private final SplittableRandom random;
  private final ApiWorld world;
  private final List<Home.Kind> kinds;

  Spots(SplittableRandom random, ApiWorld world) {
    this.random = random;
    this.world = world;
    kinds =
        world.onDevice()
            ? List.of(Home.Kind.DEVICE, Home.Kind.DEVICE, Home.Kind.HEAP)
            : List.of(
                Home.Kind.SHARED,
                Home.Kind.SHARED,
                Home.Kind.SHARED,
                Home.Kind.CONFINED,
                Home.Kind.AUTO,
                Home.Kind.GLOBAL,
                Home.Kind.HEAP);
    for (Home.Kind kind : kinds) {
      world.homes.add(new Home(kind, world.subjects.size()));
    }
  }

  /** Closes an arena of each subject and opens another. */
  void closeHome() {
    int i = random.nextInt(world.homes.size());
    Home home = world.homes.get(i);
    if (home.closes()) {
      home.close();
      world.homes.set(i, new Home(home.kind, world.subjects.size()));
    }
  }

  /** Returns a place for an array, which once in a while is unsuitable. */
  Spot any(long bytes, int unit, boolean written) {
    int kind = random.nextInt(200);
    if (kind < 5 && !world.slabs.isEmpty()) {
      Slab slab = pick(world.slabs);
      if (slab.bytes >= bytes) {
        long offset = random.nextLong((slab.bytes - bytes) / unit + 1) * unit;
        return new Spot(slab, offset, bytes, false);
      }
    }
    long offset = random.nextInt(3) == 0 ? random.nextInt(64) / unit * unit : 0;
    boolean readOnly = kind < 7 || !written && random.nextInt(8) == 0;
    long size = Math.max(0, bytes + (kind == 7 ? random.nextInt(-4, 5) : 0));
    offset += kind == 8 ? random.nextInt(4) : 0;
    Home home = pick(world.homes);
    if (home.kind == Home.Kind.HEAP && kind > 20) {
      home = world.homes.getFirst();
    }
    Slab slab = new Slab(home, offset + size + random.nextInt(40), world.subjects.size());
    world.slabs.add(slab);
    return new Spot(slab, offset, size, readOnly);
  }

  /** Fills an array of every subject with the same numbers, some of which may be special. */
  void fill(Spot spot, ElementType type, boolean special) {
    if (!spot.isAlive()) {
      return;
    }
    float scale = random.nextInt(6) == 0 ? 100 : 1;
    MemorySegment array = spot.slab().first().asSlice(spot.offset(), spot.bytes());
    for (long i = 0; i < spot.bytes() / type.byteSize(); i++) {
      float value =
          special && random.nextInt(8) == 0
              ? SPECIAL[random.nextInt(SPECIAL.length)]
              : scale * (random.nextInt() * 0x1p-31f);
      switch (type) {
        case FLOAT32 -> array.setAtIndex(JAVA_FLOAT_UNALIGNED, i, value);
        case FLOAT16 -> array.setAtIndex(JAVA_SHORT_UNALIGNED, i, Float.floatToFloat16(value));
        case BFLOAT16 ->
            array.setAtIndex(JAVA_SHORT_UNALIGNED, i, (short) (Float.floatToIntBits(value) >> 16));
        default -> array.setAtIndex(JAVA_SHORT_UNALIGNED, i, (short) random.nextInt());
      }
    }
    spot.slab().share();
  }

  <T> T pick(List<T> list) {
    return list.get(random.nextInt(list.size()));
  }
}
