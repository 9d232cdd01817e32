package io.spd4j.safetensors;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.ElementType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.net.URISyntaxException;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Files that the reference implementation wrote. The values expected here were read back with it.
 */
class ReferenceFilesTest {
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LONG =
      ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);

  @ParameterizedTest
  @CsvSource({
    "adamw, 182, adamw",
    "adamw_amsgrad_maximize, 182, adamw",
    "l2sp, 182, l2sp",
    "l2sp_coupled, 182, l2sp_coupled",
    "spd, 294, spd",
    "spd_half_amsgrad, 294, spd",
    "spd_origin, 287, spd",
  })
  void everyTraceIsRead(String name, int tensors, String rule) throws Exception {
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(reference(name), arena);
      assertThat(file.tensors()).hasSize(tensors);
      assertThat(file.metadata())
          .containsKeys(
              "lr", "beta1", "beta2", "eps", "weight_decay", "amsgrad", "maximize", "steps")
          .containsEntry("rule", rule)
          .containsEntry("tensors", "7");
      assertThat(file.tensors().values()).allMatch(Tensor::isAligned);
    }
  }

  @Test
  void valuesOfATrace() throws Exception {
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(reference("spd"), arena);
      assertThat(new TreeMap<>(file.metadata()))
          .hasToString(
              "{amsgrad=false, beta1=0.9, beta2=0.999, eps=1e-08, lr=0.001, maximize=false,"
                  + " rule=spd, steps=8, tensors=7, weight_decay=1.0}");
      assertThat(file.tensor("p0.init").shape()).containsExactly(1L);
      assertThat(file.tensor("p0.init").data().get(FLOAT, 0)).isEqualTo(-0x1.a33918p-7f);
      assertThat(file.tensor("p0.grad.1").data().get(FLOAT, 0)).isEqualTo(0x1.2df88cp+0f);
      assertThat(file.tensor("p0.param.8").data().get(FLOAT, 0)).isEqualTo(-0x1.08db66p-6f);
      assertThat(file.tensor("p0.condition.1").dtype()).isEqualTo(ElementType.FLOAT64);
    }
  }

  @Test
  void valuesOfABatch() throws Exception {
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsFile file = SafetensorsFile.map(reference("minilm_batch"), arena);
      assertThat(file.tensors()).hasSize(214);
      assertThat(file.metadata())
          .containsEntry("model", "all-MiniLM-L6-v2")
          .containsEntry("sequence_length", "32")
          .hasEntrySatisfying(
              "texts", texts -> assertThat(texts).contains("\"hi\"", "na\\u00efve caf\\u00e9"));

      Tensor ids = file.tensor("input_ids");
      assertThat(ids.dtype()).isEqualTo(ElementType.INT64);
      assertThat(ids.shape()).containsExactly(4L, 32L);
      assertThat(ids.data().getAtIndex(LONG, 1)).isEqualTo(23156);
      assertThat(ids.data().getAtIndex(LONG, 127)).isEqualTo(102);

      Tensor head = file.tensor("head.weight");
      assertThat(head.dtype()).isEqualTo(ElementType.FLOAT32);
      assertThat(head.shape()).containsExactly(2L, 384L);
      assertThat(head.data().getAtIndex(FLOAT, 0)).isEqualTo(6.15076714893803e-05f);
      assertThat(head.data().getAtIndex(FLOAT, 767)).isEqualTo(0.00609770230948925f);

      assertThat(file.tensor("loss").data().get(DOUBLE, 0)).isEqualTo(0.7379201987648604);
    }
  }

  private static Path reference(String name) throws IOException, URISyntaxException {
    return Path.of(
        ReferenceFilesTest.class.getResource("/reference/" + name + ".safetensors").toURI());
  }
}
