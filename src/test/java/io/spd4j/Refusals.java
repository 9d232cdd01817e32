package io.spd4j;

import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatNullPointerException;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** Asserts that a call is refused with exactly the given message. */
public final class Refusals {
  /** Follows the name of an array that is not off-heap. */
  public static final String ON_HEAP =
      "lies on the Java heap: allocate it from an Arena, or wrap a direct ByteBuffer"
          + " (ByteBuffer.allocateDirect; in DJL, NDArray.toByteBuffer(true))";

  private Refusals() {}

  public static void illegalArgument(String message, ThrowingCallable call) {
    assertThatIllegalArgumentException().isThrownBy(call).withMessage(message);
  }

  public static void illegalState(String message, ThrowingCallable call) {
    assertThatIllegalStateException().isThrownBy(call).withMessage(message);
  }

  public static void nullPointer(String message, ThrowingCallable call) {
    assertThatNullPointerException().isThrownBy(call).withMessage(message);
  }
}
