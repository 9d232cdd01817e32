package io.spd4j;

import io.spd4j.cuda.DeviceArena;
import io.spd4j.kernel.GradientSum;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Collection;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * Adds the gradients of a batch in an order that does not depend on the number of processes. The
 * batch is cut into a fixed number of sub-batches, a power of two. Each one's gradient is computed
 * by itself, and these are added in pairs, pairs of pairs, and so on: a binary tree. Each rank owns
 * consecutive sub-batches, and so a whole subtree, whose root its gradient arrays hold in the end.
 * The step of an optimizer with the same {@link Ranks} completes the tree. For the same number of
 * sub-batches, 1, 2, 4, … ranks thus take the same steps, to the bit. Without ranks, this is
 * gradient accumulation in a fixed order.
 *
 * {@snippet :
 * try (GradientTree tree = GradientTree.of(adam.parameters(), 8, ranks)) {
 *   for (int v = tree.begin(); v < tree.end(); v++) {
 *     backward(subBatch(v)); // overwrites the gradients
 *     tree.add();
 *   }
 *   adam.step(1.0 / 8); // the tree adds; this makes it a mean, exactly
 * }
 * }
 *
 * <p>Sums have the gradients' own type: 16 bits are added in float32 and rounded to nearest, ties
 * to even, at each node of the tree. The tree keeps log2(end - begin) copies of the gradients at
 * most. A tree serves one batch after another.
 *
 * <p>Not thread-safe.
 */
public final class GradientTree implements AutoCloseable {
  private final List<Parameter> parameters;
  private final int begin;
  private final int end;
  private final Arena arena = Arena.ofShared();

  /** For each level, by parameter, the sum of a full left subtree of 2^level sub-batches. */
  private final MemorySegment[][] levels;

  /** What is done with a parameter in this batch. */
  private enum Part {
    ADDED,
    WITHOUT_GRADIENT,
    FROZEN
  }

  private final Map<Parameter, Integer> indices = new IdentityHashMap<>();

  /** Since the first sub-batch. */
  private final Part[] parts;

  /** Which parameters of the next sub-batch were taken already. */
  private final boolean[] taken;

  private int added;

  private GradientTree(List<Parameter> parameters, int begin, int end) {
    this.parameters = parameters;
    this.begin = begin;
    this.end = end;
    for (Parameter p : parameters) {
      if (indices.put(p, indices.size()) != null) {
        throw new IllegalArgumentException("a parameter is given twice");
      }
    }
    parts = new Part[parameters.size()];
    taken = new boolean[parameters.size()];
    levels = new MemorySegment[Integer.numberOfTrailingZeros(end - begin)][];
    try {
      for (int level = 0; level < levels.length; level++) {
        levels[level] = arrays();
      }
    } catch (RuntimeException | Error e) {
      arena.close();
      throw e;
    }
  }

  private MemorySegment[] arrays() {
    Slab slab = Slab.of(arena, parameters.stream().mapToLong(GradientTree::bytes));
    return parameters.stream().map(p -> slab.array(bytes(p))).toArray(MemorySegment[]::new);
  }

  private static long bytes(Parameter p) {
    return Checks.byteSizeOrMost(p.numel(), p.gradientType());
  }

  /**
   * Returns a tree for one process.
   *
   * @param parameters those whose gradients are added; their gradients lie in host memory and are
   *     not read-only
   * @param subBatches the number of sub-batches, a power of two
   * @throws IllegalArgumentException if it is none, or a parameter is given twice
   * @throws OutOfMemoryError if there is no memory for the copies
   */
  public static GradientTree of(Collection<Parameter> parameters, int subBatches) {
    return of(parameters, subBatches, 0, 1);
  }

  /**
   * Returns the tree of one of several processes.
   *
   * @param parameters those whose gradients are added; their gradients lie in host memory and are
   *     not read-only
   * @param subBatches the number of sub-batches of all ranks, a power of two, the same on each rank
   * @throws IllegalArgumentException if it is none or less than the number of ranks, or that is no
   *     power of two, or if a parameter is given twice
   * @throws OutOfMemoryError if there is no memory for the copies
   */
  public static GradientTree of(Collection<Parameter> parameters, int subBatches, Ranks ranks) {
    int size = Checks.ranks(Checks.notNull("ranks", ranks).size());
    return of(parameters, subBatches, ranks.rank(), size);
  }

  private static GradientTree of(
      Collection<Parameter> parameters, int subBatches, int rank, int ranks) {
    List<Parameter> all = List.copyOf(Checks.notNull("parameters", parameters));
    if (Integer.bitCount(subBatches) != 1 || subBatches < ranks) {
      throw new IllegalArgumentException(
          "subBatches must be a power of two and at least the number of ranks, %d, not %d"
              .formatted(ranks, subBatches));
    }
    int own = subBatches / ranks;
    return new GradientTree(all, rank * own, (rank + 1) * own);
  }

  /** Returns the first sub-batch of this rank, counted from 0 through those of all ranks. */
  public int begin() {
    return begin;
  }

