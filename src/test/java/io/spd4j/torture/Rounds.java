package io.spd4j.torture;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Runs a torture test round by round, each with its own seed: a few with the same seeds each time,
 * or for {@code -Dspd4j.torture.minutes=M} with new ones, or the one of {@code
 * -Dspd4j.torture.seed=S}. What was done is counted and written to {@code target/torture}.
 */
final class Rounds {
  /** One round. Not called by two threads at once. */
  interface Round {
    /**
     * @param random all that the round does follows from it
     */
    void run(SplittableRandom random, Rounds rounds) throws Exception;
  }

  private static final double MINUTES =
      Double.parseDouble(System.getProperty("spd4j.torture.minutes", "0"));
  private static final Long SEED = Long.getLong("spd4j.torture.seed");

  private static final Logger LOG = Logger.getLogger("io.spd4j");

  private final Map<String, Long> counts = new TreeMap<>();

  private Rounds() {}

  /** Returns how long a long run takes; 0 if this is a short one. */
  static double minutes() {
    return MINUTES;
  }

  /** Returns whether this is a long run. */
  static boolean isLong() {
    return MINUTES > 0;
  }

  /**
   * Runs rounds until one fails or it is enough.
   *
   * @param test whose rounds they are
   * @param usual the number of rounds of a short run
   */
  static void run(Class<?> test, int usual, Round round) {
    Level before = LOG.getLevel();
    LOG.setLevel(Level.OFF); // each optimizer would warn of steps without gradients
    try {
      run(test, usual, round, new Rounds());
    } finally {
      LOG.setLevel(before);
    }
  }

  private static void run(Class<?> test, int usual, Round round, Rounds rounds) {
    long started = System.nanoTime();
    long time = (long) (MINUTES * TimeUnit.MINUTES.toNanos(1));
    SplittableRandom seeds = isLong() ? new SplittableRandom() : new SplittableRandom(1);
    long number = 0;
    do {
      long seed = SEED != null ? SEED : seeds.nextLong();
      String failed =
          "round %d failed; to repeat it: make torture TEST=%s SEED=%d"
              .formatted(number, test.getSimpleName(), seed);
      if (isLong()) {
        write(test, failed + System.lineSeparator()); // also if the JVM crashes or is killed
      }
      try {
        round.run(new SplittableRandom(seed), rounds);
      } catch (Throwable e) { // whatever a finding is
        throw new AssertionError(failed, e);
      }
      number++;
    } while (SEED == null && (isLong() ? System.nanoTime() - started < time : number < usual));
    rounds.count("rounds", number);
    rounds.report(test);
  }

  /** Adds to what has been done. */
  synchronized void count(String what, long times) {
    counts.merge(what, times, Long::sum);
  }

  private synchronized void report(Class<?> test) {
    StringBuilder lines = new StringBuilder();
    counts.forEach(
        (what, times) -> lines.append("%s: %,d %s%n".formatted(test.getSimpleName(), times, what)));
    write(test, lines);
    if (isLong()) {
      System.out.print(lines);
    }
  }

  /** Replaces what {@code make torture} prints of a test at its end. */
  private static void write(Class<?> test, CharSequence lines) {
    try {
      Path folder = Files.createDirectories(Path.of("target", "torture"));
      Files.writeString(folder.resolve(test.getSimpleName() + ".txt"), lines);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
