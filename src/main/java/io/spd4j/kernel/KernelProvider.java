package io.spd4j.kernel;

import io.spd4j.cuda.Cuda;
import io.spd4j.kernel.cuda.DevicePlace;
import io.spd4j.nativelib.Isa;
import io.spd4j.nativelib.NativeLibrary;
import java.lang.System.Logger.Level;
import java.util.List;
import java.util.StringJoiner;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;

/**
 * Looks up the backends in order of preference, with a reason for each. CUDA steps device memory,
 * the rest host memory; where the arrays lie decides.
 */
public final class KernelProvider {
  /**
   * A backend, available or not.
   *
   * @param kernels the CPU kernels; null for CUDA, and if the backend is not available
   * @param reason one sentence: what runs, or why the backend cannot run
   */
  public record Candidate(String name, boolean available, Kernels kernels, String reason) {
    private static Candidate of(Kernels kernels, String reason) {
      return new Candidate(kernels.name(), true, kernels, reason);
    }

    private static Candidate missing(String name, String reason) {
      return new Candidate(name, false, null, reason);
    }
  }

  private static final String CUDA = "cuda";
  private static final List<String> CPU = List.of("native", "vector", "scalar");
  private static final AtomicBoolean WARNED = new AtomicBoolean();

  private KernelProvider() {}

  /** Lists every backend, the fastest first. */
  public static List<Candidate> candidates() {
    return Stream.concat(Stream.of(CUDA), CPU.stream()).map(KernelProvider::candidate).toList();
  }

  /**
   * Returns the backend of a name, or the first available one for the kind of memory; loads no
   * backend after that one. Logs a warning if only plain Java is available.
   *
   * @param forced the name; null for the first available backend
   * @param device whether to step device memory
   * @throws IllegalArgumentException if there is no backend of that name
   * @throws IllegalStateException if the backend is not available; the message says why
   */
  public static Candidate select(String forced, boolean device) {
    if (forced == null && !device) {
      return selectCpu();
    }
    String name = forced == null ? CUDA : forced;
    Candidate candidate = candidate(name);
    if (!candidate.available()) {
      throw new IllegalStateException(
          "backend " + name + " is not available: " + candidate.reason());
    }
    return candidate;
  }

  private static Candidate selectCpu() {
    StringJoiner reasons = new StringJoiner("; ");
    for (String name : CPU) {
      Candidate candidate = candidate(name);
      if (!candidate.available()) {
        reasons.add(name + ": " + candidate.reason());
      } else {
        if (name.equals("scalar") && !WARNED.getAndSet(true)) {
          System.getLogger("io.spd4j").log(Level.WARNING, "steps run in plain Java; " + reasons);
        }
        return candidate;
      }
    }
    throw new AssertionError("plain Java is always available");
  }

  private static Candidate candidate(String name) {
    return switch (name) {
      case CUDA -> cuda();
      case "native" -> NativeHolder.CANDIDATE;
      case "vector" -> VectorHolder.CANDIDATE;
      case "scalar" -> ScalarHolder.CANDIDATE;
      default ->
          throw new IllegalArgumentException(
              "unknown backend \"" + name + "\": cuda, native, vector or scalar");
    };
  }

  private static final class NativeHolder {
    static final Candidate CANDIDATE = nativeKernels();
  }

  private static final class VectorHolder {
    static final Candidate CANDIDATE = vector();
  }

  private static final class ScalarHolder {
    static final Candidate CANDIDATE = scalar();
  }

  /** Returns whether the JVM was started with the Vector API. */
  public static boolean vectorModule() {
    return ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
  }

  private static Candidate cuda() {
    Cuda.Availability cuda = Cuda.availability();
    Rule unknown = cuda.available() ? DevicePlace.unknownRule() : null;
    return unknown != null
        ? Candidate.missing(CUDA, doesNotKnow("libspd4j_cuda", unknown))
        : new Candidate(CUDA, cuda.available(), null, cuda.reason());
  }

  private static Candidate nativeKernels() {
    NativeLibrary library = NativeLibrary.spd4j();
    if (!library.loaded()) {
      return Candidate.missing("native", library.reason());
    }
    Rule unknown = NativeKernels.unknownRule();
    if (unknown != null) {
      return Candidate.missing("native", doesNotKnow("libspd4j", unknown));
    }
    Isa isa = Isa.best();
    return Candidate.of(new NativeKernels(isa), library.reason() + ", tier " + isa.name());
  }

  private static String doesNotKnow(String library, Rule rule) {
    return library + " does not know the rule " + rule + ": it belongs to another version";
  }

  private static Candidate vector() {
    if (!vectorModule()) {
      return Candidate.missing(
          "vector", "the Vector API is not resolved: add --add-modules jdk.incubator.vector");
    }
    try {
      Kernels kernels = new VectorKernels();
      return Candidate.of(kernels, kernels.detail());
    } catch (ExceptionInInitializerError e) {
      return Candidate.missing(
          "vector",
          e.getCause() instanceof IllegalCallerException
              ? "arrays are used by their addresses, but " + NativeLibrary.denied()
              : "it cannot be initialized: " + e.getCause().getMessage());
    }
  }

  private static Candidate scalar() {
    Kernels kernels = new ScalarKernels();
    return Candidate.of(kernels, kernels.detail());
  }
}
