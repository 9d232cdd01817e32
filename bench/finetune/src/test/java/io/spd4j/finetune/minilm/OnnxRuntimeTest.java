package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.spd4j.finetune.data.MailTokenizer;
import io.spd4j.onednn.OneDnn;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Compares embeddings with ONNX Runtime, which runs the model's own graph on one text at a time.
 */
class OnnxRuntimeTest {
  private static final int HIDDEN = Config.MINILM_L6.hidden();
  private static final int BATCH = 4;

  private static final String LETTER =
      "Dear Ms. O'Neill -- thanks for your mail of 3/14; I'll be in on Friday, at 9:30. ";
  private static final List<String> TEXTS =
      List.of(
          "",
          "hi",
          "!",
          "antidisestablishmentarianism",
          "Your invoice #4711 is attached.",
          "GET RICH QUICK!!! $$$ 100% FREE >>> http://example.com/?a=b&c=d",
          "Größe, Straße, Übermut: Äpfel und Öl kosten 3,50 €",
          "Où est passé l'été dernier ? À la plage, peut-être.",
          "Привет, как дела? Всё хорошо.",
          "今天天气很好。日本語もあります。한국어",
          "مرحبا بالعالم",
          "🙂 \u0000\u00ad\u200b ½ ﬁ",
          LETTER,
          LETTER.repeat(4),
          LETTER.repeat(9),
          LETTER.repeat(40));

  @Test
  void agree() throws Exception {
    try (Arena arena = Arena.ofConfined();
        MailTokenizer tokenizer = new MailTokenizer();
        OneDnn dnn = OneDnn.open(2);
        OrtSession session = session()) {
      List<int[]> texts = new ArrayList<>();
      TEXTS.forEach(text -> texts.add(tokenizer.encode(text, MailTokenizer.MAX_TOKENS)));
      assertThat(texts).extracting(text -> text.length).contains(2, 3, 512);
      Collections.shuffle(texts, new SplittableRandom(7)); // puts short texts beside long ones

      Weights weights = OnnxWeights.minilm(arena);
      Encoder encoder = new Encoder(dnn, Config.MINILM_L6, weights, BATCH, 512, arena);
      MemorySegment pooled = arena.allocate(JAVA_FLOAT, BATCH * HIDDEN);
      for (int from = 0; from < texts.size(); from += BATCH) {
        List<int[]> batch = texts.subList(from, from + BATCH);
        encoder.forward(Batch.of(batch, 16), pooled);
        for (int i = 0; i < BATCH; i++) {
          float[] expected = pooled(session, batch.get(i));
          for (int j = 0; j < HIDDEN; j++) {
            assertThat(pooled.getAtIndex(JAVA_FLOAT, i * HIDDEN + j))
                .as("text of %d tokens, feature %d", batch.get(i).length, j)
                .isCloseTo(expected[j], within(1e-5f));
          }
        }
      }
    }
  }

  private static OrtSession session() throws Exception {
    try (InputStream model = OnnxRuntimeTest.class.getResourceAsStream(OnnxWeights.RESOURCE);
        OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(2);
      return OrtEnvironment.getEnvironment().createSession(model.readAllBytes(), options);
    }
  }

  private static float[] pooled(OrtSession session, int[] tokens) throws OrtException {
    long[] ids = Arrays.stream(tokens).asLongStream().toArray();
    long[] ones = new long[ids.length];
    Arrays.fill(ones, 1);
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OnnxTensor input = OnnxTensor.createTensor(environment, new long[][] {ids});
        OnnxTensor mask = OnnxTensor.createTensor(environment, new long[][] {ones});
        OnnxTensor types = OnnxTensor.createTensor(environment, new long[1][ids.length]);
        OrtSession.Result result =
            session.run(
                Map.of("input_ids", input, "attention_mask", mask, "token_type_ids", types))) {
      float[][] hidden =
          ((float[][][]) result.get("last_hidden_state").orElseThrow().getValue())[0];
      double[] sum = new double[HIDDEN];
      Stream.of(hidden).forEach(row -> Arrays.setAll(sum, i -> sum[i] + row[i]));
      float[] mean = new float[HIDDEN];
      for (int i = 0; i < HIDDEN; i++) {
        mean[i] = (float) (sum[i] / hidden.length);
      }
      return mean;
    }
  }
}
