package io.spd4j.onednn;

import static io.spd4j.onednn.Reference.abs;
import static io.spd4j.onednn.Reference.plus;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.spd4j.ElementType;
import io.spd4j.nativelib.Platform;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.BiConsumer;
import java.util.function.DoubleUnaryOperator;
import java.util.function.Function;
import java.util.stream.Stream;

/** Calls of every method in every variant. */
public final class Cases {
  /** Half the distance from 1 to the next float: the largest relative error of one rounding. */
  private static final double ROUNDING = 0x1p-24;

  /** GELU's error as a share of its argument: the error of erf, which is a polynomial. */
  private static final double GELU = 8 * ROUNDING;

  /** Half the distance from 1 to the next bfloat16. */
  private static final double BFLOAT16_ROUNDING = 0x1p-8;

  private static final float EPSILON = 1e-5f;

  private final SplittableRandom random;
  private final List<Case> cases = new ArrayList<>();

  /** Whether all values can be held in bfloat16. */
  private final boolean bfloat16Values;

  /** The error of a product of two elements, relative to it, before anything is added up. */
  private final double productError;

  /** The type of what products multiply. */
  private final ElementType operands;

  private Cases() {
    this(false, 0);
  }

  private Cases(boolean bfloat16Values, double productError) {
    this(bfloat16Values, productError, ElementType.FLOAT32);
  }

  private Cases(boolean bfloat16Values, double productError, ElementType operands) {
    this(new SplittableRandom(1), bfloat16Values, productError, operands);
  }

  private Cases(
      SplittableRandom random, boolean bfloat16Values, double productError, ElementType operands) {
    this.random = random;
    this.bfloat16Values = bfloat16Values;
    this.productError = productError;
    this.operands = operands;
  }

  /** Skips a test if the jar has no library for this platform; if it has one, it must work. */
  public static void assumeOneDnn() {
    OneDnn.Availability availability = OneDnn.availability();
    if (Platform.NAME.equals("linux-x86_64")) {
      assertThat(availability.available()).as(availability.reason()).isTrue();
    }
    assumeTrue(availability.available(), availability.reason());
  }

  /** Returns the methods of a random operation of a random shape, with random values. */
  public static List<Case> ofRandomShape(SplittableRandom random, MathMode math) {
    boolean halves = random.nextInt(4) == 0 && multipliesBfloat16();
    double error = math == MathMode.FLOAT32 ? 0 : Math.pow(1 + BFLOAT16_ROUNDING, 2) - 1;
    ElementType operands = halves ? ElementType.BFLOAT16 : ElementType.FLOAT32;
    Cases c = new Cases(random, halves, halves ? 0 : error, operands);
    int rows = randomSize(random);
    int columns = randomSize(random);
    int out = randomSize(random);
    switch (random.nextInt(8)) {
      case 0, 1 -> c.linear(rows, columns, out);
      case 2 -> c.products(rows, columns, out);
      case 3 -> c.attention(1 + random.nextInt(3), 1 + random.nextInt(3), rows, columns);
      case 4 -> c.layerNorm(rows, columns);
      case 5 -> c.softmax(rows, columns);
      case 6 -> c.reductions(rows, columns);
      default -> {
        c.gelu(rows * columns);
        c.conversions(rows * columns);
      }
    }
    return c.cases;
  }

  private static int randomSize(SplittableRandom random) {
    return 1 + random.nextInt(random.nextBoolean() ? 70 : 8);
  }

  /** Returns each method in each variant, once. */
  static List<Case> ofEveryMethod() {
    return ofEveryMethod(3, 17, 5);
  }

  /** Returns each method in each variant, with enough work for several threads. */
  static List<Case> ofEveryMethodWithMoreWork() {
    return ofEveryMethod(130, 384, 65);
  }

