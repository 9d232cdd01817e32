package io.spd4j.bench.compare;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.Contestant.Identity;
import io.spd4j.bench.contest.Setup;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.report.Json;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/**
 * A competitor's process, which answers each line of JSON with another ({@link
 * io.spd4j.bench.contest.Server}). After a failure, every later request fails for the same reason.
 * For use by one thread.
 */
final class CompetitorProcess implements AutoCloseable {
  /** Longer than the slowest answer, torch.compile on a slow machine. */
  private static final long PATIENCE_SECONDS = 600;

  private static final long REST_MILLIS = 300;

  /** Ends the queue of answers. */
  private static final String END = "";

  private final Competitor competitor;
  private final Process process;
  private final Path log;
  private final PrintStream in;
  private final BlockingQueue<String> answers = new LinkedBlockingQueue<>();

  /** Why it no longer answers; null while it does. */
  private String broken;

  private Identity identity;

  private CompetitorProcess(Competitor competitor, Process process, Path log) {
    this.competitor = competitor;
    this.process = process;
    this.log = log;
    in = new PrintStream(process.getOutputStream(), true, UTF_8);
    Thread.ofPlatform().daemon().name(competitor.name()).start(this::listen);
  }

  /**
   * Starts a competitor, which loads its libraries while others start.
   *
   * @throws UnableException if there is no such program
   */
  static CompetitorProcess start(Competitor competitor) throws UnableException {
    try {
      Path log = Files.createTempFile("spd4j-bench-", ".log");
      log.toFile().deleteOnExit();
      ProcessBuilder builder = new ProcessBuilder(competitor.command()).redirectError(log.toFile());
      Map<String, String> environment = builder.environment();
      environment.remove("GOMP_SPINCOUNT"); // set for fine-tuning; not the libraries' best
      if (competitor.kind() == Competitor.Kind.PEER) {
        // PyTorch and DJL are two to three times faster if glibc keeps their temporary arrays.
        environment.put("MALLOC_ARENA_MAX", "1");
        environment.put("MALLOC_MMAP_MAX_", "0");
        environment.put("MALLOC_TRIM_THRESHOLD_", Long.toString(Long.MAX_VALUE));
      }
      return new CompetitorProcess(competitor, builder.start(), log);
    } catch (IOException e) {
      throw new UnableException(e.getMessage());
    }
  }

  /**
   * Asks the competitor what it is; must be the first request.
   *
   * @throws UnableException if something that it needs is missing
   */
  void hello() throws UnableException {
    identity = Json.convert(ask(Map.of("cmd", "hello")), Identity.class);
  }

  Competitor competitor() {
    return competitor;
  }

  /** Returns the versions of the libraries that do the work. */
  String version() {
    return identity.version();
  }

  List<Rule> rules() {
    return identity.rules();
  }

  /** Returns a set-up with the values that the competitor supports. */
  Setup possible(Setup wanted) {
    return wanted.with(identity.only());
  }

  /**
   * Creates the arrays and the optimizer.
   *
   * @throws UnableException if it cannot, for this set-up or at all
   */
  void setup(Setup setup) throws UnableException {
    ask(setup.json());
  }

  /** The nanoseconds of each step, and the Java heap bytes allocated by all; null if unknown. */
  record Steps(long[] nanos, Long allocated) {}

  /**
   * Takes steps and waits until the process is at rest, so that it takes no time from the next one.
   */
  Steps step(int count) throws UnableException {
    Steps steps = Json.convert(ask(Map.of("cmd", "step", "count", count)), Steps.class);
    awaitRest();
    return steps;
  }

  /** Returns elements of a tensor's data, expAvg and expAvgSq. */
  List<float[]> values(int tensor, long from, int count) throws UnableException {
    JsonNode answer = ask(Map.of("cmd", "values", "tensor", tensor, "from", from, "count", count));
    return Stream.of("data", "exp_avg", "exp_avg_sq")
        .map(array -> Json.convert(answer.get(array), float[].class))
        .toList();
  }

  /** Returns the bytes of memory that the process holds (RSS); null if unknown. */
  Long memory() {
    return ProcFile.bytes(Path.of("/proc", Long.toString(process.pid()), "status"), "VmRSS:");
  }

  /** Frees what was set up. */
  void closeSetup() throws UnableException {
    ask(Map.of("cmd", "close"));
  }

  private JsonNode ask(Map<String, ?> request) throws UnableException {
    if (broken != null) {
      throw new UnableException(broken);
    }
    JsonNode answer;
    try {
      in.println(Json.line(request));
      String line = answers.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
      if (line == null) {
        throw new IOException("it did not answer within " + PATIENCE_SECONDS + " seconds");
      }
      if (line.equals(END)) {
        throw new IOException(lastWords());
      }
      answer = Json.read(line.getBytes(UTF_8), JsonNode.class);
    } catch (IOException e) {
      throw fail(e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw fail("interrupted");
    }
    if (answer.has("skip")) {
      throw new UnableException(answer.get("skip").asText());
    }
    if (answer.has("error")) {
      if (competitor.kind() == Kind.OURS) {
        throw new IllegalStateException(competitor.name() + ": " + answer.get("error").asText());
      }
      throw new UnableException("failed: " + answer.get("error").asText());
    }
    return answer;
  }

  private UnableException fail(String reason) {
    broken = reason;
    return new UnableException(reason);
  }

  /** Queues every line of JSON that the process writes; libraries print the other lines. */
  private void listen() {
    try (BufferedReader out = process.inputReader(UTF_8)) {
      out.lines().filter(line -> line.startsWith("{")).forEach(answers::add);
    } catch (IOException | UncheckedIOException gone) {
      // treated like the end of the output
    }
    answers.add(END);
  }

  private String lastWords() throws IOException, InterruptedException {
    process.waitFor(1, TimeUnit.SECONDS);
    return Files.readString(log, UTF_8)
        .lines()
        .map(String::strip)
        .filter(line -> !line.isEmpty())
        .reduce((before, last) -> last)
        .orElse("it ended without a message");
  }

  /**
   * Waits until none of the process's threads runs: helper threads of some libraries spin while
   * they wait for work, and a JVM may still compile. Works on Linux only; elsewhere it does not
   * wait.
   */
  private void awaitRest() throws UnableException {
    try {
      for (long i = 0; i < REST_MILLIS && isBusy(process.pid()); i++) {
        Thread.sleep(1);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw fail("interrupted");
    }
  }

  private static boolean isBusy(long pid) {
    File[] threads = Path.of("/proc", Long.toString(pid), "task").toFile().listFiles();
    return threads != null && Arrays.stream(threads).anyMatch(CompetitorProcess::isRunning);
  }

  private static boolean isRunning(File thread) {
    try {
      String line = Files.readString(thread.toPath().resolve("stat"));
      return line.startsWith("R", line.lastIndexOf(')') + 2);
    } catch (IOException ended) {
      return false;
    }
  }

  /** Ends the process. */
  @Override
  public void close() {
    in.println("{\"cmd\":\"exit\"}");
    in.close();
    try {
      if (!process.waitFor(5, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
      Files.deleteIfExists(log);
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    } catch (IOException left) {
      // it is only a temporary file
    }
  }
}
