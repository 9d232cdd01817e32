package io.spd4j.finetune;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import io.spd4j.ParameterGroup;
import io.spd4j.finetune.minilm.Weight;
import io.spd4j.finetune.minilm.Weights;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.function.Consumer;

/**
 * Fast Trainable Projection (Tian et al., "Fast Trainable Projection for Robust Fine-Tuning",
 * NeurIPS 2023), after each step of an optimizer without weight decay:
 *
 * <pre>
 * c = θ̃ − θ0                        θ̃ as the optimizer left it
 * n(r) = Σ |c(r)| + 1e-8            of each row r; a vector is a single row
 * g(γ) = Σ over r of Σ g(r)·c'(r) / n'(r), times k if positive; c' and n' of the step before
 * γ = Adam(γ, g(γ)) with lr 1e-2, betas 0.9 and 0.999, clipped to 1e-8 … max n(r)
 * θ(r) = θ0(r) + min(1, γ / n(r))·c(r)
 * </pre>
 *
 * Every tensor has a γ of its own, which is 1e-8 in its first step. A row with γ ≥ n(r) keeps θ̃.
 *
 * <p>It is not a {@link io.spd4j.DecayRule}: rules work element by element, or on sums over a whole
 * tensor, and this needs a tensor's rows and its displacement of the step before. So it is a
 * procedure of the job, and its state is not in the optimizer's checkpoint. Works in place on
 * float32 parameters. Not thread-safe; the result does not depend on the number of threads.
 */
final class Ftp {
  private static final double LR = 1e-2;
  private static final double BETA1 = 0.9;
  private static final double BETA2 = 0.999;
  private static final double EPS = 1e-8;

  /** The smallest γ, and what a row's norm begins with. */
  private static final double SMALLEST = 1e-8;

  /** Elements of a piece, about, which one thread works on. */
  private static final int PIECE = 1 << 16;

  private final Arena arena;
  private final boolean parallel;
  private final List<Tensor> tensors = new ArrayList<>();
  private final List<Piece> pieces = new ArrayList<>();

  /** A tensor with its γ. */
  private static final class Tensor {
    final Weight weight;
    final MemorySegment anchor;
    final double k;
    final ParameterGroup group;
    final int columns;

    /** c, of this step or the step before. */
    final MemorySegment displacement;

    /** n, of this step or the step before. */
    final double[] norms;

    /** Each row's share of the gradient of γ. */
    final double[] gradients;

    /** The rows that can have moved. */
    final BitSet moved = new BitSet();

    int step;
    double gamma;
    double moment1;
    double moment2;

    Tensor(
        Weight weight,
        MemorySegment anchor,
        double k,
        ParameterGroup group,
        MemorySegment displacement) {
      int rows = weight.shape().size() == 1 ? 1 : Math.toIntExact(weight.shape().getFirst());
      this.weight = weight;
      this.anchor = anchor;
      this.k = k;
      this.group = group;
      this.displacement = displacement;
      columns = Math.toIntExact(weight.numel() / rows);
      norms = new double[rows];
      Arrays.fill(norms, SMALLEST);
      gradients = new double[rows];
      moved.set(0, isLookedUp() ? 0 : rows);
    }

    boolean isLookedUp() {
      return weight.name().equals(Weights.WORDS);
    }

    void updateGamma(double gradientScale) {
      step++;
      if (step == 1) {
        gamma = SMALLEST;
        return;
      }
      double gradient = Arrays.stream(gradients).sum() * gradientScale;
      if (gradient > 0) {
        gradient *= k;
      }
      // There was no gradient in the first step, but the bias correction counts it.
      moment1 = BETA1 * moment1 + (1 - BETA1) * gradient;
      moment2 = BETA2 * moment2 + (1 - BETA2) * gradient * gradient;
      double mean = moment1 / (1 - Math.pow(BETA1, step));
      double square = moment2 / (1 - Math.pow(BETA2, step));
      double largest = Arrays.stream(norms).max().orElse(SMALLEST);
      gamma = Math.clamp(gamma - LR * mean / (Math.sqrt(square) + EPS), SMALLEST, largest);
    }
  }