  private static List<Case> ofEveryMethod(int rows, int columns, int out) {
    Cases cases = new Cases();
    cases.ofEveryProduct(rows, columns, out);
    if (multipliesBfloat16()) {
      Cases halves = new Cases(true, 0, ElementType.BFLOAT16);
      halves.ofEveryProduct(rows, columns, out);
      cases.cases.addAll(halves.cases);
    }
    cases.layerNorm(rows, columns);
    cases.softmax(rows, columns);
    cases.gelu(columns);
    cases.reductions(rows, columns);
    cases.conversions(columns);
    return cases.cases;
  }

  private void ofEveryProduct(int rows, int columns, int out) {
    Layout a = Layout.rowMajor(rows, columns);
    Layout b = Layout.rowMajor(columns, out);
    Layout c = Layout.rowMajor(rows, out);
    linear(rows, columns, out);
    product(a, b, c, 1, null);
    product(a, b, c, 0.5f, Layout.rowMajor(1, out));
  }

  /** Whether oneDNN is sure to have products of bfloat16. */
  private static boolean multipliesBfloat16() {
    return OneDnn.autoMath().mode() == MathMode.BF16;
  }

  /** Returns the cases that can write where they read. */
  static Stream<Case> inPlace() {
    return ofManyShapes().stream()
        .filter(test -> test.arguments().stream().anyMatch(argument -> argument.over() != null));
  }

  /** Returns cases with awkward shapes. */
  static List<Case> ofManyShapes() {
    Cases c = new Cases();
    for (int[] m : new int[][] {{1, 1}, {1, 17}, {3, 1}, {17, 33}, {65, 129}}) {
      for (int out : new int[] {1, 17, 65}) {
        c.linear(m[0], m[1], out);
      }
      c.layerNorm(m[0], m[1]);
      c.softmax(m[0], m[1]);
      c.reductions(m[0], m[1]);
      c.gelu(m[0] * m[1]);
      c.conversions(m[0] * m[1]);
      c.products(m[0], 17, m[1]);
    }
    c.products(33, 65, 1);
    c.products(3, 1, 3);
    c.attention(1, 1, 1, 1);
    c.attention(2, 1, 8, 1);
    c.attention(2, 3, 1, 8);
    c.attention(2, 3, 17, 5);
    c.attention(3, 2, 33, 32);
    c.product(
        Layout.rowMajor(2, 1, 3, 2, 17, 5),
        Layout.rowMajor(2, 1, 3, 2, 5, 33),
        Layout.rowMajor(2, 1, 3, 2, 17, 33),
        -2,
        Layout.rowMajor(1, 1, 3, 1, 17, 1));
    return c.cases;
  }

  /** Returns matrix products, with tolerances for {@link MathMode#BF16}. */
  static List<Case> productsOfRoundedMatrices() {
    return products(new Cases(false, Math.pow(1 + BFLOAT16_ROUNDING, 2) - 1));
  }

  /** Returns matrix products of values in bfloat16, whose rounding changes nothing. */
  static List<Case> productsOfBfloat16() {
    return products(new Cases(true, 0));
  }

  /**
   * Returns matrix products whose operands are bfloat16; none where oneDNN may not have them. With
   * the tolerance of float32.
   */
  static List<Case> productsOfBfloat16Arrays() {
    return multipliesBfloat16() ? products(new Cases(true, 0, ElementType.BFLOAT16)) : List.of();
  }

  private static List<Case> products(Cases c) {
    for (int[] m : new int[][] {{1, 17}, {3, 1}, {3, 2}, {17, 33}, {65, 129}}) {
      for (int out : new int[] {1, 2, 65}) {
        c.linear(m[0], m[1], out);
      }
      c.products(m[0], 17, m[1]);
    }
    c.attention(3, 2, 33, 32);
    c.attention(2, 1, 8, 1);
    c.attention(2, 3, 1, 8);
    c.linear(128, 384, 1536);
    return c.cases;
  }

  /** Returns cases with the shapes of a MiniLM feed-forward layer. */
  static List<Case> large() {
    Cases c = new Cases();
    c.linear(128, 384, 1536);
    return c.cases;
  }

