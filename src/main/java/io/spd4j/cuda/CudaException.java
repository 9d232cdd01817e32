package io.spd4j.cuda;

import static io.spd4j.generated.cudart.cudart_h.cudaSuccess;

import io.spd4j.generated.cudart.cudart_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Set;

/**
 * Thrown when CUDA refuses a call or fails. The message says what was being done and CUDA's reason;
 * if memory ran out, how much is free; if the device is lost, that the process has to be restarted.
 * Most work is asynchronous, so the failed work may have been enqueued earlier.
 */
public final class CudaException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The errors after which the process must be restarted, according to CUDA's documentation. */
  private static final Set<Integer> LOST =
      Set.of(
          cudart_h.cudaErrorECCUncorrectable(),
          cudart_h.cudaErrorContained(),
          cudart_h.cudaErrorIllegalAddress(),
          cudart_h.cudaErrorLaunchTimeout(),
          cudart_h.cudaErrorAssert(),
          cudart_h.cudaErrorHardwareStackError(),
          cudart_h.cudaErrorIllegalInstruction(),
          cudart_h.cudaErrorMisalignedAddress(),
          cudart_h.cudaErrorInvalidAddressSpace(),
          cudart_h.cudaErrorInvalidPc(),
          cudart_h.cudaErrorLaunchFailure(),
          cudart_h.cudaErrorTensorMemoryLeak(),
          cudart_h.cudaErrorMpsClientTerminated(),
          cudart_h.cudaErrorExternalDevice());

  private final int code;

  private CudaException(String message, int code) {
    super(message);
    this.code = code;
  }

  /**
   * Checks that a call succeeded. If not, clears the thread's last error, so that CUDA does not
   * report it again.
   *
   * @param what the action, such as "copying 16 bytes"
   * @param code the cudaError that the call returned
   * @throws CudaException if the code is not cudaSuccess
   */
  static void check(String what, int code) {
    if (code != cudaSuccess()) {
      String message = what + " failed: " + describe(code);
      if (code == cudart_h.cudaErrorMemoryAllocation()) {
        message += free();
      } else if (LOST.contains(code)) {
        message += "; the device is lost to this process, which has to be restarted";
      }
      cudart_h.cudaGetLastError();
      throw new CudaException(message, code);
    }
  }

  /** Returns CUDA's name and explanation of an error. */
  static String describe(int code) {
    return "%s (%s)"
        .formatted(
            cudart_h.cudaGetErrorName(code).getString(0),
            cudart_h.cudaGetErrorString(code).getString(0));
  }

  /** Returns how much memory of the current device is free, as the end of a message. */
  private static String free() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment free = arena.allocate(ValueLayout.JAVA_LONG);
      MemorySegment total = arena.allocate(ValueLayout.JAVA_LONG);
      if (cudart_h.cudaMemGetInfo(free, total) != cudaSuccess()) {
        return "";
      }
      return "; %d of %d bytes of device memory are free"
          .formatted(free.get(ValueLayout.JAVA_LONG, 0), total.get(ValueLayout.JAVA_LONG, 0));
    }
  }

  /** Returns the cudaError. */
  public int code() {
    return code;
  }
}
