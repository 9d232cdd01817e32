package io.spd4j;

import io.spd4j.kernel.KernelProvider;
import java.util.List;
import java.util.Locale;

/**
 * What runs a step. All give the same bits. CUDA steps parameters in device memory; of the others,
 * which step the host's, the first that is available is taken, unless {@link Adam.Builder#backend}
 * or {@code -Dspd4j.backend=vector} names one.
 */
public enum Backend {
  /** Kernels in libspd4j_cuda, for arrays in memory of a {@link io.spd4j.cuda.DeviceArena}. */
  CUDA,
  /** C kernels in libspd4j, chosen for the machine's ISA when they are loaded. */
  NATIVE,
  /** The JDK's Vector API; needs {@code --add-modules jdk.incubator.vector}. */
  VECTOR,
  /** Plain Java; always available, and slow. */
  SCALAR;

  /**
   * Whether a backend can be used here, and why.
   *
   * @param backend the backend
   * @param available whether it can be used
   * @param reason in one sentence, what runs, or why it does not and what would help
   */
  public record Availability(Backend backend, boolean available, String reason) {}

  /**
   * CUDA, and those of the host's memory in the order of preference. Thread-safe, throws nothing.
   */
  public static List<Availability> availability() {
    return KernelProvider.candidates().stream()
        .map(c -> new Availability(of(c.name()), c.available(), c.reason()))
        .toList();
  }

  static Backend of(String name) {
    return valueOf(name.toUpperCase(Locale.ROOT));
  }

  /** The name that {@code -Dspd4j.backend} takes: cuda, native, vector or scalar. */
  public String id() {
    return name().toLowerCase(Locale.ROOT);
  }
}