  private double[] random(int n) {
    double[] values = new double[n];
    Arrays.setAll(values, i -> value());
    return values;
  }

  private float value() {
    float value = (float) random.nextGaussian();
    return bfloat16Values ? Float.intBitsToFloat(Float.floatToIntBits(value) & 0xffff0000) : value;
  }

  private static double[] map(double[] values, DoubleUnaryOperator f) {
    return Arrays.stream(values).map(f).toArray();
  }

  /**
   * Returns the tolerance of a sum of k products, as a share of their absolute sum: some roundings,
   * and k of random sign.
   */
  private static double ofProducts(long k) {
    return ROUNDING * (4 + Math.sqrt(k));
  }

  /** Returns the tolerance of a product of matrices [m, k] and [k, n]; that of vectors is less. */
  private double ofProduct(long m, long k, long n) {
    return ofProducts(k) + (m > 1 && k > 1 && n > 1 ? productError : 0);
  }

  private <T> Case add(
      String what,
      String variant,
      Function<OneDnn, T> operation,
      BiConsumer<T, MemorySegment[]> method) {
    Case test = new Case(what, variant, operation, method);
    cases.add(test);
    return test;
  }

  private static MemorySegment orNull(MemorySegment[] a, int i) {
    return i < a.length ? a[i] : null;
  }

  private void linear(int rows, int in, int out) {
    linearForward(rows, in, out, false);
    linearForward(rows, in, out, true);
    Layout src = Layout.rowMajor(rows, in);
    Layout weight = Layout.rowMajor(out, in);
    Layout dst = Layout.rowMajor(rows, out);
    double[] s = random(rows * in);
    double[] w = random(out * in);
    double[] d = random(rows * out);
    double[] g = random(rows * in);
    Function<OneDnn, Linear> linear = dnn -> dnn.linear(rows, in, out, operands);
    String shape = " " + src + " to " + dst + suffix();
    String what = "linear backward (source)" + shape;
    double[] srcGrad = Reference.matMul(dst, d, weight, w, src, 1);
    double[] magnitude = Reference.matMul(dst, abs(d), weight, abs(w), src, 1);
    add(what, "", linear, (l, a) -> l.backwardSource(a[0], a[1], a[2]))
        .reads("dstGrad", operands, d)
        .reads("weight", operands, w)
        .writes("srcGrad", srcGrad, magnitude, ofProduct(rows, out, in));
    add(what, "adding", linear, (l, a) -> l.backwardSourceAdd(a[0], a[1], a[2]))
        .reads("dstGrad", operands, d)
        .reads("weight", operands, w)
        .addsTo("srcGrad", g, plus(g, srcGrad), plus(abs(g), magnitude), ofProduct(rows, out, in));
    what = "linear backward (weights)" + shape;
    double[] weightGrad = Reference.matMul(dst.transpose(), d, src, s, weight, 1);
    magnitude = Reference.matMul(dst.transpose(), abs(d), src, abs(s), weight, 1);
    for (boolean biased : new boolean[] {false, true}) {
      if (biased && operands != ElementType.FLOAT32) {
        continue; // refused
      }
      Case test =
          add(
                  what,
                  biased ? "biased" : "",
                  linear,
                  (l, a) -> l.backwardWeights(a[0], a[1], a[2], orNull(a, 3)))
              .reads("src", operands, s)
              .reads("dstGrad", operands, d)
              .writes("weightGrad", weightGrad, magnitude, ofProduct(out, rows, in));
      if (biased) {
        test.writes(
            "biasGrad",
            Reference.sum(rows, out, d, 0),
            Reference.sum(rows, out, abs(d), 0),
            ofProducts(rows));
      }
    }
  }

  private String suffix() {
    return operands == ElementType.FLOAT32 ? "" : " of " + operands;
  }

