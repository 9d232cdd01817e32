package io.spd4j;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Arrays at an address: host memory that something else owns. */
final class OfAddress {
  /** An array without elements. Its arena tells it from a segment whose size was forgotten. */
  private static final MemorySegment EMPTY = Arena.ofAuto().allocate(0, 64);

  private OfAddress() {}

  /**
   * Returns an array in the global scope, which is never closed.
   *
   * @param what names the array and its parameter in messages
   * @throws IllegalCallerException if native access is denied
   */
  static MemorySegment array(String what, long address, long numel, ElementType type) {
    int size = Checks.notNull("type of the " + what, type).byteSize();
    if (numel < 0 || numel > (Long.MAX_VALUE - Math.max(0, address)) / size) {
      throw new IllegalArgumentException(what + ": numel is out of range: " + numel);
    }
    if (numel == 0) {
      return EMPTY;
    }
    if (address == 0) {
      throw new IllegalArgumentException(what + ": the address is 0 (null)");
    }
    if (address % size != 0) {
      throw new IllegalArgumentException(
          what + " starts at an address that is not a multiple of " + size);
    }
    return MemorySegment.ofAddress(address).reinterpret(numel * size);
  }
}