  /**
   * Some rows of a tensor. Each row is copied to heap arrays and back: loops over segments take
   * seconds a step until the JIT has compiled them.
   */
  private record Piece(Tensor tensor, int from, int to) {
    /** Computes g·c' / n', then the new c and n, in one loop, so that neither sum waits. */
    void measure() {
      float[] data = new float[tensor.columns];
      float[] anchor = new float[tensor.columns];
      float[] gradient = new float[tensor.columns];
      float[] displacement = new float[tensor.columns];
      for (int row = first(); row < to; row = next(row)) {
        load(tensor.weight.data(), row, data);
        load(tensor.anchor, row, anchor);
        load(tensor.weight.gradient(), row, gradient);
        load(tensor.displacement, row, displacement);
        double product = 0;
        double norm = SMALLEST;
        for (int i = 0; i < data.length; i++) {
          product += gradient[i] * displacement[i];
          float moved = data[i] - anchor[i];
          displacement[i] = moved;
          norm += Math.abs(moved);
        }
        store(displacement, tensor.displacement, row);
        tensor.gradients[row] = product / tensor.norms[row];
        tensor.norms[row] = norm;
      }
    }

    /** Shortens the displacements that are longer than γ. */
    void project() {
      float[] anchor = new float[tensor.columns];
      float[] displacement = new float[tensor.columns];
      for (int row = first(); row < to; row = next(row)) {
        if (tensor.gamma < tensor.norms[row]) {
          load(tensor.anchor, row, anchor);
          load(tensor.displacement, row, displacement);
          float scale = (float) (tensor.gamma / tensor.norms[row]);
          for (int i = 0; i < anchor.length; i++) {
            displacement[i] = anchor[i] + scale * displacement[i];
          }
          store(displacement, tensor.weight.data(), row);
        }
      }
    }

    private int first() {
      return next(from - 1);
    }

    /** Returns the next row that can have moved; the end if there is none. */
    private int next(int row) {
      int next = tensor.moved.nextSetBit(row + 1);
      return next < 0 ? to : next;
    }

    private static void load(MemorySegment array, int row, float[] to) {
      MemorySegment.copy(array, JAVA_FLOAT, offset(row, to), to, 0, to.length);
    }

    private static void store(float[] from, MemorySegment array, int row) {
      MemorySegment.copy(from, 0, array, JAVA_FLOAT, offset(row, from), from.length);
    }

    private static long offset(int row, float[] values) {
      return (long) row * values.length * Float.BYTES;
    }
  }

  /**
   * @param arena shared; the arena of the displacements
   * @param threads 1 to work on the caller's thread alone
   */
  Ftp(Arena arena, int threads) {
    this.arena = arena;
    parallel = threads > 1;
  }

  /**
   * Adds a tensor that is to be projected.
   *
   * @param weight float32 data that the optimizer steps, with its gradient
   * @param anchor the pre-trained values
   * @param k the factor of a positive gradient of γ: with less than 1, γ shrinks more slowly
   * @param group while it is frozen, the tensor is left alone
   */
  void add(Weight weight, MemorySegment anchor, double k, ParameterGroup group) {
    MemorySegment displacement = Weight.zeros(arena, weight.name(), weight.shape(), false).data();
    Tensor tensor = new Tensor(weight, anchor, k, group, displacement);
    tensors.add(tensor);
    int rows = tensor.norms.length;
    int rowsOfPiece = Math.max(1, PIECE / tensor.columns);
    for (int from = 0; from < rows; from += rowsOfPiece) {
      pieces.add(new Piece(tensor, from, Math.min(rows, from + rowsOfPiece)));
    }
  }

  /**
   * Projects all tensors, after a step that the optimizer took.
   *
   * @param gradientScale what the optimizer multiplied the gradients by
   * @param ids the rows of the word embeddings that the batch looked up. The others have no
   *     gradient; those that never had one have not moved, and take no time
   */
  void project(double gradientScale, int[] ids) {
    for (Tensor tensor : tensors) {
      if (tensor.isLookedUp() && !tensor.group.frozen()) {
        Arrays.stream(ids).forEach(tensor.moved::set);
      }
    }
    run(Piece::measure);
    for (Tensor tensor : tensors) {
      if (!tensor.group.frozen()) {
        tensor.updateGamma(gradientScale);
      }
    }
    run(Piece::project);
  }

  private void run(Consumer<Piece> work) {
    (parallel ? pieces.parallelStream() : pieces.stream())
        .filter(piece -> !piece.tensor.group.frozen())
        .forEach(work);
  }
}
