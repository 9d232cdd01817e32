package io.spd4j.bench;

import io.spd4j.Backend;
import io.spd4j.bench.contest.ArrayMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.IntStream;

/** The bandwidth of a copy, which a step cannot beat unless its arrays stay in the cache. */
final class CopyBandwidth {
  private CopyBandwidth() {}

  /**
   * Copies one half of a block of device memory to the other.
   *
   * @return median bytes read and written per nanosecond
   */
  static double onDevice(long bytes, int repeat) {
    try (ArrayMemory memory = new ArrayMemory(Backend.CUDA)) {
      long half = bytes / 2;
      MemorySegment from = memory.allocate(half);
      MemorySegment to = memory.allocate(half);
      Runnable copy = () -> memory.stream().copy(from, to);
      return 2 * half / DeviceTiming.of(memory.stream(), repeat, copy).device().medianNanos();
    }
  }

  /**
   * Copies one half of a block of host memory to the other.
   *
   * @return median bytes read and written per nanosecond
   */
  static double onHost(long bytes, int threads, int repeat) {
    try (Arena arena = Arena.ofShared();
        ExecutorService helpers = Executors.newFixedThreadPool(threads)) {
      long half = bytes / 2;
      MemorySegment from = arena.allocate(half, 64).fill((byte) 1);
      MemorySegment to = arena.allocate(half, 64).fill((byte) 2);
      Runnable[] parts =
          IntStream.range(0, threads)
              .<Runnable>mapToObj(t -> {
                long begin = half / threads * t;
                long size = t == threads - 1 ? half - begin : half / threads;
                return () -> MemorySegment.copy(from, begin, to, begin, size);
              })
              .toArray(Runnable[]::new);
      Timing timing =
          Timing.of(
              repeat,
              () -> {
                CompletableFuture<?>[] running = new CompletableFuture<?>[threads - 1];
                for (int t = 1; t < threads; t++) {
                  running[t - 1] = CompletableFuture.runAsync(parts[t], helpers);
                }
                parts[0].run();
                CompletableFuture.allOf(running).join();
              });
      return 2 * half / timing.medianNanos();
    }
  }
}
