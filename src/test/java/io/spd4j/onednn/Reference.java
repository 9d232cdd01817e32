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
    int rank = c.rank();
    long aStep = a.strides().get(rank - 1);
    long bStep = b.strides().get(rank - 2);
    double[] result = new double[(int) c.numel()];
    for (int i = 0; i < result.length; i++) {
      long[] at = index(c, i);
      int place = offset(c, at);
      long[] inA = at.clone();
      inA[rank - 1] = 0;
      int aBegin = offset(a, inA);
      at[rank - 2] = 0;
      int bBegin = offset(b, at);
      double sum = 0;
      for (int k = 0; k < a.size(rank - 1); k++) {
        sum += aValues[(int) (aBegin + k * aStep)] * bValues[(int) (bBegin + k * bStep)];
      }
      result[place] = scale * sum;
    }
    return result;
  }

  /** Returns what an addend adds to each element of c: dimensions of size 1 are repeated. */
  static double[] broadcast(Layout addend, double[] values, Layout c) {
    double[] result = new double[(int) c.numel()];
    for (int i = 0; i < result.length; i++) {
      long[] at = index(c, i);
      int place = offset(c, at);
      for (int d = 0; d < at.length; d++) {
        at[d] = addend.size(d) == 1 ? 0 : at[d];
      }
      result[place] = values[offset(addend, at)];
    }
    return result;
  }

  private static long[] index(Layout layout, long i) {
    long[] index = new long[layout.rank()];
    for (int d = index.length - 1; d >= 0; d--) {
      index[d] = i % layout.size(d);
      i /= layout.size(d);
    }
    return index;
  }

  private static int offset(Layout layout, long[] index) {
    long offset = 0;
    for (int d = 0; d < index.length; d++) {
      offset += index[d] * layout.strides().get(d);
    }
    return (int) offset;
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
