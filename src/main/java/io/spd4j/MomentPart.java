package io.spd4j;

import java.util.List;

/**
 * Bytes of an array of moments that a shard has, too. The array of a shard is like that of a tensor
 * of its own: 8-bit moments have the scales behind the codes.
 *
 * @param whole the offset in the array of the whole tensor
 * @param shard the offset in the array of the shard
 */
record MomentPart(long whole, long shard, long bytes) {
  /**
   * Returns what a shard's array consists of; nothing if it is empty.
   *
   * @param numel the elements of the whole tensor
   * @param begin the first element of the shard, a multiple of the elements that share a scale
   * @param end the element after its last one
   */
  static List<MomentPart> of(MomentType type, long numel, long begin, long end) {
    if (begin == end) {
      return List.of();
    }
    if (type != MomentType.BLOCKWISE_8BIT) {
      return List.of(
          new MomentPart(type.byteSize(begin), 0, type.byteSize(end) - type.byteSize(begin)));
    }
    long scales = type.byteSize(end - begin) - codes(end - begin);
    long scalesBefore = type.byteSize(begin) - codes(begin);
    return List.of(
        new MomentPart(begin, 0, end - begin),
        new MomentPart(codes(numel) + scalesBefore, codes(end - begin), scales));
  }

  /** Returns the bytes of 8-bit codes with their padding. */
  private static long codes(long numel) {
    return Math.ceilDiv(numel, Float.BYTES) * Float.BYTES;
  }
}
