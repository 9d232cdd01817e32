package io.spd4j.mpi;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * Where each rank's bytes lie in a segment: an offset and a number of bytes for each rank. Both can
 * be larger than 2³¹. Immutable.
 */
public final class Slices {
  private final long[] offsets;
  private final long[] bytes;

  private Slices(long[] offsets, long[] bytes) {
    this.offsets = offsets;
    this.bytes = bytes;
  }

  /**
   * Returns slices at any offsets.
   *
   * @param offsets where the bytes of each rank begin
   * @param bytes how many they are; 0 for none
   * @throws IllegalArgumentException if the arrays differ in length, a value is negative or a slice
   *     ends beyond 2⁶³
   */
  public static Slices of(long[] offsets, long[] bytes) {
    if (offsets.length != bytes.length) {
      throw new IllegalArgumentException(
          "there are %d offsets, but %d numbers of bytes".formatted(offsets.length, bytes.length));
    }
    for (int rank = 0; rank < bytes.length; rank++) {
      if (bytes[rank] < 0) {
        throw new IllegalArgumentException("bytes of rank " + rank + " are " + bytes[rank]);
      }
      if (offsets[rank] < 0 || offsets[rank] > Long.MAX_VALUE - bytes[rank]) {
        throw new IllegalArgumentException("offset of rank " + rank + " is " + offsets[rank]);
      }
    }
    return new Slices(offsets.clone(), bytes.clone());
  }

  /**
   * Returns slices that follow each other from offset 0.
   *
   * @param bytes the number of bytes of each rank
   * @throws IllegalArgumentException if one is negative or the sum exceeds 2⁶³
   */
  public static Slices packed(long... bytes) {
    long[] offsets = new long[bytes.length];
    for (int rank = 1; rank < bytes.length; rank++) {
      offsets[rank] = offsets[rank - 1] + bytes[rank - 1];
    }
    return of(offsets, bytes);
  }

  /** Returns the number of ranks. */
  public int ranks() {
    return bytes.length;
  }

  /**
   * Returns where a rank's bytes begin.
   *
   * @throws IndexOutOfBoundsException if there is no such rank
   */
  public long offset(int rank) {
    return offsets[rank];
  }

  /**
   * Returns how many bytes a rank has.
   *
   * @throws IndexOutOfBoundsException if there is no such rank
   */
  public long bytes(int rank) {
    return bytes[rank];
  }

  /**
   * Returns the slices of a segment.
   *
   * @param name what the segment is called in messages
   * @throws IllegalArgumentException if there are not as many as ranks, or one ends after the
   *     segment
   */
  List<Part> of(String name, MemorySegment segment, int ranks) {
    if (bytes.length != ranks) {
      throw new IllegalArgumentException(
          "slices of %s are for %d ranks, but there are %d".formatted(name, bytes.length, ranks));
    }
    List<Part> parts = new ArrayList<>(ranks);
    for (int rank = 0; rank < ranks; rank++) {
      if (offsets[rank] + bytes[rank] > segment.byteSize()) {
        throw new IllegalArgumentException(
            "%s has %d bytes, but the slice of rank %d is bytes %d to %d"
                .formatted(
                    name, segment.byteSize(), rank, offsets[rank], offsets[rank] + bytes[rank]));
      }
      parts.add(new Part(rank, segment.asSlice(offsets[rank], bytes[rank])));
    }
    return parts;
  }
}
