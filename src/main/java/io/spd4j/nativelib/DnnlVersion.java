package io.spd4j.nativelib;

import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.generated.dnnl.dnnl_version_t;
import io.spd4j.nativelib.NativeLibrary.Bundle;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/** Which libdnnl the bindings are for, and where it can be found. */
final class DnnlVersion {
  private static final String CLASSIFIER = Platform.NAME.replace("aarch64", "arm64");

  /** In the jar org.bytedeco:dnnl for Linux, beside the OpenMP runtime it is linked to. */
  static final Bundle BUNDLE =
      new Bundle(
          "org/bytedeco/dnnl/" + CLASSIFIER,
          "libdnnl.so.3",
          List.of("libgomp.so.1"),
          " (put the jar org.bytedeco:dnnl:3.11-1.5.13:"
              + CLASSIFIER
              + " on the class path or start java with -Ddnnl.library.path=FILE, a libdnnl of"
              + " version 3 built on OpenMP)");

  private static final int MAJOR = 3;

  private DnnlVersion() {}

  /**
   * What differs, if anything.
   *
   * @throws UnsatisfiedLinkError if a function is missing
   */
  static Optional<String> mismatch() {
    MemorySegment version = dnnl_h.dnnl_version().reinterpret(dnnl_version_t.layout().byteSize());
    int major = dnnl_version_t.major(version);
    if (major != MAJOR) {
      return Optional.of(
          "oneDNN %d.%d, these bindings need %d"
              .formatted(major, dnnl_version_t.minor(version), MAJOR));
    }
    try {
      dnnl_h.omp_set_num_threads$address();
    } catch (UnsatisfiedLinkError e) {
      return Optional.of("it is not built on OpenMP, so that its threads cannot be counted");
    }
    return Optional.empty();
  }
}
