package io.spd4j.kernel;

import io.spd4j.nativelib.Isa;
import io.spd4j.nativelib.NativeLibrary;
import java.util.List;

/** The one lookup: which backends there are, in the order in which they are preferred, and why. */
public final class KernelProvider {
  /**
   * A backend.
   *
   * @param kernels null where it is not available
   * @param reason in one sentence, what runs or why it does not
   */
  public record Candidate(String name, Kernels kernels, String reason) {}

  private KernelProvider() {}

  /** Every backend, the fastest first. */
  public static List<Candidate> candidates() {
    return Holder.CANDIDATES;
  }

  /**
   * The backend of a name, or the first that is available.
   *
   * @param forced null: the first that is available
   * @throws IllegalArgumentException if there is no backend of that name
   * @throws IllegalStateException if it is not available; the message says why
   */
  public static Kernels select(String forced) {
    for (Candidate candidate : candidates()) {
      if (forced == null && candidate.kernels() != null) {
        return candidate.kernels();
      }
      if (candidate.name().equals(forced)) {
        if (candidate.kernels() == null) {
          throw new IllegalStateException(
              "backend " + forced + " is not available: " + candidate.reason());
        }
        return candidate.kernels();
      }
    }
    throw new IllegalArgumentException(
        "unknown backend \"" + forced + "\": native, vector or scalar");
  }

  /** Whether the JVM was started with the Vector API. */
  public static boolean vectorModule() {
    return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
  }

  private static final class Holder {
    static final List<Candidate> CANDIDATES = List.of(nativeKernels(), vector(), scalar());
  }

  private static Candidate nativeKernels() {
    NativeLibrary library = NativeLibrary.spd4j();
    if (!library.loaded()) {
      return new Candidate("native", null, library.reason());
    }
    Isa isa = Isa.best();
    return new Candidate(
        "native", new NativeKernels(isa), library.reason() + ", tier " + isa.name());
  }

  private static Candidate vector() {
    if (!vectorModule()) {
      return new Candidate(
          "vector", null, "the Vector API is not resolved: add --add-modules jdk.incubator.vector");
    }
    try {
      Kernels kernels = new VectorKernels();
      return new Candidate("vector", kernels, kernels.detail());
    } catch (ExceptionInInitializerError e) {
      return new Candidate("vector", null, "the Vector API refused: " + e.getCause().getMessage());
    }
  }

  private static Candidate scalar() {
    Kernels kernels = new ScalarKernels();
    return new Candidate("scalar", kernels, kernels.detail());
  }
}
