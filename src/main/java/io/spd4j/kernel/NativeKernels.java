package io.spd4j.kernel;

import io.spd4j.generated.spd4j.spd4j_h;
import io.spd4j.nativelib.Isa;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The C kernels of libspd4j, in one of the tiers it was compiled for. */
final class NativeKernels implements Kernels {
  private static final MethodHandle UPDATE = spd4j_h.spd4j_update$handle();
  private static final MethodHandle PROJECT = spd4j_h.spd4j_project$handle();
  private static final MethodHandle GRAD_SQ = spd4j_h.spd4j_grad_sq$handle();

  private final Isa isa;

  /** The library is loaded and this machine can run the tier. */
  NativeKernels(Isa isa) {
    this.isa = isa;
  }

  @Override
  public String name() {
    return "native";
  }

  @Override
  public String detail() {
    return isa.name();
  }

  @Override
  public void update(BlockTable table, long begin, long end) {
    forward(UPDATE, table, begin, end);
  }

  @Override
  public void gradSq(BlockTable table, long begin, long end) {
    forward(GRAD_SQ, table, begin, end);
  }

  private void forward(MethodHandle pass, BlockTable table, long begin, long end) {
    Holds holds = table.holds();
    for (int span = holds.spanOf(begin); begin < end; span++) {
      long spanEnd = Math.min(end, holds.end(span));
      call(pass, table, begin, spanEnd, holds.segments(span));
      begin = spanEnd;
    }
  }

  @Override
  public void project(BlockTable table, long begin, long end) {
    Holds holds = table.holds();
    for (int span = holds.spanOf(end - 1); begin < end; span--) {
      long spanBegin = Math.max(begin, holds.begin(span));
      call(PROJECT, table, spanBegin, end, holds.segments(span));
      end = spanBegin;
    }
  }

  /** Calls the handle itself: jextract's methods would wrap a closed arena's exception. */
  private void call(MethodHandle pass, BlockTable table, long begin, long end, MemorySegment[] h) {
    int status;
    try {
      status =
          (int)
              pass.invokeExact(
                  table.header(), isa.tier(), begin, end, h[0], h[1], h[2], h[3], h[4], h[5]);
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError("a downcall threw a checked exception", e);
    }
    if (status != spd4j_h.SPD4J_OK()) {
      throw new AssertionError("libspd4j refused our block table, status " + status);
    }
  }
}
