package io.spd4j.finetune.minilm;

import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.ElementType;
import io.spd4j.onednn.MathMode;
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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

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

  /** Tolerance of an output in bf16. */
  private static final double BF16_OUTPUT = 0.02;

  /** Tolerance of all gradients in bf16, their distance to float32's by norm; 0.0103 was seen. */
  private static final double BF16_GRADIENTS = 0.02;

  /** The same of one tensor's gradient; 0.05 was seen, of a bias after the last layer. */
  private static final double BF16_GRADIENT = 0.1;

  /** Number of recorded values of a gradient. */
  private static final int HEAD = 256;

  private static Arena arena;
  private static SafetensorsFile expected;
  private static Weights pretrained;
  private static Batch batch;
  private static Pass float32;

  /** What a batch gave. */
  private record Pass(Weights weights, MemorySegment pooled, MemorySegment logits, double loss) {}

  @BeforeAll
  static void run() throws Exception {
    arena = Arena.ofShared();
    expected = SafetensorsFile.map(FILE, arena);
    pretrained = OnnxWeights.minilm(arena);
    batch = batch();
    float32 = pass(MathMode.FLOAT32);
  }

  private static Pass pass(MathMode math) {
    try (OneDnn dnn = OneDnn.builder().threads(2).math(math).open()) {
      return pass(dnn, Encoder.operands(dnn.math()), List.of());
    }
  }

  /**
   * @param adapters if there are any, only they and the head are trained
   */
  private static Pass pass(OneDnn dnn, ElementType operands, List<Weight> adapters) {
    List<Weight> head = new ArrayList<>();
    for (String name : List.of("head.weight", "head.bias")) {
      Weight weight = Weight.zeros(arena, name, expected.tensor(name).shape(), true);
      weight.data().copyFrom(expected.tensor(name).data());
      head.add(weight);
    }
    Weights weights = pretrained.copy(arena, adapters.isEmpty()).with(head).with(adapters);
    Config config = Config.MINILM_L6;
    MemorySegment pooled = arena.allocate(JAVA_FLOAT, (long) SIZE * config.hidden());
    MemorySegment logits = arena.allocate(JAVA_FLOAT, SIZE * 2);
    Encoder encoder = new Encoder(dnn, config, weights, SIZE, LENGTH, arena, operands);
    encoder.forward(batch, pooled);
    Classifier classifier = new Classifier(encoder, dnn, config, weights, SIZE, arena);
    logits.copyFrom(classifier.forward(batch).asSlice(0, logits.byteSize()));
    double loss = classifier.lossAndGradients(batch, ints("labels"), -1);
    return new Pass(weights, pooled, logits, loss);
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
    assertClose("pooled", float32.pooled, OUTPUT);
    assertClose("logits", float32.logits, OUTPUT);
    assertThat(float32.loss).isCloseTo(recorded("loss"), within(1e-6));
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
    assertThat(float32.weights.all()).hasSize(103);
    for (Weight weight : float32.weights.all()) {
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

  @Test
  void bf16IsClose() {
    Pass bf16 = pass(MathMode.BF16);
    assertClose("pooled", bf16.pooled, BF16_OUTPUT);
    assertClose("logits", bf16.logits, BF16_OUTPUT);
    assertThat(bf16.loss).isCloseTo(recorded("loss"), within(BF16_OUTPUT));
    double squaredDistances = 0;
    double squaredNorms = 0;
    for (Weight weight : bf16.weights.all()) {
      double distance = 0;
      double norm = 0;
      for (long i = 0; i < weight.numel(); i++) {
        double of32 = float32.weights.get(weight.name()).gradient().getAtIndex(JAVA_FLOAT, i);
        double difference = weight.gradient().getAtIndex(JAVA_FLOAT, i) - of32;
        distance += difference * difference;
        norm += of32 * of32;
      }
      squaredDistances += distance;
      squaredNorms += norm;
      boolean zero = weight.name().endsWith("attention.self.key.bias");
      assertThat(Math.sqrt(distance))
          .as(weight.name())
          .isLessThan(zero ? 1e-4 : BF16_GRADIENT * Math.sqrt(norm));
    }
    double distance = Math.sqrt(squaredDistances / squaredNorms);
    assertThat(distance).isLessThan(BF16_GRADIENTS);
    if (OneDnn.autoMath().mode() == MathMode.BF16) {
      assertThat(distance).isGreaterThan(BF16_GRADIENTS / 20); // it was bf16
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void anOperandThatIsRoundedOnceGivesTheBitsOfOneThatEachProductRounds(boolean adapted) {
    assumeTrue(OneDnn.autoMath().mode() == MathMode.BF16, OneDnn.autoMath().reason());
    try (OneDnn dnn = OneDnn.builder().threads(2).math(MathMode.BF16).open()) {
      Pass once = pass(dnn, ElementType.BFLOAT16, adapters(adapted));
      Pass each = pass(dnn, ElementType.FLOAT32, adapters(adapted));
      assertThat(once.pooled.mismatch(each.pooled)).isEqualTo(-1);
      assertThat(once.logits.mismatch(each.logits)).isEqualTo(-1);
      assertThat(once.loss).isEqualTo(each.loss);
      for (Weight weight : once.weights.all()) {
        if (weight.gradient() != null) {
          Weight other = each.weights.get(weight.name());
          assertThat(weight.gradient().mismatch(other.gradient())).as(weight.name()).isEqualTo(-1);
        }
      }
    }
  }

  private static List<Weight> adapters(boolean any) {
    return any ? Tiny.adapters(arena, Config.MINILM_L6, 6) : List.of();
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
