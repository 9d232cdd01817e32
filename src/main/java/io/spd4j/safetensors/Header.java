package io.spd4j.safetensors;

import io.spd4j.ElementType;
import java.util.List;
import java.util.Map;

/** What the header of a file says: checked, and the entries in the order of their data. */
record Header(Map<String, String> metadata, List<Entry> entries) {
  /** Bytes before the header: its size, an unsigned little-endian 64-bit number. */
  static final int PREFIX_SIZE = Long.BYTES;

  /**
   * The format's own limit, in bytes: with it a file cannot make a reader allocate what it likes.
   */
  static final int MAX_SIZE = 100_000_000;

  static final String METADATA = "__metadata__";
  static final String DTYPE = "dtype";
  static final String SHAPE = "shape";
  static final String DATA_OFFSETS = "data_offsets";

  /** One tensor. Its bytes are [begin, end), counted from the end of the header. */
  record Entry(String name, ElementType dtype, List<Long> shape, long begin, long end) {}
}
