package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import io.spd4j.onednn.OneDnn;
import io.spd4j.safetensors.SafetensorsFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** Compares one batch through all-MiniLM-L6-v2 with PyTorch's results in float64. */
class OracleTest {
  private static final Path FILE =
      Path.of("../../src/test/resources/reference/minilm_batch.safetensors");
  private static final int SIZE = 4;
  private static final int LENGTH = 32;

  /**
   * Tolerance of an output. The error of float32 depends on the CPU; the largest seen is 1.1e-6.
   */
  private static final double OUTPUT = 5e-6;

  /** Tolerance of a gradient, relative to its norm; the largest error seen is 5e-6. */
  private static final double GRADIENT = 2e-5;

  /** Number of recorded values of a gradient. */
  private static final int HEAD = 256;

  private static Arena arena;
  private static SafetensorsFile expected;
  private static Weights weights;
  private static Batch batch;
  private static MemorySegment pooled;
  private static MemorySegment logits;
  private static double loss;

  @BeforeAll
  static void run() throws Exception {
    arena = Arena.ofShared();
    expected = SafetensorsFile.map(FILE, arena);
    Weights pretrained = OnnxWeights.minilm(arena);
    List<Weight> head = new ArrayList<>();
    for (String name : List.of("head.weight", "head.bias")) {
      Weight weight = Weight.zeros(arena, name, expected.tensor(name).shape(), true);
      weight.data().copyFrom(expected.tensor(name).data());
      head.add(weight);
    }
    weights = pretrained.copy(arena, true).with(head);
    batch = batch();
    Config config = Config.MINILM_L6;
    pooled = arena.allocate(JAVA_FLOAT, (long) SIZE * config.hidden());
    logits = arena.allocate(JAVA_FLOAT, SIZE * 2);
    try (OneDnn dnn = OneDnn.open(2)) {
      new Encoder(dnn, config, weights, SIZE, LENGTH, arena).forward(batch, pooled);
      Classifier classifier = new Classifier(dnn, config, weights, SIZE, LENGTH, arena);
      logits.copyFrom(classifier.forward(batch).asSlice(0, logits.byteSize()));
      loss = classifier.lossAndGradients(batch, ints("labels"), -1);
    }
  }

  private static int[] ints(String name) {
    long[] values = expected.tensor(name).data().toArray(JAVA_LONG);
    return Arrays.stream(values).mapToInt(Math::toIntExact).toArray();
  }

  private static Batch batch() {
    int[] ids = ints("input_ids");
    int[] mask = ints("attention_mask");
    List<int[]> sequences = new ArrayList<>();
    for (int from = 0; from < ids.length; from += LENGTH) {
      int length = Arrays.stream(mask, from, from + LENGTH).sum();
      sequences.add(Arrays.copyOfRange(ids, from, from + length));
    }
    Batch batch = Batch.of(sequences, LENGTH);
    assertThat(batch.ids()).isEqualTo(ids);
    return batch;
  }

  @AfterAll
  static void close() {
    arena.close();
  }

  @Test
  void pooledLogitsAndLoss() {
    assertClose("pooled", pooled, OUTPUT);
    assertClose("logits", logits, OUTPUT);
    assertThat(loss).isCloseTo(recorded("loss"), within(1e-6));
  }

  private static void assertClose(String name, MemorySegment actual, double tolerance) {
    MemorySegment want = expected.tensor(name).data();
    assertThat(actual.byteSize()).isEqualTo(want.byteSize());
    for (int i = 0; i < want.byteSize() / Float.BYTES; i++) {
      assertThat((double) actual.getAtIndex(JAVA_FLOAT, i))
          .as("%s %d", name, i)
          .isCloseTo(want.getAtIndex(JAVA_FLOAT, i), within(tolerance));
    }
  }

  private static double recorded(String name) {
    return expected.tensor(name).data().get(JAVA_DOUBLE, 0);
  }

  @Test
  void everyGradient() {
    assertThat(weights.all()).hasSize(103);
    for (Weight weight : weights.all()) {
      String name = weight.name();
      double sum = 0;
      for (long i = 0; i < weight.numel(); i++) {
        double g = weight.gradient().getAtIndex(JAVA_FLOAT, i);
        sum += g * g;
      }
      double norm = recorded("grad_norm." + name);
      // The keys' bias adds a constant to a row of scores, which the softmax ignores.
      boolean zero = name.endsWith("attention.self.key.bias");
      double tolerance = zero ? 1e-7 : GRADIENT * norm;
      assertThat(norm).as(name).matches(n -> zero == n < 1e-12);
      assertThat(Math.sqrt(sum)).as(name).isCloseTo(norm, within(tolerance));
      assertClose("grad_head." + name, head(weight), tolerance);
    }
  }

  /** Returns the recorded part of a gradient; see the file's metadata. */
  private static MemorySegment head(Weight weight) {
    long values = Math.min(HEAD, weight.numel());
    if (!weight.name().equals("embeddings.word_embeddings.weight")) {
      return weight.gradient().asSlice(0, values * Float.BYTES);
    }
    MemorySegment head = arena.allocate(JAVA_FLOAT, values);
    int columns = 32;
    for (int token = 0; token < HEAD / columns; token++) {
      long from = (long) batch.ids()[token] * weight.shape().getLast() * Float.BYTES;
      long bytes = (long) columns * Float.BYTES;
      MemorySegment.copy(weight.gradient(), from, head, token * bytes, bytes);
    }
    return head;
  }
}
