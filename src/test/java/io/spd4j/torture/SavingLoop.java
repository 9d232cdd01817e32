package io.spd4j.torture;

import io.spd4j.Adam;
import io.spd4j.Checkpoint;
import io.spd4j.ElementType;
import io.spd4j.NoDecay;
import io.spd4j.Parameter;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The main class of a process to be killed: steps and saves. It continues from the checkpoint if
 * there is one, and prints each number of steps when its checkpoint is written.
 */
final class SavingLoop {
  /** The name of a tensor of {@value #BYTES} bytes, each the lowest of the number of steps. */
  static final String LARGE = "large";

  static final long BYTES = 3_000_000;

  private SavingLoop() {}

  /** Takes the checkpoint's path and the number of steps. */
  public static void main(String[] args) throws IOException {
    Path path = Path.of(args[0]);
    try (Arena arena = Arena.ofShared()) {
      MemorySegment large = arena.allocate(BYTES);
      MemorySegment gradient = arena.allocate(100, 64).fill((byte) 0x3f);
      Parameter p = Parameter.of("p", arena.allocate(100, 64), gradient);
      Adam.Builder builder = Adam.builder().threads(1).group(1, new NoDecay(), List.of(p));
      if (Files.exists(path)) {
        builder.restore(path);
      }
      try (Adam adam = builder.build()) {
        for (long steps = Long.parseLong(args[1]); steps > 0; steps--) {
          adam.step();
          large.fill((byte) p.step());
          try {
            Checkpoint.of(adam)
                .parameters(true)
                .keepPrevious(true)
                .tensor(LARGE, ElementType.UINT8, List.of(BYTES), large)
                .write(path);
            System.out.println(p.step());
          } catch (IOException e) {
            System.out.println(e.getMessage());
          }
        }
      }
    }
  }
}
