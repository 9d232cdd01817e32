package io.spd4j.finetune;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;

/**
 * Changes a valid file again and again: a few times with the same seed each time, or for {@code
 * -Dspd4j.torture.minutes=M} with a new one.
 */
public final class HostileBytes {
  private static final int USUAL = 300;
  private static final List<String> PIECES =
      List.of(
          "null",
          "-1",
          "2147483647",
          "9223372036854775808",
          "1e999",
          "NaN",
          "\"\"",
          "[",
          "{",
          "]",
          "}",
          "[[[[",
          "\"a\":",
          "true",
          "\u0000",
          "é",
          ",",
          "0");

  private HostileBytes() {}

  /** What reads a file, and throws anything that is not documented. */
  public interface Reader {
    void read(byte[] file) throws Exception;
  }

  /** Gives a reader changed files. The one that breaks it is kept in target/torture. */
  public static void feed(Class<?> test, byte[] valid, Reader reader) throws IOException {
    double minutes = Double.parseDouble(System.getProperty("spd4j.torture.minutes", "0"));
    long seed = minutes > 0 ? new SplittableRandom().nextLong() : 1;
    SplittableRandom random = new SplittableRandom(seed);
    long time = (long) (minutes * TimeUnit.MINUTES.toNanos(1));
    long started = System.nanoTime();
    Path folder = Files.createDirectories(Path.of("target", "torture"));
    long files = 0;
    for (; minutes > 0 ? System.nanoTime() - started < time : files < USUAL; files++) {
      byte[] changed = valid;
      do {
        changed = change(changed, random);
      } while (random.nextInt(3) == 0);
      try {
        reader.read(changed);
      } catch (Exception | Error e) {
        Path kept = Files.write(folder.resolve(test.getSimpleName() + "-file"), changed);
        throw new AssertionError("file " + files + ", kept as " + kept.toAbsolutePath(), e);
      }
    }
    String line =
        String.format(Locale.ROOT, "%s: %,d hostile files%n", test.getSimpleName(), files);
    Files.writeString(folder.resolve(test.getSimpleName() + ".txt"), line);
  }

  private static byte[] change(byte[] file, SplittableRandom random) {
    byte[] changed = file.clone();
    int at = random.nextInt(file.length + 1);
    switch (random.nextInt(5)) {
      case 0 -> {
        for (int n = 1 + random.nextInt(8); n > 0 && file.length > 0; n--) {
          changed[random.nextInt(file.length)] ^= (byte) (1 << random.nextInt(8));
        }
      }
      case 1 -> changed = Arrays.copyOf(file, at);
      case 2 -> {
        String piece = PIECES.get(random.nextInt(PIECES.size()));
        int times = random.nextInt(8) == 0 ? 1 + random.nextInt(3000) : 1;
        changed = replace(file, at, at, piece.repeat(times).getBytes(StandardCharsets.UTF_8));
      }
      case 3 -> { // a piece once more, elsewhere
        int from = random.nextInt(file.length + 1);
        int to = Math.min(file.length, from + random.nextInt(60));
        changed = replace(file, at, at, Arrays.copyOfRange(file, from, to));
      }
      default -> {
        int end = Math.min(file.length, at + random.nextInt(60));
        String piece = PIECES.get(random.nextInt(PIECES.size()));
        boolean gone = random.nextBoolean();
        changed =
            replace(file, at, end, gone ? new byte[0] : piece.getBytes(StandardCharsets.UTF_8));
      }
    }
    return changed;
  }

  private static byte[] replace(byte[] file, int begin, int end, byte[] by) {
    byte[] changed = Arrays.copyOf(file, begin + by.length + file.length - end);
    System.arraycopy(by, 0, changed, begin, by.length);
    System.arraycopy(file, end, changed, begin + by.length, file.length - end);
    return changed;
  }
}