  private void linearForward(int rows, int in, int out, boolean biased) {
    Layout src = Layout.rowMajor(rows, in);
    Layout weight = Layout.rowMajor(out, in).transpose();
    Layout dst = Layout.rowMajor(rows, out);
    Layout bias = Layout.rowMajor(1, out);
    double[] s = random(rows * in);
    double[] w = random(out * in);
    double[] b = random(out);
    double[] addend = random(rows * out);
    double[] d = Reference.matMul(src, s, weight, w, dst, 1);
    double[] magnitude = Reference.matMul(src, abs(s), weight, abs(w), dst, 1);
    if (biased) {
      d = plus(d, Reference.broadcast(bias, b, dst));
      magnitude = plus(magnitude, Reference.broadcast(bias, abs(b), dst));
    }
    double factor = ofProduct(rows, in, out);
    double[] gelu = map(d, Reference::gelu);
    // GELU's slope is at most 1.13, and GELU adds its own error.
    double[] geluMagnitude =
        plus(map(magnitude, m -> 1.13 * m), map(d, x -> Math.abs(x) * GELU / factor));
    Function<OneDnn, Linear> linear = dnn -> dnn.linear(rows, in, out, operands);
    String what = "linear forward " + src + " to " + dst + suffix();
    String variant = biased ? ", biased" : "";
    List<Case> all =
        List.of(
            add(
                    what,
                    "plain" + variant,
                    linear,
                    (l, a) -> l.forward(a[0], a[1], orNull(a, 3), a[2]))
                .reads("src", operands, s)
                .reads("weight", operands, w)
                .writes("dst", d, magnitude, factor),
            add(
                    what,
                    "GELU" + variant,
                    linear,
                    (l, a) -> l.forwardGelu(a[0], a[1], orNull(a, 3), a[2]))
                .reads("src", operands, s)
                .reads("weight", operands, w)
                .writes("dst", gelu, geluMagnitude, factor),
            add(
                    what,
                    "adding" + variant,
                    linear,
                    (l, a) -> l.forwardAdd(a[0], a[1], orNull(a, 3), a[2]))
                .reads("src", operands, s)
                .reads("weight", operands, w)
                .addsTo("dst", addend, plus(d, addend), plus(magnitude, abs(addend)), factor),
            add(
                    what,
                    "addend" + variant,
                    linear,
                    (l, a) -> l.forwardAdd(a[0], a[1], orNull(a, 4), a[3], a[2]))
                .reads("src", operands, s)
                .reads("weight", operands, w)
                .writes("dst", plus(d, addend), plus(magnitude, abs(addend)), factor)
                .reads("addend", addend));
    if (biased) {
      all.forEach(test -> test.reads("bias", b));
    }
  }

  /** Adds row-major and transposed matrices, and batches with addends of every kind. */
  private void products(int m, int k, int n) {
    Layout a = Layout.rowMajor(m, k);
    Layout b = Layout.rowMajor(k, n);
    Layout c = Layout.rowMajor(m, n);
    Layout aT = Layout.rowMajor(k, m).transpose();
    Layout bT = Layout.rowMajor(n, k).transpose();
    Layout cT = Layout.rowMajor(n, m).transpose();
    product(a, b, c, 1, null);
    product(aT, b, c, 1, Layout.rowMajor(m, n));
    product(a, bT, c, 0.125f, Layout.rowMajor(1, n));
    product(a, b, cT, 1, Layout.rowMajor(n, m).transpose());
    product(aT, bT, cT, -3, Layout.rowMajor(m, 1));
    product(aT, bT, c, 0, Layout.rowMajor(1, 1));
    a = Layout.rowMajor(2, 3, m, k);
    b = Layout.rowMajor(2, 3, k, n);
    c = Layout.rowMajor(2, 3, m, n);
    for (long[] addend : new long[][] {{2, 3, m, n}, {2, 1, 1, n}, {1, 3, m, n}, {1, 1, m, 1}}) {
      product(a, b, c, 0.3f, Layout.rowMajor(addend));
    }
  }

