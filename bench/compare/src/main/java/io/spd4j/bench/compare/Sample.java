package io.spd4j.bench.compare;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Elements of a competitor's arrays, from the beginning, middle and end of up to 17 tensors. These
 * include the first, the last and the largest.
 *
 * @param places the elements of data, expAvg and expAvgSq at each place
 */
record Sample(List<List<float[]>> places) {
  private static final int TENSORS = 16;
  private static final int ELEMENTS = 32;

  /** Takes a sample from a competitor that is set up with tensors of these sizes. */
  static Sample of(CompetitorProcess process, List<Long> numels) throws UnableException {
    List<List<float[]>> places = new ArrayList<>();
    for (int tensor : tensors(numels)) {
      long numel = numels.get(tensor);
      int count = (int) Math.min(ELEMENTS, numel);
      for (long from : new long[] {0, (numel - count) / 2, numel - count}) {
        places.add(process.values(tensor, from, count));
      }
    }
    return new Sample(places);
  }

  private static List<Integer> tensors(List<Long> numels) {
    int last = numels.size() - 1;
    long largest = numels.stream().max(Long::compare).orElseThrow();
    return IntStream.concat(
            IntStream.range(0, TENSORS)
                .map(i -> (int) Math.round((double) last * i / (TENSORS - 1))),
            IntStream.of(numels.indexOf(largest)))
        .distinct()
        .boxed()
        .toList();
  }

  /** Returns whether all elements have the same bits as another sample's. */
  boolean sameBits(Sample other) {
    for (int place = 0; place < places.size(); place++) {
      for (int array = 0; array < places.get(place).size(); array++) {
        if (!Arrays.equals(places.get(place).get(array), other.places.get(place).get(array))) {
          return false;
        }
      }
    }
    return true;
  }

  /**
   * Returns the largest difference of an element from a reference. A difference of data is divided
   * by the root mean square of what the steps changed, a difference of a moment by the root mean
   * square of the moment.
   *
   * @param start the reference before the steps
   * @return NaN if an element is NaN
   */
  double difference(Sample reference, Sample start) {
    double worst = 0;
    for (int place = 0; place < places.size(); place++) {
      for (int array = 0; array < places.get(place).size(); array++) {
        float[] expected = reference.places.get(place).get(array);
        float[] actual = places.get(place).get(array);
        double[] differences = differences(actual, expected);
        double[] scale =
            array == 0
                ? differences(expected, start.places.get(place).getFirst())
                : differences(expected, new float[expected.length]);
        double largest = Arrays.stream(differences).map(Math::abs).max().orElse(0);
        worst = Math.max(worst, largest / rootMeanSquare(scale));
      }
    }
    return worst;
  }

  private static double[] differences(float[] a, float[] b) {
    return IntStream.range(0, a.length).mapToDouble(i -> (double) a[i] - b[i]).toArray();
  }

  private static double rootMeanSquare(double[] values) {
    return Math.sqrt(Arrays.stream(values).map(v -> v * v).average().orElse(Double.NaN));
  }
}
