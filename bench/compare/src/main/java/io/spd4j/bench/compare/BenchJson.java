package io.spd4j.bench.compare;

import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.compare.Bench.Participant;
import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.bench.contest.StepCase;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.report.Json;
import io.spd4j.finetune.report.Machine;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;

/** A run as JSON: all numbers that the tables are made from, in nanoseconds and bytes. */
final class BenchJson {
  private BenchJson() {}

  static Map<String, Object> of(Bench bench) {
    return Json.object(
        "finished", bench.finished(),
        "quick", bench.quick(),
        "machine", bench.machine().json(),
        "participants", each(bench.participants(), BenchJson::participant),
        "cases", each(bench.cases(), BenchJson::caseOf),
        "curve", each(bench.curve(), BenchJson::caseOf),
        "first", each(bench.first(), BenchJson::first),
        "micros", each(bench.micros(), BenchJson::micro));
  }

  private static <T> List<Map<String, Object>> each(
      List<T> all, Function<T, Map<String, Object>> json) {
    return all.stream().map(json).toList();
  }

  private static Map<String, Object> participant(Participant p) {
    return Json.object("name", p.name(), "version", p.version(), "absent", p.absent());
  }

  private static Map<String, Object> caseOf(CaseResult result) {
    Map<String, Object> json = step(result.step());
    json.put("entries", each(result.entries(), entry -> entry(result, entry)));
    return json;
  }

  private static Map<String, Object> step(StepCase step) {
    return Json.object(
        "shape", step.shape().name(),
        "rule", step.rule(),
        "select", step.select(),
        "threads", step.threads());
  }

  private static Map<String, Object> entry(CaseResult result, Entry entry) {
    Map<String, Object> json =
        Json.object(
            "name", entry.name(),
            "kind", StepCase.lower(entry.kind()),
            "rule", entry.rule(),
            "problem", entry.problem());
    if (entry.measured()) {
      json.put("median", entry.nanos().median());
      json.put("bytes", result.bytes(entry));
    }
    json.put("allocated", entry.allocated());
    json.put("difference", entry.difference());
    json.put("rounds", entry.rounds());
    return json;
  }

  private static Map<String, Object> first(FirstSteps first) {
    Map<String, Object> json = step(first.step());
    json.put("name", first.name());
    json.put("first", first.first());
    json.put("tenth", first.tenth());
    json.put("hundredth", first.hundredth());
    json.put("rest", first.rest());
    return json;
  }

  private static Map<String, Object> micro(Micro m) {
    return Json.object(
        "name", m.name(), "nanos", m.nanos(), "error", m.error(), "allocated", m.allocated());
  }

  /**
   * Reads what {@link #of} describes.
   *
   * @throws Failure if the file holds something else
   */
  static Bench read(Path file) throws Failure {
    try {
      Map<?, ?> bench = (Map<?, ?>) Json.read(Files.readAllBytes(file));
      Map<?, ?> machine = (Map<?, ?>) bench.get("machine");
      return new Bench(
          Instant.parse(text(bench, "finished")),
          (Boolean) bench.get("quick"),
          new Machine(
              text(machine, "cpu"),
              ((Number) machine.get("cores")).intValue(),
              text(machine, "jdk"),
              text(machine, "os")),
          list(
              bench,
              "participants",
              p -> new Participant(text(p, "name"), text(p, "version"), text(p, "absent"))),
          list(bench, "cases", BenchJson::caseOf),
          list(bench, "curve", BenchJson::caseOf),
          bench.containsKey("first") // runs of before have none
              ? list(bench, "first", BenchJson::firstOf)
              : List.of(),
          list(
              bench,
              "micros",
              m ->
                  new Micro(
                      text(m, "name"), nan(m, "nanos"), nan(m, "error"), nan(m, "allocated"))));
    } catch (NoSuchFileException e) {
      throw Failure.ofInput(file + " cannot be read: give the JSON file of a run");
    } catch (IOException | RuntimeException e) {
      throw Failure.ofInput(file + " is not the JSON file of a run");
    }
  }

  private static CaseResult caseOf(Map<?, ?> json) {
    return new CaseResult(stepOf(json), list(json, "entries", BenchJson::entryOf));
  }

  private static StepCase stepOf(Map<?, ?> json) {
    return new StepCase(
        Shape.parse(text(json, "shape")),
        Rule.of(text(json, "rule")),
        Select.valueOf(upper(json, "select")),
        ((Number) json.get("threads")).intValue());
  }

  private static FirstSteps firstOf(Map<?, ?> json) {
    return new FirstSteps(
        stepOf(json),
        text(json, "name"),
        nan(json, "first"),
        nan(json, "tenth"),
        nan(json, "hundredth"),
        nan(json, "rest"));
  }

  private static Entry entryOf(Map<?, ?> json) {
    return new Entry(
        text(json, "name"),
        Kind.valueOf(upper(json, "kind")),
        Rule.of(text(json, "rule")),
        ((List<?>) json.get("rounds"))
            .stream().mapToDouble(n -> ((Number) n).doubleValue()).toArray(),
        number(json, "difference"),
        number(json, "allocated"),
        text(json, "problem"));
  }

  private static <T> List<T> list(Map<?, ?> json, String name, Function<Map<?, ?>, T> of) {
    return ((List<?>) json.get(name))
        .stream().map(element -> of.apply((Map<?, ?>) element)).toList();
  }

  private static String text(Map<?, ?> json, String name) {
    return (String) json.get(name);
  }

  private static String upper(Map<?, ?> json, String name) {
    return text(json, name).toUpperCase(Locale.ROOT);
  }

  private static Double number(Map<?, ?> json, String name) {
    return json.get(name) instanceof Number number ? number.doubleValue() : null;
  }

  private static double nan(Map<?, ?> json, String name) {
    return json.get(name) instanceof Number number ? number.doubleValue() : Double.NaN;
  }
}
