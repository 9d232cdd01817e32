package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * What a job left in its folder, without times.
 *
 * @param weights the bytes of the weights by file name, in hexadecimal
 * @param report the numbers
 * @param metrics the lines of the metrics
 */
record TinyResults(Map<String, List<Byte>> weights, JsonNode report, List<JsonNode> metrics) {
  private static final JsonMapper MAPPER = JsonMapper.builder().build();

  static TinyResults of(Path folder) throws IOException {
    Map<String, List<Byte>> weights = new TreeMap<>();
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        String name = file.getFileName().toString();
        if (name.endsWith(".safetensors")
            && !name.contains("checkpoint")
            && Files.isRegularFile(file)) {
          List<Byte> bytes = new ArrayList<>();
          for (byte b : Files.readAllBytes(file)) {
            bytes.add(b);
          }
          weights.put(name, bytes);
        }
      }
    }
    return new TinyResults(weights, report(folder), metrics(folder));
  }

  static JsonNode report(Path folder) throws IOException {
    JsonNode report = MAPPER.readTree(folder.resolve("tiny.json").toFile());
    assertThat(report.has("finished")).isTrue();
    return withoutTimes(report);
  }

  static List<JsonNode> metrics(Path folder) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve("tiny-metrics.jsonl"))) {
      lines.add(withoutTimes(MAPPER.readTree(line)));
    }
    return lines;
  }

  private static JsonNode withoutTimes(JsonNode node) {
    if (node instanceof ObjectNode object) {
      object.remove(List.of("finished", "step_ms", "optimizer_ms", "tokens_per_second"));
    }
    node.forEach(TinyResults::withoutTimes);
    return node;
  }
}
