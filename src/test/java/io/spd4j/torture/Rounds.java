package io.spd4j.torture;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;

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
  private static final String SEED = System.getProperty("spd4j.torture.seed");

  /** The test that repeats a round, if it is another than the round's own. */
  private static final String REPEAT = System.getProperty("spd4j.torture.repeat");

  private static final Path FOLDER = Path.of("target", "torture");

  private static final Logger LOG = Logger.getLogger("io.spd4j");

  private final Map<String, Long> counts = new TreeMap<>();

  private Rounds() {}

  /** Returns the flags of a JVM whose rounds are a part of a test of this one. */
  static List<String> flags(double minutes, Class<?> test) {
    List<String> flags = new ArrayList<>();
    flags.add("-Dspd4j.torture.minutes=" + minutes);
    flags.add("-Dspd4j.torture.repeat=" + test.getSimpleName());
    if (SEED != null) {
      flags.add("-Dspd4j.torture.seed=" + SEED);
    }
    return flags;
  }

  /** Returns the arguments of a program in C that has rounds: minutes, or 0 and a seed. */
  static List<String> arguments() {
    return SEED != null ? List.of("0", SEED) : List.of("" + MINUTES);
  }

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
      long seed = SEED != null ? Long.parseLong(SEED) : seeds.nextLong();
      String failed =
          "round %d failed; to repeat it: make torture TEST=%s SEED=%d"
              .formatted(number, REPEAT != null ? REPEAT : test.getSimpleName(), seed);
      if (isLong()) {
        write(
            test.getSimpleName(),
            failed + System.lineSeparator()); // also if the JVM crashes or is killed
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
    counts.forEach((what, times) -> lines.append(line(test, what, times)));
    write(test.getSimpleName(), lines);
    if (isLong()) {
      System.out.print(lines);
    }
  }

  /** Has {@code make torture} print what a test did that has no rounds. */
  static void report(Class<?> test, String what, long times) {
    write(test.getSimpleName() + " " + what, line(test, what, times));
  }

  private static String line(Class<?> test, String what, long times) {
    return String.format(Locale.ROOT, "%s: %,d %s%n", test.getSimpleName(), times, what);
  }

  /** Has {@code make torture} print the figures in the log of another process. */
  static void report(String process, String log) {
    StringBuilder lines = new StringBuilder();
    log.lines()
        .filter(line -> line.matches(".*: [0-9,]+ .*"))
        .map(line -> line.substring(line.lastIndexOf('\r') + 1))
        .forEach(line -> lines.append("%s: %s%n".formatted(process, line)));
    write(process, lines);
  }

  /** Returns the reports of a JVM that ran in a folder: of a crash, how to repeat it. */
  static String reports(Path folder) {
    try (Stream<Path> files = Files.list(Files.createDirectories(folder.resolve(FOLDER)))) {
      StringBuilder reports = new StringBuilder();
      for (Path file : (Iterable<Path>) files.sorted()::iterator) {
        reports.append(Files.readString(file));
      }
      return reports.toString();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Replaces what {@code make torture} prints of a test at its end. */
  private static void write(String name, CharSequence lines) {
    try {
      Path folder = Files.createDirectories(FOLDER);
      Files.writeString(folder.resolve(name + ".txt"), lines);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