  /** Returns the sub-batch after the last one of this rank. */
  public int end() {
    return end;
  }

  /**
   * Takes the gradients of this rank's next sub-batch, which the backward pass has written to each
   * {@link Parameter#gradient}. Call it once for each sub-batch from {@link #begin} to {@link
   * #end}, in order. After the last one, the gradients are this rank's sum, and the next call
   * begins another batch. Before that, they are of no use. Parameters without a gradient, and those
   * of an optimizer's frozen groups, are left out. That must not change within a batch, nor between
   * it and its step, which would take gradients that are no sums.
   *
   * <p>After an exception nothing has changed.
   *
   * @throws IllegalStateException if it did, the tree is closed, or an arena is
   * @throws IllegalArgumentException if a gradient is read-only, or lies in device memory
   * @throws WrongThreadException if a gradient belongs to another thread
   */
  public void add() {
    take(IntStream.range(0, taken.length).filter(i -> !taken[i]).toArray());
    Arrays.fill(taken, false);
    added = isLast() ? 0 : added + 1;
  }

  /**
   * Takes the gradients of some parameters of the next sub-batch, ahead of the {@link #add()} that
   * takes the others: for a backward pass that has finished a layer. The sums are the same.
   *
   * @return whether these gradients are this rank's sum now, because the sub-batch is its last one:
   *     then {@link Adam#gradientsReady} can send them
   * @throws IllegalStateException as {@link #add()}, or if a parameter was taken already
   * @throws IllegalArgumentException as {@link #add()}, or if a parameter occurs twice or is none
   *     of the tree's
   * @throws WrongThreadException as {@link #add()}
   */
  public boolean add(Collection<Parameter> some) {
    int[] which = new int[Checks.notNull("some", some).size()];
    int count = 0;
    for (Parameter p : some) {
      Integer i = indices.get(Checks.notNull("parameter", p));
      if (i == null) {
        throw new IllegalArgumentException(p.name() + " is not a parameter of this tree");
      }
      if (taken[i]) {
        throw new IllegalStateException(p.name() + " was added already in this sub-batch");
      }
      which[count++] = i;
    }
    if (IntStream.of(which).distinct().count() < count) {
      throw new IllegalArgumentException("a parameter is given twice");
    }
    take(which);
    return isLast();
  }

  /**
   * Forgets the sub-batches that were added since the batch began, for example after a failure. It
   * is too late once gradients of the last one were announced ({@link Adam#gradientsReady}): they
   * cannot be taken back, so a new optimizer must go on, from a checkpoint.
   */
  public void restart() {
    added = 0;
    Arrays.fill(taken, false);
  }

  private boolean isLast() {
    return added + 1 == end - begin;
  }

  private void take(int[] which) {
    if (!arena.scope().isAlive()) {
      throw new IllegalStateException("the tree is closed");
    }
    for (int i : which) {
      check(parameters.get(i), added == 0 ? null : parts[i]);
    }
    for (int i : which) {
      parts[i] = part(parameters.get(i));
      taken[i] = true;
      if (parts[i] == Part.ADDED) {
        add(i);
      }
    }
  }

  private static Part part(Parameter p) {
    if (p.gradient() == null) {
      return Part.WITHOUT_GRADIENT;
    }
    return p.isFrozen() ? Part.FROZEN : Part.ADDED;
  }

  /**
   * @param before what was done with it in the sub-batches before; null in the first one
   */
  private static void check(Parameter p, Part before) {
    Part now = part(p);
    if (now == Part.ADDED) {
      checkGradient(p);
    }
    if (before != null && (before == Part.ADDED) != (now == Part.ADDED)) {
      String change =
          switch (now == Part.ADDED ? before : now) {
            case FROZEN -> now == Part.ADDED ? " was unfrozen" : " was frozen";
            default -> (now == Part.ADDED ? " got" : " lost") + " its gradient";
          };
      throw new IllegalStateException(p.name() + change + " within a batch");
    }
  }

  private static void checkGradient(Parameter p) {
    MemorySegment gradient = p.gradient();
    String what = "gradient of " + p.name();
    if (gradient.isReadOnly()) {
      throw new IllegalArgumentException(what + " is read-only, but is written");
    }
    if (DeviceArena.isDevice(gradient)) {
      throw new IllegalArgumentException(what + " lies in device memory, which is not added here");
    }
    Checks.accessible(what, gradient);
  }

  private void add(int i) {
    Parameter p = parameters.get(i);
    MemorySegment gradient = p.gradient();
    int full = Integer.numberOfTrailingZeros(~added); // the left subtrees that this one completes
    for (int level = 0; level < full; level++) {
      GradientSum.add(p.gradientType(), levels[level][i], gradient, gradient);
    }
    if (!isLast()) {
      levels[full][i].copyFrom(gradient);
    }
  }

  /** Frees the copies. The gradients are untouched. Closing twice does nothing. */
  @Override
  public void close() {
    if (arena.scope().isAlive()) {
      arena.close();
    }
  }
}