  /** Adds attention heads that lie side by side: scores of queries and keys; weighted values. */
  private void attention(long batch, long heads, long length, long size) {
    Layout side = Layout.rowMajor(batch, length, heads, size);
    Layout head = side.permute(0, 2, 1, 3);
    Layout transposed = side.permute(0, 2, 3, 1);
    Layout scores = Layout.rowMajor(batch, heads, length, length);
    float scale = (float) (1 / Math.sqrt(size));
    product(head, transposed, scores, scale, Layout.rowMajor(batch, 1, 1, length));
    product(scores, head, head, 1, null);
  }

  private void product(Layout a, Layout b, Layout c, float scale, Layout addend) {
    double[] aValues = random((int) a.numel());
    double[] bValues = random((int) b.numel());
    double[] cGrad = random((int) c.numel());
    double[] product = Reference.matMul(a, aValues, b, bValues, c, scale);
    double[] magnitude = Reference.matMul(a, abs(aValues), b, abs(bValues), c, Math.abs(scale));
    String variant =
        "strides %s, %s, %s, scale %s".formatted(a.strides(), b.strides(), c.strides(), scale);
    Function<OneDnn, MatMul> made = dnn -> dnn.matMul(a, b, c, scale, addend, operands);
    long m = a.size(a.rank() - 2);
    long k = a.size(a.rank() - 1);
    long n = b.size(b.rank() - 1);
    String what = "matmul forward " + a + " by " + b + suffix();
    if (addend == null) {
      add(what, variant, made, (x, s) -> x.forward(s[0], s[1], s[2]))
          .reads("a", operands, aValues)
          .reads("b", operands, bValues)
          .writes("c", product, magnitude, ofProduct(m, k, n));
    } else {
      double[] addendValues = random((int) addend.numel());
      double[] added = Reference.broadcast(addend, addendValues, c);
      add(what, variant + ", addend " + addend, made, (x, s) -> x.forward(s[0], s[1], s[2], s[3]))
          .reads("a", operands, aValues)
          .reads("b", operands, bValues)
          .reads("addend", addendValues)
          .writes("c", plus(product, added), plus(magnitude, abs(added)), ofProduct(m, k, n));
    }
    add(
            "matmul backward (a) " + c + " by " + b.transpose() + suffix(),
            variant,
            made,
            (x, s) -> x.backwardA(s[0], s[1], s[2]))
        .reads("cGrad", operands, cGrad)
        .reads("b", operands, bValues)
        .writes(
            "aGrad",
            Reference.matMul(c, cGrad, b.transpose(), bValues, a, scale),
            Reference.matMul(c, abs(cGrad), b.transpose(), abs(bValues), a, scale),
            ofProduct(m, n, k));
    add(
            "matmul backward (b) " + a.transpose() + " by " + c + suffix(),
            variant,
            made,
            (x, s) -> x.backwardB(s[0], s[1], s[2]))
        .reads("a", operands, aValues)
        .reads("cGrad", operands, cGrad)
        .writes(
            "bGrad",
            Reference.matMul(a.transpose(), aValues, c, cGrad, b, scale),
            Reference.matMul(a.transpose(), abs(aValues), c, abs(cGrad), b, scale),
            ofProduct(k, m, n));
  }

  private void layerNorm(int rows, int features) {
    double[] src = map(random(rows * features), x -> (float) (3 + 2 * x));
    double[] scale = random(features);
    double[] shift = random(features);
    double[] dstGrad = random(rows * features);
    double[] mean = Reference.means(features, src);
    double[] variance = Reference.variances(features, src);
    double[] dst = Reference.layerNorm(src, scale, shift, EPSILON);
    Function<OneDnn, LayerNorm> norm = dnn -> dnn.layerNorm(rows, features, EPSILON);
    String shape = " " + rows + "x" + features;
    double[] meanMagnitude = Reference.means(features, abs(src));
    double[] dstMagnitude = new double[dst.length];
    Arrays.setAll(
        dstMagnitude,
        i -> {
          double size = Math.abs(src[i]) + meanMagnitude[i / features];
          size /= Math.sqrt(variance[i / features] + EPSILON);
          return Math.abs(scale[i % features]) * size + Math.abs(shift[i % features]);
        });
    add(
            "layer normalization forward" + shape,
            "",
            norm,
            (l, a) -> l.forward(a[0], a[1], a[2], a[3], a[4], a[5]))
        .reads("src", src)
        .reads("scale", scale)
        .reads("shift", shift)
        .writes("dst", dst, dstMagnitude, ofProducts(features))
        .writes("mean", mean, meanMagnitude, ofProducts(features))
        .writes("variance", variance, variance, 2 * ofProducts(features));
    layerNormBackward(rows, features, src, dstGrad, scale);
  }

