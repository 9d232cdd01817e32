package io.spd4j.finetune.minilm;

import ai.onnx.proto.OnnxMl.ModelProto;
import io.spd4j.finetune.HostileFiles;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

public class OnnxHostileTest {
  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] file) {
    try (Arena arena = Arena.ofConfined()) {
      ModelProto model = OnnxWeights.parse(new ByteArrayInputStream(file));
      OnnxWeights.read(model, OnnxWeightsTest.CONFIG, arena);
    } catch (IOException e) {
      // as documented
    }
  }

  @Test
  void anyModelIsReadOrRefused() throws Exception {
    byte[] valid = ModelProto.newBuilder().setGraph(OnnxWeightsTest.graph()).build().toByteArray();
    HostileFiles.feed(OnnxHostileTest.class, valid, OnnxHostileTest::fuzzerTestOneInput);
  }
}
