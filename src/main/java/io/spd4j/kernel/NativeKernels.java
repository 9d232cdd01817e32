package io.spd4j.kernel;

import io.spd4j.generated.spd4j.spd4j_h;
import io.spd4j.nativelib.Isa;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The C kernels of libspd4j, in one of the tiers it was compiled for. */
final class NativeKernels extends HeldKernels {
  private static final MethodHandle UPDATE = spd4j_h.spd4j_update$handle();
  private static final MethodHandle PROJECT = spd4j_h.spd4j_project$handle();
  private static final MethodHandle GRAD_SQ = spd4j_h.spd4j_grad_sq$handle();
  private static final MethodHandle INTERPOLATE = spd4j_h.spd4j_interpolate$handle();

  private final Isa isa;

  /** Requires that the library is loaded and that this machine can run the tier. */
  NativeKernels(Isa isa) {
    this.isa = isa;
  }

  /** Returns the first rule that libspd4j lacks or numbers differently; null if there is none. */
  static Rule unknownRule() {
    return Rule.unknown(spd4j_h::spd4j_rule_name);
  }

  @Override
  public String name() {
    return "native";
  }

  @Override
  public String detail() {
    return isa.name();
  }

  /**
   * Calls the method handles directly, because jextract's methods would wrap a closed arena's
   * exception. Each call names a constant handle: calling a handle that a condition chose has
   * crashed C2 (JDK 25).
   */
  @Override
  void run(Pass pass, BlockTable table, long begin, long end, MemorySegment[] h) {
    MemorySegment t = table.header();
    int tier = isa.tier();
    int status;
    try {
      if (pass == Pass.UPDATE) {
        status =
            (int) UPDATE.invokeExact(t, tier, begin, end, h[0], h[1], h[2], h[3], h[4], h[5], h[6]);
      } else if (pass == Pass.PROJECT) {
        status =
            (int)
                PROJECT.invokeExact(t, tier, begin, end, h[0], h[1], h[2], h[3], h[4], h[5], h[6]);
      } else {
        status =
            (int)
                GRAD_SQ.invokeExact(t, tier, begin, end, h[0], h[1], h[2], h[3], h[4], h[5], h[6]);
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError("a downcall threw a checked exception", e);
    }
    if (status != spd4j_h.SPD4J_OK()) {
      throw new AssertionError("libspd4j refused the block table, status " + status);
    }
  }

  /** The arrays are arguments, so FFM keeps their arenas open. */
  @Override
  public void interpolate(Interpolands a) {
    int from = a.fromType().ordinal();
    int to = a.toType().ordinal();
    int dst = a.dstType().ordinal();
    int status;
    try {
      status =
          (int)
              INTERPOLATE.invokeExact(
                  isa.tier(), a.from(), from, a.to(), to, a.alpha(), a.dst(), dst, a.numel());
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError("a downcall threw a checked exception", e);
    }
    if (status != spd4j_h.SPD4J_OK()) {
      throw new AssertionError("libspd4j refused the arrays, status " + status);
    }
  }
}
