package io.spd4j.bench.compare;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.spd4j.bench.compare.CaseResult.Entry;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.report.Json;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/** A run as JSON: every number behind the tables, in nanoseconds and bytes. */
final class BenchJson {
  private BenchJson() {}

  static JsonNode of(Bench bench) {
    ObjectNode json = Json.convert(bench, ObjectNode.class);
    derive(bench.cases(), json.get("cases"));
    derive(bench.curve(), json.get("curve"));
    return json;
  }

  /** Adds the numbers that follow from others. */
  private static void derive(List<CaseResult> results, JsonNode json) {
    for (int i = 0; i < results.size(); i++) {
      CaseResult result = results.get(i);
      for (int k = 0; k < result.entries().size(); k++) {
        Entry entry = result.entries().get(k);
        if (entry.measured()) {
          ((ObjectNode) json.get(i).get("entries").get(k))
              .put("median", entry.nanos().median())
              .put("bytes", result.bytes(entry));
        }
      }
    }
  }

  /**
   * Reads a run.
   *
   * @throws Failure if the file cannot be read or holds something else
   */
  static Bench read(Path file) throws Failure {
    try {
      return Objects.requireNonNull(Json.read(Files.readAllBytes(file), Bench.class));
    } catch (NoSuchFileException e) {
      throw Failure.ofInput(file + " cannot be read: give the JSON file of a run");
    } catch (IOException | NullPointerException e) {
      throw Failure.ofInput(file + " is not the JSON file of a run");
    }
  }
}
