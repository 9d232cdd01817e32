package io.spd4j.safetensors;

import io.spd4j.ElementType;
import java.util.List;
import java.util.Map;

/** The checked content of a file's header, with the entries in the order of their data. */
record Header(Map<String, String> metadata, List<Entry> entries) {
  /** Bytes before the header: its size, an unsigned little-endian 64-bit number. */
  static final int PREFIX_SIZE = Long.BYTES;

  /**
   * The format's limit of the header's size in bytes, so that no file makes a reader allocate more.
   */
  static final int MAX_SIZE = 100_000_000;

  static final String METADATA = "__metadata__";
  static final String DTYPE = "dtype";
  static final String SHAPE = "shape";
  static final String DATA_OFFSETS = "data_offsets";

  /** One tensor. Its bytes are [begin, end), counted from the end of the header. */
  record Entry(String name, ElementType dtype, List<Long> shape, long begin, long end) {}
}
