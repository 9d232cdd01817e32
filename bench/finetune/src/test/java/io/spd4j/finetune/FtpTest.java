package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.NoDecay;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import io.spd4j.finetune.minilm.Tiny;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class FtpTest {
  private static final int STEPS = 6;

  private final Arena arena = Arena.ofShared();

  @AfterEach
  void close() {
    arena.close();
  }

  private Weight random(String name, List<Long> shape, double spread, SplittableRandom random) {
    Weight weight = Weight.zeros(arena, name, shape, true);
    for (long i = 0; i < weight.numel(); i++) {
      weight.data().setAtIndex(JAVA_FLOAT, i, (float) random.nextGaussian(0, spread));
    }
    return weight;
  }

  private static ParameterGroup group(Weight weight) {
    return ParameterGroup.builder()
        .lr(1)
        .decay(new NoDecay())
        .parameters(
            List.of(
                Parameter.builder(weight.name(), weight.data())
                    .gradient(weight.gradient())
                    .build()))
        .build();
  }

  /** The same in float64, written from the paper's Algorithm 1, one tensor with all its history. */
  private static final class Expected {
    final double[][] anchor;
    final double k;
    final List<double[][]> displacements = new ArrayList<>();
    final List<Double> gammas = new ArrayList<>();
    final List<Double> gradients = new ArrayList<>();

    Expected(double[][] anchor, double k) {
      this.anchor = anchor;
      this.k = k;
    }

    static double norm(double[] row) {
      return Arrays.stream(row).map(Math::abs).sum() + 1e-8;
    }

    double[][] step(double[][] unprojected, double[][] gradient) {
      double[][] c = new double[anchor.length][];
      for (int r = 0; r < c.length; r++) {
        c[r] = minus(unprojected[r], anchor[r]);
      }
      gammas.add(gammas.isEmpty() ? 1e-8 : gamma(c, gradient));
      displacements.add(c);
      double[][] projected = new double[c.length][];
      for (int r = 0; r < c.length; r++) {
        double shrink = Math.min(1, gammas.getLast() / norm(c[r]));
        projected[r] = new double[c[r].length];
        for (int i = 0; i < c[r].length; i++) {
          projected[r][i] = anchor[r][i] + shrink * c[r][i];
        }
      }
      return projected;
    }

    private double gamma(double[][] c, double[][] gradient) {
      double sum = 0;
      double[][] before = displacements.getLast();
      for (int r = 0; r < c.length; r++) {
        double product = 0;
        for (int i = 0; i < c[r].length; i++) {
          product += gradient[r][i] * before[r][i];
        }
        sum += product / norm(before[r]);
      }
      gradients.add(sum > 0 ? k * sum : sum);
      int t = gradients.size() + 1; // of the step; the first one had no gradient
      double mean = 0;
      double square = 0;
      for (int s = 0; s < gradients.size(); s++) {
        int age = gradients.size() - 1 - s;
        mean += 0.1 * Math.pow(0.9, age) * gradients.get(s);
        square += 0.001 * Math.pow(0.999, age) * gradients.get(s) * gradients.get(s);
      }
      mean /= 1 - Math.pow(0.9, t);
      square /= 1 - Math.pow(0.999, t);
      double gamma = gammas.getLast() - 0.01 * mean / (Math.sqrt(square) + 1e-8);
      double largest = Arrays.stream(c).mapToDouble(Expected::norm).max().orElseThrow();
      return Math.min(Math.max(gamma, 1e-8), largest);
    }
  }

  private static double[] minus(double[] a, double[] b) {
    return IntStream.range(0, a.length).mapToDouble(i -> a[i] - b[i]).toArray();
  }

  private static double[][] rows(MemorySegment segment, int rows) {
    int columns = (int) (segment.byteSize() / Float.BYTES / rows);
    double[][] values = new double[rows][columns];
    for (int i = 0; i < rows * columns; i++) {
      values[i / columns][i % columns] = segment.getAtIndex(JAVA_FLOAT, i);
    }
    return values;
  }

  private static double[][] times(double factor, double[][] rows) {
    return Arrays.stream(rows)
        .map(row -> Arrays.stream(row).map(v -> factor * v).toArray())
        .toArray(double[][]::new);
  }

  /** A first row that moves far, and the others less, so that some are shortened and some not. */
  @ParameterizedTest
  @CsvSource({"5,7,1", "5,7,0.25", "1,9,1", "1,9,0.25", "3,65537,0.5", "4,1,0"})
  void projectsAsInFloat64(int rows, int columns, double k) {
    SplittableRandom random = new SplittableRandom(columns);
    boolean vector = rows == 1;
    List<Long> shape = vector ? List.of((long) columns) : List.of((long) rows, (long) columns);
    Weight weight = random("a", shape, 0.1, random);
    Weight anchor = weight.copy(arena, false);
    Ftp ftp = new Ftp(arena, 2);
    ftp.add(weight, anchor.data(), k, group(weight));
    Expected expected = new Expected(rows(anchor.data(), rows), k);
    boolean shortened = false;
    boolean kept = false;
    for (int step = 1; step <= STEPS; step++) {
      for (int i = 0; i < rows * columns; i++) {
        double gradient = random.nextGaussian(step < 4 ? -0.4 : 0.3, 0.2);
        weight.gradient().setAtIndex(JAVA_FLOAT, i, (float) gradient);
        double move = (i / columns == 0 ? 0.5 : 0.004) * random.nextDouble() / columns;
        float data = weight.data().getAtIndex(JAVA_FLOAT, i);
        weight.data().setAtIndex(JAVA_FLOAT, i, (float) (data + move));
      }
      double[][] unprojected = rows(weight.data(), rows);
      double clip = 1.0 / step;
      double[][] projected = expected.step(unprojected, times(clip, rows(weight.gradient(), rows)));
      ftp.project(clip, new int[] {0});

      double[][] actual = rows(weight.data(), rows);
      for (int r = 0; r < rows; r++) {
        double[] difference = minus(actual[r], projected[r]);
        assertThat(Arrays.stream(difference).map(Math::abs).max().orElseThrow())
            .as("step %d, row %d", step, r)
            .isLessThan(5e-8);
        kept |= step > 1 && Arrays.equals(actual[r], unprojected[r]);
        shortened |= step > 1 && !Arrays.equals(actual[r], unprojected[r]);
      }
    }
    assertThat(expected.gammas.getLast()).isGreaterThan(1e-3);
    assertThat(shortened).isTrue();
    assertThat(kept).isEqualTo(!vector);
    assertThat(expected.gradients).anyMatch(g -> g < 0);
  }

  /** Takes a step of the optimizer's kind in the rows that have been looked up so far. */
  private static void move(Weight weight, int rows, SplittableRandom random) {
    for (int i = 0; i < 4 * rows; i++) {
      weight.gradient().setAtIndex(JAVA_FLOAT, i, (float) random.nextGaussian());
      float data = weight.data().getAtIndex(JAVA_FLOAT, i);
      weight.data().setAtIndex(JAVA_FLOAT, i, data + (float) random.nextGaussian(0, 0.1));
    }
  }

  @Test
  void rowsThatWereNeverLookedUpNeedNoWork() {
    Weight weight = random(Weights.WORDS, List.of(9L, 4L), 1, new SplittableRandom(1));
    weight.gradient().fill((byte) 0);
    Weight all = weight.copy(arena, true);
    Weight anchor = weight.copy(arena, false);
    Ftp ftp = new Ftp(arena, 1);
    ftp.add(weight, anchor.data(), 1, group(weight));
    Ftp ofAll = new Ftp(arena, 2);
    ofAll.add(all, anchor.data(), 1, group(all));
    for (int step = 1; step <= STEPS; step++) {
      move(weight, step, new SplittableRandom(step));
      move(all, step, new SplittableRandom(step));
      ftp.project(1, new int[] {step - 1});
      ofAll.project(1, IntStream.range(0, 9).toArray());

      assertThat(Tiny.values(new Weights(List.of(weight))))
          .isEqualTo(Tiny.values(new Weights(List.of(all))));
    }
    assertThat(weight.data().mismatch(anchor.data())).isNotEqualTo(-1);
  }

  @Test
  void aFrozenTensorIsLeftAlone() {
    Weight weight = random("a", List.of(3L, 4L), 1, new SplittableRandom(1));
    Weight other = weight.copy(arena, true);
    Weight anchor = weight.copy(arena, false);
    Ftp ftp = new Ftp(arena, 1);
    ParameterGroup frozen = group(weight);
    ftp.add(weight, anchor.data(), 1, frozen);
    frozen.frozen(true);
    move(weight, 3, new SplittableRandom(2));
    Map<String, List<Float>> before = Tiny.values(new Weights(List.of(weight)));
    ftp.project(1, new int[0]);
    assertThat(Tiny.values(new Weights(List.of(weight)))).isEqualTo(before);

    frozen.frozen(false);
    Ftp fresh = new Ftp(arena, 1);
    fresh.add(other, anchor.data(), 1, group(other));
    other.data().copyFrom(weight.data());
    for (int step = 1; step <= 3; step++) {
      move(weight, 3, new SplittableRandom(step));
      move(other, 3, new SplittableRandom(step));
      ftp.project(1, new int[0]);
      fresh.project(1, new int[0]);
    }
    assertThat(weight.data().mismatch(other.data())).isEqualTo(-1);
    assertThat(Tiny.values(new Weights(List.of(weight)))).isNotEqualTo(before);
  }
}
