package io.spd4j.bench;

import io.spd4j.ElementType;
import io.spd4j.bench.Trace.Step;
import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.safetensors.SafetensorsFile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** Reads a trace from a safetensors file. */
final class TraceReader {
  private final Path path;
  private final SafetensorsFile file;

  private TraceReader(Path path, Arena arena) throws IOException {
    this.path = path;
    file = SafetensorsFile.map(path, arena);
  }

  /**
   * Maps a trace.
   *
   * @throws IOException if the file is not a valid safetensors file
   * @throws Failure if it cannot be read or is not a trace
   */
  static Trace map(Path path, Arena arena) throws IOException, Failure {
    if (!Files.isRegularFile(path) || !Files.isReadable(path)) {
      throw Failure.ofInput(path + ": there is no such file, or it cannot be read");
    }
    return new TraceReader(path, arena).trace();
  }

  private Trace trace() throws Failure {
    Rule rule = setting("rule", Rule::of);
    Trace trace =
        new Trace(
            rule,
            setting("weight_decay", Double::valueOf),
            setting("lr", Double::valueOf),
            setting("beta1", Double::valueOf),
            setting("beta2", Double::valueOf),
            setting("eps", Double::valueOf),
            setting("amsgrad", Boolean::valueOf),
            setting("maximize", Boolean::valueOf),
            tensors(rule));
    try {
      trace.group();
    } catch (IllegalArgumentException e) {
      throw notTrace(e.getMessage());
    }
    return trace;
  }

  private List<Trace.Tensor> tensors(Rule rule) throws Failure {
    int count = setting("tensors", TraceReader::positive);
    int steps = setting("steps", TraceReader::positive);
    List<Trace.Tensor> tensors = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      String p = "p" + i + ".";
      MemorySegment init = data(p + "init", ElementType.FLOAT32);
      long bytes = init.byteSize();
      boolean anchored = file.tensors().containsKey(p + "anchor");
      MemorySegment anchor = anchored ? data(p + "anchor", ElementType.FLOAT32, bytes) : null;
      List<Step> taken = new ArrayList<>();
      for (int k = 1; k <= steps; k++) {
        taken.add(
            new Step(
                data(p + "grad." + k, ElementType.FLOAT32, bytes),
                new StepOutput(
                    data(p + "param." + k, ElementType.FLOAT32, bytes),
                    data(p + "exp_avg." + k, ElementType.FLOAT32, bytes),
                    data(p + "exp_avg_sq." + k, ElementType.FLOAT32, bytes),
                    null,
                    rule == Rule.SPD
                        ? data(p + "condition." + k, ElementType.FLOAT64, Double.BYTES)
                            .get(ValueLayout.JAVA_DOUBLE, 0)
                        : 0,
                    null)));
      }
      tensors.add(new Trace.Tensor(init, anchor, taken));
    }
    return tensors;
  }

  private MemorySegment data(String name, ElementType dtype, long bytes) throws Failure {
    MemorySegment data = data(name, dtype);
    if (data.byteSize() != bytes) {
      throw notTrace("the tensor " + name + " has " + data.byteSize() + " bytes, not " + bytes);
    }
    return data;
  }

  private MemorySegment data(String name, ElementType dtype) throws Failure {
    io.spd4j.safetensors.Tensor tensor = file.tensors().get(name);
    if (tensor == null) {
      throw notTrace("the tensor " + name + " is missing");
    }
    if (tensor.dtype() != dtype || !tensor.isAligned()) {
      throw notTrace("the tensor " + name + " is " + tensor.dtype() + ", not an aligned " + dtype);
    }
    return tensor.data();
  }

  private <T> T setting(String key, Function<String, T> parse) throws Failure {
    String text = file.metadata().get(key);
    if (text == null) {
      throw notTrace("its metadata has no '" + key + "'");
    }
    try {
      return parse.apply(text);
    } catch (IllegalArgumentException e) {
      throw notTrace("its metadata has " + key + " = '" + text + "'");
    }
  }

  private static int positive(String text) {
    int number = Integer.parseInt(text);
    if (number < 1) {
      throw new IllegalArgumentException(text);
    }
    return number;
  }

  private Failure notTrace(String why) {
    return Failure.ofInput(path + ": not an optimizer trace: " + why);
  }
}
