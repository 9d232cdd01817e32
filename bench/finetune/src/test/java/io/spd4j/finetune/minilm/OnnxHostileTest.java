package io.spd4j.finetune.minilm;

import ai.onnx.proto.OnnxMl.ModelProto;
import io.spd4j.finetune.HostileBytes;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

class OnnxHostileTest {
  @Test
  void aChangedModelIsReadOrRefused() throws IOException {
    byte[] valid = ModelProto.newBuilder().setGraph(OnnxWeightsTest.graph()).build().toByteArray();
    HostileBytes.feed(
        OnnxHostileTest.class,
        valid,
        file -> {
          try (Arena arena = Arena.ofConfined()) {
            ModelProto model = OnnxWeights.parse(new ByteArrayInputStream(file));
            OnnxWeights.read(model, OnnxWeightsTest.CONFIG, arena);
          } catch (IOException e) {
            // as documented
          }
        });
  }
}
