package io.spd4j.cuda;

import static io.spd4j.generated.cudart.cudart_h.cudaSuccess;

import io.spd4j.generated.cudart.cudart_h;
import io.spd4j.nativelib.NativeLibrary;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Tells whether CUDA can be used here, and on which devices. Thread-safe. */
public final class Cuda {
  private static final class Found {
    static final Found ONCE = look();

    final List<CudaDevice> devices;
    final Availability availability;

    private Found(List<CudaDevice> devices, String reason) {
      this.devices = devices;
      availability = new Availability(!devices.isEmpty(), reason);
    }
  }

  private Cuda() {}

  /**
   * Whether CUDA can be used here, and the reason.
   *
   * @param available whether {@link #devices} returns any
   * @param reason one sentence: what was found, or what is missing
   */
  public record Availability(boolean available, String reason) {}

  /** Looks for libspd4j_cuda, the driver and its devices, at the first call only. Never throws. */
  public static Availability availability() {
    return Found.ONCE.availability;
  }

  /** Returns the devices that this process can use, in order of their ordinals; may be empty. */
  public static List<CudaDevice> devices() {
    return Found.ONCE.devices;
  }

  private static Found look() {
    NativeLibrary library = NativeLibrary.cuda();
    if (!library.loaded()) {
      return new Found(List.of(), library.reason());
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.JAVA_INT);
      int status = cudart_h.cudaGetDeviceCount(out);
      int count = out.get(ValueLayout.JAVA_INT, 0);
      if (status != cudaSuccess() || count == 0) {
        return new Found(List.of(), missing(status, out));
      }
      List<CudaDevice> devices = IntStream.range(0, count).mapToObj(CudaDevice::new).toList();
      String names = devices.stream().map(CudaDevice::toString).collect(Collectors.joining(", "));
      return new Found(devices, library.reason() + ", " + names);
    } catch (CudaException e) {
      return new Found(List.of(), e.getMessage());
    }
  }

  private static String missing(int status, MemorySegment out) {
    cudart_h.cudaDriverGetVersion(out);
    int driver = out.get(ValueLayout.JAVA_INT, 0);
    if (driver == 0) {
      return "no NVIDIA driver is installed";
    }
    if (status == cudart_h.cudaErrorInsufficientDriver()) {
      cudart_h.cudaRuntimeGetVersion(out);
      return "the NVIDIA driver supports CUDA %d.%d, but this library needs %d.0 or later: update it"
          .formatted(major(driver), driver % 1000 / 10, major(out.get(ValueLayout.JAVA_INT, 0)));
    }
    if (status == cudaSuccess() || status == cudart_h.cudaErrorNoDevice()) {
      String visible = System.getenv("CUDA_VISIBLE_DEVICES");
      return "there is no CUDA device"
          + (visible == null ? "" : " (the environment has CUDA_VISIBLE_DEVICES=" + visible + ")");
    }
    return "CUDA cannot be used: " + CudaException.describe(status);
  }

  private static int major(int version) {
    return version / 1000;
  }
}
