package io.spd4j.onednn;

import java.util.Arrays;

/** The operations in float64, each element by its definition. */
final class Reference {
  private Reference() {}

  static double[] abs(double[] values) {
    return Arrays.stream(values).map(Math::abs).toArray();
  }

  static double[] plus(double[] a, double[] b) {
    double[] sum = a.clone();
    Arrays.setAll(sum, i -> a[i] + b[i]);
    return sum;
  }

  /** Computes c = scale·a·b, with elements placed by their layouts. */
  static double[] matMul(
      Layout a, double[] aValues, Layout b, double[] bValues, Layout c, double scale) {
    int rows = (int) c.size(c.rank() - 2);
    int columns = (int) c.size(c.rank() - 1);
    int inner = (int) a.size(a.rank() - 1);
    double[] left = rowMajor(a, aValues);
    double[] right = rowMajor(b, bValues);
    double[] sums = new double[(int) c.numel()];
    // The columns are the innermost loop because memory is read in order then.
    for (int i = 0; i < left.length; i++) {
      int row = i / inner;
      int to = row * columns;
      int from = (row / rows * inner + i % inner) * columns;
      for (int j = 0; j < columns; j++) {
        sums[to + j] += left[i] * right[from + j];
      }
    }
    int[] places = places(c, c);
    double[] result = new double[sums.length];
    for (int i = 0; i < sums.length; i++) {
      result[places[i]] = scale * sums[i];
    }
    return result;
  }

  private static double[] rowMajor(Layout layout, double[] values) {
    return Arrays.stream(places(layout, layout)).mapToDouble(place -> values[place]).toArray();
  }

  /** Returns what an addend adds to each element of c: dimensions of size 1 are repeated. */
  static double[] broadcast(Layout addend, double[] values, Layout c) {
    int[] from = places(c, addend);
    int[] to = places(c, c);
    double[] result = new double[to.length];
    for (int i = 0; i < to.length; i++) {
      result[to[i]] = values[from[i]];
    }
    return result;
  }

  /**
   * Returns where a layout, whose dimensions of size 1 are repeated, has each element of a shape.
   * The elements are in row-major order.
   */
  private static int[] places(Layout shape, Layout layout) {
    int[] places = {0};
    for (int d = 0; d < shape.rank(); d++) {
      int size = (int) shape.size(d);
      int stride = layout.size(d) == 1 ? 0 : Math.toIntExact(layout.strides().get(d));
      int[] outer = places;
      places = new int[outer.length * size];
      Arrays.setAll(places, i -> outer[i / size] + i % size * stride);
    }
    return places;
  }

  /** Returns the sums over the rows (axis 0) or the columns (axis 1) of a row-major matrix. */
  static double[] sum(int rows, int columns, double[] matrix, int axis) {
    double[] sums = new double[axis == 0 ? columns : rows];
    for (int i = 0; i < matrix.length; i++) {
      sums[axis == 0 ? i % columns : i / columns] += matrix[i];
    }
    return sums;
  }

  static double gelu(double x) {
    return x * normal(x);
  }

  static double geluDerivative(double x) {
    return normal(x) + x * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  }

  private static double normal(double x) {
    return (1 + erf(x / Math.sqrt(2))) / 2;
  }

  /** Uses Abramowitz and Stegun 7.1.6: all terms have the same sign, so nothing cancels. */
  static double erf(double x) {
    if (Math.abs(x) > 6) {
      return Math.signum(x);
    }
    double term = x;
    double sum = x;
    for (int n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= 2 * x * x / (2 * n + 1);
      sum += term;
    }
    return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
  }

  static double[] softmax(int columns, double[] src) {
    double[] dst = new double[src.length];
    for (int row = 0; row < src.length; row += columns) {
      double max = Arrays.stream(src, row, row + columns).max().orElseThrow();
      double sum = 0;
      for (int i = row; i < row + columns; i++) {
        dst[i] = Math.exp(src[i] - max);
        sum += dst[i];
      }
      for (int i = row; i < row + columns; i++) {
        dst[i] /= sum;
      }
    }
    return dst;
  }

  static double[] softmaxGradient(int columns, double[] dst, double[] dstGrad) {
    double[] products = new double[dst.length];
    Arrays.setAll(products, i -> dst[i] * dstGrad[i]);
    double[] sums = sum(dst.length / columns, columns, products, 1);
    double[] srcGrad = new double[dst.length];
    Arrays.setAll(srcGrad, i -> dst[i] * (dstGrad[i] - sums[i / columns]));
    return srcGrad;
  }

  static double[] means(int features, double[] src) {
    double[] sums = sum(src.length / features, features, src, 1);
    return Arrays.stream(sums).map(s -> s / features).toArray();
  }

  static double[] variances(int features, double[] src) {
    double[] means = means(features, src);
    double[] squares = new double[src.length];
    Arrays.setAll(squares, i -> Math.pow(src[i] - means[i / features], 2));
    return means(features, squares);
  }

  /** Returns (src − mean) / √(variance + ε) with the given statistics. */
  static double[] normalized(double[] src, double[] means, double[] variances, double epsilon) {
    int features = src.length / means.length;
    double[] normalized = new double[src.length];
    Arrays.setAll(
        normalized,
        i -> (src[i] - means[i / features]) / Math.sqrt(variances[i / features] + epsilon));
    return normalized;
  }

  static double[] layerNorm(double[] src, double[] scale, double[] shift, double epsilon) {
    int features = scale.length;
    double[] dst = normalized(src, means(features, src), variances(features, src), epsilon);
    for (int i = 0; i < dst.length; i++) {
      dst[i] = dst[i] * scale[i % features] + shift[i % features];
    }
    return dst;
  }

  /**
   * Returns the gradient of src.
   *
   * @param scaled the gradient of dst times scale
   */
  static double[] layerNormGradient(
      double[] scaled, double[] normalized, double[] variances, double epsilon) {
    int features = scaled.length / variances.length;
    double[] products = new double[scaled.length];
    Arrays.setAll(products, i -> scaled[i] * normalized[i]);
    double[] mean = means(features, scaled);
    double[] meanProduct = means(features, products);
    double[] srcGrad = new double[scaled.length];
    Arrays.setAll(
        srcGrad,
        i -> {
          int row = i / features;
          double centred = scaled[i] - mean[row] - normalized[i] * meanProduct[row];
          return centred / Math.sqrt(variances[row] + epsilon);
        });
    return srcGrad;
  }
}
