package io.spd4j.bench.compare;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import io.spd4j.bench.Select;
import io.spd4j.bench.Shape;
import io.spd4j.bench.compare.Bench.Participant;
import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.bench.compare.Competitor.Kind;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.report.Json;
import io.spd4j.finetune.report.Machine;
import java.io.IOException;
import java.io.OutputStream;
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
  private static final JsonFactory JSON = new JsonFactory();

  private final JsonGenerator json;

  private BenchJson(JsonGenerator json) {
    this.json = json;
  }

  static void write(Bench bench, OutputStream out) throws IOException {
    try (JsonGenerator json = JSON.createGenerator(out)) {
      json.setPrettyPrinter(new DefaultPrettyPrinter());
      new BenchJson(json).bench(bench);
    }
  }

  private void bench(Bench bench) throws IOException {
    json.writeStartObject();
    json.writeStringField("finished", bench.finished().toString());
    json.writeBooleanField("quick", bench.quick());
    json.writeFieldName("machine");
    bench.machine().write(json);
    json.writeArrayFieldStart("participants");
    for (Participant participant : bench.participants()) {
      json.writeStartObject();
      json.writeStringField("name", participant.name());
      json.writeStringField("version", participant.version());
      json.writeStringField("absent", participant.absent());
      json.writeEndObject();
    }
    json.writeEndArray();
    cases("cases", bench.cases());
    cases("curve", bench.curve());
    json.writeArrayFieldStart("first");
    for (FirstSteps first : bench.first()) {
      json.writeStartObject();
      step(first.step());
      json.writeStringField("name", first.name());
      json.writeNumberField("first", first.first());
      json.writeNumberField("tenth", first.tenth());
      json.writeNumberField("hundredth", first.hundredth());
      json.writeNumberField("rest", first.rest());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeArrayFieldStart("micros");
    for (Micro micro : bench.micros()) {
      json.writeStartObject();
      json.writeStringField("name", micro.name());
      number("nanos", micro.nanos());
      number("error", micro.error());
      number("allocated", micro.allocated());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private void cases(String name, List<CaseResult> cases) throws IOException {
    json.writeArrayFieldStart(name);
    for (CaseResult result : cases) {
      json.writeStartObject();
      step(result.step());
      json.writeArrayFieldStart("entries");
      for (Entry entry : result.entries()) {
        entry(result, entry);
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  private void step(StepCase step) throws IOException {
    json.writeStringField("shape", step.shape().name());
    json.writeStringField("rule", step.rule().toString());
    json.writeStringField("select", step.select().toString());
    json.writeNumberField("threads", step.threads());
  }

  private void entry(CaseResult result, Entry entry) throws IOException {
    json.writeStartObject();
    json.writeStringField("name", entry.name());
    json.writeStringField("kind", StepCase.lower(entry.kind()));
    json.writeStringField("rule", entry.rule().toString());
    json.writeStringField("problem", entry.problem());
    if (entry.measured()) {
      number("median", entry.nanos().median());
      json.writeNumberField("bytes", result.bytes(entry));
    }
    number("allocated", entry.allocated());
    number("difference", entry.difference());
    json.writeFieldName("rounds");
    json.writeArray(entry.rounds(), 0, entry.rounds().length);
    json.writeEndObject();
  }

  /** NaN is not in JSON. */
  private void number(String name, Double value) throws IOException {
    if (value != null && Double.isFinite(value)) {
      json.writeNumberField(name, value);
    } else {
      json.writeNullField(name);
    }
  }

  /**
   * Reads what {@link #write} wrote.
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
        Rule.valueOf(upper(json, "rule")),
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
        Rule.valueOf(upper(json, "rule")),
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
