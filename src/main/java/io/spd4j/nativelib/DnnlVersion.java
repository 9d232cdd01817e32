package io.spd4j.nativelib;

import io.spd4j.generated.dnnl.dnnl_h;
import io.spd4j.generated.dnnl.dnnl_version_t;
import io.spd4j.nativelib.NativeLibrary.Bundle;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/** The version of libdnnl that the bindings are for, and where libdnnl can be found. */
final class DnnlVersion {
  private static final String CLASSIFIER = Platform.NAME.replace("aarch64", "arm64");

  /** The jar org.bytedeco:dnnl for Linux, which also holds libdnnl's OpenMP runtime. */
  static final Bundle BUNDLE =
      new Bundle(
          "org/bytedeco/dnnl/" + CLASSIFIER,
          "libdnnl.so.3",
          List.of("libgomp.so.1"),
          " (put the jar org.bytedeco:dnnl:3.11-1.5.13:"
              + CLASSIFIER
              + " on the class path or start java with -Ddnnl.library.path=FILE, a libdnnl of"
              + " version 3 built with OpenMP)");

  private static final int MAJOR = 3;

  private DnnlVersion() {}

  /**
   * Returns what keeps the bindings from using the loaded library; empty if nothing does.
   *
   * @throws UnsatisfiedLinkError if a function is missing
   */
  static Optional<String> mismatch() {
    MemorySegment version = dnnl_h.dnnl_version().reinterpret(dnnl_version_t.layout().byteSize());
    int major = dnnl_version_t.major(version);
    if (major != MAJOR) {
      return Optional.of(
          "oneDNN %d.%d, but these bindings need %d"
              .formatted(major, dnnl_version_t.minor(version), MAJOR));
    }
    try {
      dnnl_h.omp_set_num_threads$address();
    } catch (UnsatisfiedLinkError e) {
      return Optional.of("it is not built with OpenMP, so its number of threads cannot be set");
    }
    return Optional.empty();
  }
}
