package io.spd4j.bench.contest;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.sun.management.ThreadMXBean;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.report.Json;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.util.Map;

/**
 * Lets another process drive a contestant. Answers each line of JSON with one line:
 *
 * <pre>
 * {"cmd":"hello"}                        {"name":…,"version":…,"rules":[…],"only":{…}}
 * {"cmd":"setup", fields of Setup}       {"ok":true}
 * {"cmd":"step","count":k}               {"nanos":[…],"allocated":n}: time of each step; Java heap bytes that all of
 *                                        them allocated, if there is a Java heap
 * {"cmd":"values","tensor":i,"from":j,"count":n}
 *                                        {"data":[…],"exp_avg":[…],"exp_avg_sq":[…]}
 * {"cmd":"close"}                        {"ok":true}, and what was set up is gone
 * {"cmd":"exit"}                         no answer; the end of the input does the same
 * </pre>
 *
 * A request that cannot be met here is answered with {"skip": reason}, a bug with {"error":
 * description}.
 */
public final class Server {
  private static final ThreadMXBean THREADS =
      ManagementFactory.getPlatformMXBean(ThreadMXBean.class);

  private final Contestant contestant;

  private Server(Contestant contestant) {
    this.contestant = contestant;
  }

  /** Answers requests until the input ends. */
  public static void serve(Contestant contestant, BufferedReader in, PrintStream out)
      throws IOException {
    try (contestant) {
      Server server = new Server(contestant);
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        JsonNode request = Json.read(line.getBytes(UTF_8), JsonNode.class);
        if (request.path("cmd").asText().equals("exit")) {
          return;
        }
        out.println(Json.line(server.answer(request)));
        out.flush();
      }
    }
  }

  private Object answer(JsonNode request) {
    try {
      return switch (request.path("cmd").asText()) {
        case "hello" -> contestant.identity();
        case "setup" -> setUp(Json.convert(request, Setup.class));
        case "step" -> step(request.get("count").asInt());
        case "values" ->
            values(
                request.get("tensor").asInt(),
                request.get("from").asLong(),
                request.get("count").asInt());
        case "close" -> close();
        default -> throw new IllegalArgumentException("there is no command " + request.get("cmd"));
      };
    } catch (Failure | LinkageError cannot) {
      return Map.of("skip", sentence(cannot));
    } catch (OutOfMemoryError e) {
      close();
      return Map.of("skip", "there is not enough memory");
    } catch (RuntimeException bug) {
      bug.printStackTrace();
      return Map.of("error", bug.toString());
    }
  }

  /** Returns the first line of the root cause's message. */
  private static String sentence(Throwable e) {
    Throwable cause = e;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause.getMessage() == null
        ? cause.toString()
        : cause.getMessage().lines().findFirst().orElse("");
  }

  private Map<String, ?> setUp(Setup wanted) throws Failure {
    close();
    Contestant.Identity identity = contestant.identity();
    if (!identity.rules().contains(wanted.rule())) {
      throw Failure.ofInput(identity.name() + " does not know the rule " + wanted.rule());
    }
    contestant.setup(wanted);
    Values.fill(contestant, wanted);
    return Map.of("ok", true);
  }

  private Map<String, ?> step(int count) {
    long[] nanos = new long[count];
    long allocated = THREADS.getTotalThreadAllocatedBytes();
    for (int k = 0; k < count; k++) {
      contestant.beforeStep();
      long begin = System.nanoTime();
      contestant.step();
      nanos[k] = System.nanoTime() - begin;
    }
    allocated = THREADS.getTotalThreadAllocatedBytes() - allocated;
    return Map.of("nanos", nanos, "allocated", allocated);
  }

  private Map<String, ?> values(int tensor, long from, int count) {
    return Json.object(
        "data", contestant.values(ArrayKind.DATA, tensor, from, count),
        "exp_avg", contestant.values(ArrayKind.EXP_AVG, tensor, from, count),
        "exp_avg_sq", contestant.values(ArrayKind.EXP_AVG_SQ, tensor, from, count));
  }

  private Map<String, ?> close() {
    contestant.close();
    return Map.of("ok", true);
  }
}
