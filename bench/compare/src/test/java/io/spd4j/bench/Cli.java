package io.spd4j.bench;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.finetune.report.Json;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.LinkedHashMap;
import java.util.Map;

/** What a command printed, and its exit status. */
public record Cli(int status, String out, String err) {
  public static Cli run(String... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status = new Main().run(new PrintWriter(out, true), new PrintWriter(err, true), args);
    return new Cli(status, out.toString(), err.toString());
  }

  /** Returns the fields of the single line of JSON that a successful command prints. */
  public Map<String, String> json() throws IOException {
    assertThat(err).isEmpty();
    assertThat(status).isZero();
    assertThat(out).hasLineCount(1);
    Map<String, String> fields = new LinkedHashMap<>();
    Map<?, ?> line = Json.read(out.getBytes(UTF_8), Map.class);
    line.forEach((name, value) -> fields.put(name.toString(), value.toString()));
    return fields;
  }
}
