package io.spd4j.finetune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.spd4j.finetune.cli.Failure;
import io.spd4j.finetune.cli.Rule;
import io.spd4j.finetune.minilm.Batch;
import io.spd4j.finetune.minilm.Classifier;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import io.spd4j.onednn.OneDnn;
import io.spd4j.safetensors.SafetensorsFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SavedModelTest {
  @TempDir private Path folder;
  private final Arena arena = Arena.ofShared();

  @AfterEach
  void close() {
    arena.close();
  }

  private Path file() {
    return folder.resolve("model.safetensors");
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "--lora 3"})
  void readsTheTrainedWeights(String arguments) throws Exception {
    TrainingOptions options =
        Fixtures.tiny(arguments.isEmpty() ? new String[0] : arguments.split(" "));
    Batch batch = Tokens.batch(Fixtures.examples(8, 4));
    Map<String, List<Float>> values;
    MemorySegment logits;
    try (Model model =
        Fixtures.model(options, Tiny.encoder(arena, Tiny.CONFIG, 1), Rule.ADAMW, 0, 1)) {
      Fixtures.trainer(options, model).train(() -> false, step -> {});
      values = Tiny.values(model.weights());
      MemorySegment trained = model.classifier().forward(batch);
      logits = arena.allocate(trained.byteSize(), 4).copyFrom(trained);
      SavedModel.write(file(), model.weights(), Map.of("rule", "AdamW"));
    }

    Weights read = SavedModel.read(file(), Tiny.CONFIG, arena);
    assertThat(Tiny.values(read)).isEqualTo(values);
    assertThat(read.all()).allMatch(weight -> weight.gradient() == null);
    try (OneDnn dnn = OneDnn.open(2)) {
      Classifier classifier = new Classifier(dnn, Tiny.CONFIG, read, 8, 16, arena);
      assertThat(classifier.forward(batch).mismatch(logits)).isEqualTo(-1);
    }
    assertThat(SafetensorsFile.map(file(), arena).metadata()).containsEntry("rule", "AdamW");
  }

  @ParameterizedTest
  @CsvSource({
    "embeddings.LayerNorm.bias, '[8]'",
    "encoder.layer.1.output.dense.weight, '[8, 12]'",
    "head.weight, '[2, 8]'",
    "head.bias, '[2]'",
    "encoder.layer.0.attention.self.query.lora_A.weight, '[2, 8]'",
    "encoder.layer.1.attention.output.dense.lora_B.weight, '[8, 2]'",
  })
  void namesATensorThatIsMissingOrHasAnotherShape(String name, String shape) throws Exception {
    TrainingOptions options = Fixtures.tiny("--lora", "2");
    List<Weight> weights;
    try (Model model =
        Fixtures.model(options, Tiny.encoder(arena, Tiny.CONFIG, 1), Rule.ADAMW, 0, 1)) {
      weights = new ArrayList<>(model.weights().copy(arena, false).all());
    }
    weights.removeIf(weight -> weight.name().equals(name));
    assertRefused(weights, name, shape);
    weights.add(Weight.zeros(arena, name, List.of(3L, 3L), false));
    assertRefused(weights, name, shape);
  }

  private void assertRefused(List<Weight> weights, String name, String shape) throws Exception {
    SavedModel.write(file(), new Weights(weights), Map.of());
    assertThatThrownBy(() -> SavedModel.read(file(), Tiny.CONFIG, arena))
        .isInstanceOf(Failure.class)
        .hasMessage(
            "%s is not a fine-tuned model: it has no tensor %s of type F32 and shape %s",
            file(), name, shape);
  }

  @Test
  void refusesAnotherFile() throws Exception {
    assertThatThrownBy(() -> SavedModel.read(folder, Tiny.CONFIG, arena))
        .isInstanceOf(Failure.class)
        .hasMessage(folder + " is not a file: name one that finetune wrote");
    Files.writeString(file(), "this is no safetensors file");
    assertThatIOException()
        .isThrownBy(() -> SavedModel.read(file(), Tiny.CONFIG, arena))
        .withMessageStartingWith(file() + ": ");
  }
}