  private void layerNormBackward(
      int rows, int features, double[] src, double[] dstGrad, double[] scale) {
    // Any float32 will do as statistics.
    double[] mean = map(Reference.means(features, src), x -> (float) x);
    double[] variance = map(Reference.variances(features, src), x -> (float) x);
    double[] normalized = Reference.normalized(src, mean, variance, EPSILON);
    double[] scaled = new double[src.length];
    Arrays.setAll(scaled, i -> dstGrad[i] * scale[i % features]);
    double[] srcGrad = Reference.layerNormGradient(scaled, normalized, variance, EPSILON);
    double[] magnitude = new double[src.length];
    double[] products = new double[src.length];
    Arrays.setAll(products, i -> dstGrad[i] * normalized[i]);
    double[] scaledProducts = new double[src.length];
    Arrays.setAll(scaledProducts, i -> scaled[i] * normalized[i]);
    double[] meanOfScaled = Reference.means(features, abs(scaled));
    double[] meanOfProducts = Reference.means(features, abs(scaledProducts));
    Arrays.setAll(
        magnitude,
        i -> {
          int row = i / features;
          double size = Math.abs(scaled[i]) + meanOfScaled[row];
          size += Math.abs(normalized[i]) * meanOfProducts[row];
          return size / Math.sqrt(variance[row] + EPSILON);
        });
    add(
            "layer normalization backward " + rows + "x" + features,
            "",
            dnn -> dnn.layerNorm(rows, features, EPSILON),
            (l, a) -> l.backward(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]))
        .reads("src", src)
        .reads("dstGrad", dstGrad)
        .reads("scale", scale)
        .reads("mean", mean)
        .reads("variance", variance)
        .writes("srcGrad", srcGrad, magnitude, ofProducts(features))
        .writes(
            "scaleGrad",
            Reference.sum(rows, features, products, 0),
            Reference.sum(rows, features, abs(products), 0),
            ofProducts(rows))
        .writes(
            "shiftGrad",
            Reference.sum(rows, features, dstGrad, 0),
            Reference.sum(rows, features, abs(dstGrad), 0),
            ofProducts(rows));
  }

  /** Adds softmax over rows whose first half is masked. */
  private void softmax(int rows, int columns) {
    double[] src = map(random(rows * columns), x -> (float) (10 * x));
    for (int i = 0; i < src.length; i++) {
      src[i] = i % columns < columns / 2 ? Double.NEGATIVE_INFINITY : src[i];
    }
    double[] dst = Reference.softmax(columns, src);
    // The rounding of src − max, the logarithm of what exp gives, counts as many times.
    double[] magnitude = map(dst, x -> x == 0 ? 0 : x * (1 - Math.log(x)));
    Function<OneDnn, Softmax> softmax = dnn -> dnn.softmax(rows, columns);
    String shape = " " + rows + "x" + columns;
    add("softmax forward" + shape, "", softmax, (s, a) -> s.forward(a[0], a[1]))
        .reads("src", src)
        .writesOver("src", "dst", dst, magnitude, ofProducts(columns));
    double[] read = map(dst, x -> (float) x);
    double[] dstGrad = random(rows * columns);
    double[] products = new double[dst.length];
    Arrays.setAll(products, i -> read[i] * Math.abs(dstGrad[i]));
    double[] sums = Reference.sum(rows, columns, products, 1);
    double[] gradMagnitude = new double[dst.length];
    Arrays.setAll(gradMagnitude, i -> products[i] + read[i] * sums[i / columns]);
    add("softmax backward" + shape, "", softmax, (s, a) -> s.backward(a[0], a[1], a[2]))
        .reads("dst", read)
        .reads("dstGrad", dstGrad)
        .writesOver(
            "dstGrad",
            "srcGrad",
            Reference.softmaxGradient(columns, read, dstGrad),
            gradMagnitude,
            ofProducts(columns));
  }

  private void gelu(int numel) {
    double[] src = map(random(numel), x -> (float) (3 * x));
    double[] dstGrad = random(numel);
    double[] srcGrad = new double[numel];
    Arrays.setAll(srcGrad, i -> dstGrad[i] * Reference.geluDerivative(src[i]));
    Function<OneDnn, Gelu> gelu = dnn -> dnn.gelu(numel);
    add("GELU forward " + numel, "", gelu, (g, a) -> g.forward(a[0], a[1]))
        .reads("src", src)
        .writesOver("src", "dst", map(src, Reference::gelu), src, GELU);
    add("GELU backward " + numel, "", gelu, (g, a) -> g.backward(a[0], a[1], a[2]))
        .reads("src", src)
        .reads("dstGrad", dstGrad)
        .writesOver("dstGrad", "srcGrad", srcGrad, dstGrad, GELU);
  }

  private void reductions(int rows, int columns) {
    double[] src = random(rows * columns);
    for (Reduction.Kind kind : Reduction.Kind.values()) {
      for (int axis = 0; axis < 2; axis++) {
        reduction(kind, rows, columns, axis, src);
      }
    }
  }

  private void reduction(Reduction.Kind kind, int rows, int columns, int axis, double[] src) {
    int n = axis == 0 ? rows : columns;
    double weight = kind == Reduction.Kind.SUM ? 1 : 1.0 / n;
    double[] dstGrad = random(rows * columns / n);
    double[] srcGrad = new double[rows * columns];
    Arrays.setAll(srcGrad, i -> weight * dstGrad[axis == 0 ? i % columns : i / columns]);
    Function<OneDnn, Reduction> reduction = dnn -> dnn.reduction(kind, rows, columns, axis);
    String shape = " (" + kind + ") " + rows + "x" + columns + " over axis " + axis;
    add("reduction forward" + shape, "", reduction, (r, a) -> r.forward(a[0], a[1]))
        .reads("src", src)
        .writes(
            "dst",
            map(Reference.sum(rows, columns, src, axis), x -> weight * x),
            map(Reference.sum(rows, columns, abs(src), axis), x -> weight * x),
            ofProducts(n));
    add("reduction backward" + shape, "", reduction, (r, a) -> r.backward(a[0], a[1]))
        .reads("dstGrad", dstGrad)
        .writes("srcGrad", srcGrad, srcGrad, 2 * ROUNDING);
  }

  private void conversions(int numel) {
    var types = List.of(ElementType.FLOAT32, ElementType.BFLOAT16, ElementType.FLOAT16);
    for (ElementType from : types) {
      for (ElementType to : types) {
        if (from == to || from == ElementType.FLOAT32 || to == ElementType.FLOAT32) {
          conversion(numel, from, to);
        }
      }
    }
  }

  /** Adds conversions of values that each type can hold, so nothing is rounded. */
  private void conversion(int numel, ElementType from, ElementType to) {
    double[] values = map(random(numel), x -> Math.rint(x * 16) / 16);
    add(
            "conversion of " + numel + " from " + from + " to " + to,
            "",
            dnn -> dnn.conversion(numel, from, to),
            (c, a) -> c.forward(a[0], a[1]))
        .reads("src", from, values)
        .writesExactly("dst", to, values);
  }
}
