package io.spd4j.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Supplier;

/**
 * The thread that device memory is confined to. It never accesses that memory. Java code in any
 * other thread that tries gets a {@link WrongThreadException}; the access itself would crash the
 * JVM.
 */
final class Keeper {
  private static final ExecutorService THREAD =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform()
              .name("spd4j-cuda-keeper")
              .daemon()
              .inheritInheritableThreadLocals(false)
              .factory());

  private Keeper() {}

  static Arena open() {
    return run(Arena::ofConfined);
  }

  static MemorySegment segment(long address, long bytes, Arena arena) {
    return run(() -> MemorySegment.ofAddress(address).reinterpret(bytes, arena, null));
  }

  static void close(Arena arena) {
    run(() -> {
      arena.close();
      return null;
    });
  }

  private static <T> T run(Supplier<T> task) {
    return CompletableFuture.supplyAsync(task, THREAD).join();
  }
}
