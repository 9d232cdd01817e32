package io.spd4j.finetune.report;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/** All numbers of a report in JSON. Numbers that JSON does not have (NaN, infinity) are null. */
final class JsonReport {
  private static final JsonFactory JSON = new JsonFactory();

  private final JsonGenerator json;

  private JsonReport(JsonGenerator json) {
    this.json = json;
  }

  static void write(FinetuneReport report, OutputStream out) throws IOException {
    try (JsonGenerator json = JSON.createGenerator(out)) {
      json.setPrettyPrinter(new DefaultPrettyPrinter());
      new JsonReport(json).report(report);
    }
  }

  private void report(FinetuneReport report) throws IOException {
    json.writeStartObject();
    json.writeStringField("title", report.title());
    json.writeStringField("finished", report.finished().toString());
    json.writeFieldName("machine");
    report.machine().write(json);
    json.writeObjectFieldStart("settings");
    for (Map.Entry<String, Object> setting : report.settings().entrySet()) {
      json.writeFieldName(setting.getKey());
      setting(setting.getValue());
    }
    json.writeEndObject();
    strings("test_sets", report.testSets());
    json.writeArrayFieldStart("runs");
    for (Run run : report.runs()) {
      run(run, report.testSets());
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private void setting(Object value) throws IOException {
    switch (value) {
      case null -> json.writeNull();
      case Boolean b -> json.writeBoolean(b);
      case Integer n -> json.writeNumber(n);
      case Long n -> json.writeNumber(n);
      case Number n -> number(n.doubleValue());
      case Map<?, ?> map -> {
        json.writeStartObject();
        for (Map.Entry<?, ?> entry : map.entrySet()) {
          json.writeFieldName(entry.getKey().toString());
          setting(entry.getValue());
        }
        json.writeEndObject();
      }
      default -> json.writeString(value.toString());
    }
  }

  private void run(Run run, List<String> testSets) throws IOException {
    json.writeStartObject();
    json.writeStringField("rule", run.rule());
    number("lambda", run.lambda());
    json.writeNumberField("seed", run.seed());
    json.writeBooleanField("complete", run.complete());
    json.writeNumberField("planned_steps", run.plannedSteps());
    json.writeNumberField("steps", run.history().steps().size());
    json.writeObjectFieldStart("scores");
    for (String testSet : testSets) {
      Score score = run.scores().get(testSet);
      if (score != null) {
        json.writeObjectFieldStart(testSet);
        json.writeNumberField("correct", score.correct());
        json.writeNumberField("total", score.total());
        number("accuracy", score.accuracy());
        json.writeEndObject();
      }
    }
    json.writeEndObject();
    number("deviation", run.deviation());
    number("step_ms", run.stepMillis());
    number("optimizer_ms", run.optimizerMillis());
    json.writeStringField("weights", run.weights());
    json.writeFieldName("history");
    history(run.history());
    json.writeEndObject();
  }

  private void history(History history) throws IOException {
    json.writeStartObject();
    numbers("loss", history, History.Step::loss);
    numbers("gradient_norm", history, History.Step::gradientNorm);
    numbers("learning_rate", history, History.Step::learningRate);
    numbers("step_ms", history, History.Step::stepMillis);
    numbers("optimizer_ms", history, History.Step::optimizerMillis);
    strings("layers", history.layers());
    json.writeArrayFieldStart("deviations");
    for (History.Deviation deviation : history.deviations()) {
      json.writeStartObject();
      json.writeNumberField("step", deviation.step());
      json.writeArrayFieldStart("layers");
      for (double norm : deviation.layers()) {
        number(norm);
      }
      json.writeEndArray();
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeObjectFieldStart("stopped_early");
    for (Map.Entry<String, Integer> layer : history.stopped().entrySet()) {
      json.writeNumberField(layer.getKey(), layer.getValue());
    }
    json.writeEndObject();
    strings("tensors", history.tensors());
    json.writeArrayFieldStart("selected");
    for (History.Step step : history.steps()) {
      int[] selected = step.selected().stream().toArray();
      json.writeArray(selected, 0, selected.length);
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private void strings(String name, List<String> values) throws IOException {
    json.writeArrayFieldStart(name);
    for (String value : values) {
      json.writeString(value);
    }
    json.writeEndArray();
  }

  private void numbers(String name, History history, ToDoubleFunction<History.Step> value)
      throws IOException {
    json.writeArrayFieldStart(name);
    for (History.Step step : history.steps()) {
      number(value.applyAsDouble(step));
    }
    json.writeEndArray();
  }

  private void number(String name, double value) throws IOException {
    json.writeFieldName(name);
    number(value);
  }

  private void number(double value) throws IOException {
    if (Double.isFinite(value)) {
      json.writeNumber(value);
    } else {
      json.writeNull();
    }
  }
}
