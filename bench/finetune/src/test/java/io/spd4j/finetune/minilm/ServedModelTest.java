package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.spd4j.onednn.OneDnn;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Runs exported models in ONNX Runtime, on padded batches, and compares with the network. */
class ServedModelTest {
  private static final Config CONFIG = Config.MINILM_L6;
  private static final int HIDDEN = CONFIG.hidden();
  private static final int CLASSES = 2;
  private static final float TOLERANCE = 1e-5f;

  private final Arena arena = Arena.ofConfined();
  private final SplittableRandom random = new SplittableRandom(3);
  private OneDnn dnn;

  @BeforeEach
  void open() {
    dnn = OneDnn.open(2);
  }

  @AfterEach
  void close() {
    dnn.close();
    arena.close();
  }

  /** The outputs of ONNX Runtime, the last hidden states averaged over each text's tokens. */
  private record Served(float[] mean, float[] logits, float[] probabilities) {}

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void computesWhatWasTrained(boolean adapters) throws Exception {
    Weights pretrained = OnnxWeights.minilm(arena);
    Weights trained = pretrained.copy(arena, false);
    if (adapters) {
      trained = trained.with(Lora.create(arena, CONFIG, 4, random.split()));
    }
    trained = trained.with(Classifier.head(arena, CONFIG, CLASSES, random.split()));
    for (Weight weight : trained.all()) {
      if (!adapters || Lora.isNameOf(weight.name())) {
        move(weight);
      }
    }

    try (OrtSession session = session(trained)) {
      Batch first = Batch.of(List.of(text(2), text(37), text(7), text(16)), 1);
      assertAgrees(session, trained, first, pretrained);
      assertAgrees(session, trained, Batch.of(List.of(text(512)), 1), pretrained);
      assertAgrees(session, trained, Batch.of(List.of(text(3), text(1)), 16), pretrained);
    }
  }

  /** Moves the values as far as a long fine-tuning does. */
  private void move(Weight weight) {
    for (long i = 0; i < weight.numel(); i++) {
      float value = weight.data().getAtIndex(JAVA_FLOAT, i);
      weight.data().setAtIndex(JAVA_FLOAT, i, value + (float) random.nextGaussian(0, 0.01));
    }
  }

  private int[] text(int tokens) {
    return random.ints(tokens, 999, CONFIG.vocabulary()).toArray();
  }

  private static OrtSession session(Weights weights) throws Exception {
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    OnnxExport.minilm(file, weights, Map.of("run", "test"), true);
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(2);
      return OrtEnvironment.getEnvironment().createSession(file.toByteArray(), options);
    }
  }

  private void assertAgrees(OrtSession session, Weights trained, Batch batch, Weights pretrained)
      throws OrtException {
    Served served = run(session, batch);
    float[] mean = mean(trained, batch);
    assertClose(served.mean, mean, "embedding");
    float[] before = mean(pretrained, batch);
    double difference =
        IntStream.range(0, mean.length)
            .mapToDouble(i -> Math.abs(mean[i] - before[i]))
            .max()
            .orElseThrow();
    assertThat(difference).as("from the pre-trained model").isGreaterThan(100 * TOLERANCE);

    float[] logits = logits(trained, batch);
    assertClose(served.logits, logits, "logits");
    float[] probabilities = new float[logits.length];
    for (int i = 0; i < logits.length; i++) {
      probabilities[i] = (float) (1 / (1 + Math.exp(logits[i ^ 1] - logits[i])));
    }
    assertClose(served.probabilities, probabilities, "probabilities");
  }

  private float[] mean(Weights weights, Batch batch) {
    try (Arena memory = Arena.ofConfined()) {
      MemorySegment pooled = memory.allocate(JAVA_FLOAT, (long) batch.size() * HIDDEN);
      new Encoder(dnn, CONFIG, weights, batch.size(), batch.length(), memory)
          .forward(batch, pooled);
      return pooled.toArray(JAVA_FLOAT);
    }
  }

  private float[] logits(Weights weights, Batch batch) {
    try (Arena memory = Arena.ofConfined()) {
      Classifier classifier =
          new Classifier(dnn, CONFIG, weights, batch.size(), batch.length(), memory);
      return Arrays.copyOf(classifier.forward(batch).toArray(JAVA_FLOAT), batch.size() * CLASSES);
    }
  }

  private static void assertClose(float[] actual, float[] expected, String what) {
    assertThat(actual).hasSameSizeAs(expected);
    for (int i = 0; i < expected.length; i++) {
      assertThat(actual[i]).as("%s, element %d", what, i).isCloseTo(expected[i], within(TOLERANCE));
    }
  }

  private static Served run(OrtSession session, Batch batch) throws OrtException {
    long[][] ids = new long[batch.size()][batch.length()];
    long[][] mask = new long[batch.size()][batch.length()];
    for (int i = 0; i < batch.size() * batch.length(); i++) {
      int row = i / batch.length();
      int column = i % batch.length();
      ids[row][column] = batch.ids()[i];
      mask[row][column] = column < batch.lengths()[row] ? 1 : 0;
    }
    OrtEnvironment environment = OrtEnvironment.getEnvironment();
    try (OnnxTensor input = OnnxTensor.createTensor(environment, ids);
        OnnxTensor attention = OnnxTensor.createTensor(environment, mask);
        OnnxTensor types =
            OnnxTensor.createTensor(environment, new long[batch.size()][batch.length()]);
        OrtSession.Result result =
            session.run(
                Map.of("input_ids", input, "attention_mask", attention, "token_type_ids", types))) {
      float[][][] states = (float[][][]) result.get("last_hidden_state").orElseThrow().getValue();
      float[] mean = new float[batch.size() * HIDDEN];
      for (int row = 0; row < batch.size(); row++) {
        for (int i = 0; i < HIDDEN; i++) {
          double sum = 0;
          for (int token = 0; token < batch.lengths()[row]; token++) {
            sum += states[row][token][i];
          }
          mean[row * HIDDEN + i] = (float) (sum / batch.lengths()[row]);
        }
      }
      return new Served(mean, flat(result, "logits"), flat(result, "probabilities"));
    }
  }

  private static float[] flat(OrtSession.Result result, String output) throws OrtException {
    float[][] rows = (float[][]) result.get(output).orElseThrow().getValue();
    float[] flat = new float[rows.length * CLASSES];
    for (int i = 0; i < flat.length; i++) {
      assertThat(rows[i / CLASSES]).hasSize(CLASSES);
      flat[i] = rows[i / CLASSES][i % CLASSES];
    }
    return flat;
  }
}
