package io.spd4j;

import io.spd4j.kernel.KernelProvider;
import java.util.List;
import java.util.Locale;

/**
 * What runs a step. All backends give the same bits. CUDA steps device memory, the rest host
 * memory. Of the rest, an optimizer uses the first available one, unless {@link
 * Adam.Builder#backend} or a flag like {@code -Dspd4j.backend=vector} names another.
 */
public enum Backend {
  /** The kernels of libspd4j_cuda, for arrays in a {@link io.spd4j.cuda.DeviceArena}. */
  CUDA,
  /** The C kernels of libspd4j, chosen for the machine's instruction set at load time. */
  NATIVE,
  /** The JDK's Vector API; requires {@code --add-modules jdk.incubator.vector}. */
  VECTOR,
  /** Plain Java: slow, but always available. */
  SCALAR;

  /**
   * Tells whether a backend can be used on this machine, and why.
   *
   * @param backend the backend
   * @param available whether it can be used
   * @param reason one sentence: what runs, or why the backend cannot run and what would help
   */
  public record Availability(Backend backend, boolean available, String reason) {}

  /**
   * Lists CUDA, then the backends for host memory in order of preference. Thread-safe; throws
   * nothing.
   */
  public static List<Availability> availability() {
    return KernelProvider.candidates().stream()
        .map(c -> new Availability(of(c.name()), c.available(), c.reason()))
        .toList();
  }

  static Backend of(String name) {
    return valueOf(name.toUpperCase(Locale.ROOT));
  }

  /** Returns the backend's name in {@code -Dspd4j.backend}: cuda, native, vector or scalar. */
  public String id() {
    return name().toLowerCase(Locale.ROOT);
  }
}
