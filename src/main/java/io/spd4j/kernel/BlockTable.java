package io.spd4j.kernel;

import static io.spd4j.kernel.TableLayout.offset;
import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.util.List;

/**
 * An optimizer's tensors, cut into blocks. The rows lie in off-heap memory in the layout of {@code
 * spd4j.h}, so that every backend reads the same table. The list of blocks is built once; from step
 * to step only the tensors' choice of a row of scalars and SPD's decisions change.
 */
public final class BlockTable implements AutoCloseable {
  /** Float lanes of a block's sums. */
  public static final int LANES = 64;

  /** Elements of a block; the last one of a tensor may be shorter. */
  public static final int BLOCK = 4096;

  /** Double lanes of a tensor's sums over its blocks. */
  static final int TENSOR_LANES = 32;

  private static final long TENSOR = TableLayout.TENSOR.byteSize();
  private static final long TENSOR_SCALARS = offset(TableLayout.TENSOR, "scalars");
  private static final long TENSOR_SHRINK = offset(TableLayout.TENSOR, "shrink");
  private static final long TENSOR_GRAD = offset(TableLayout.TENSOR, "grad");
  private static final long SCALARS = TableLayout.SCALARS.byteSize();
  private static final long BLOCK_ROW = TableLayout.BLOCK.byteSize();
  private static final long BLOCK_TENSOR = offset(TableLayout.BLOCK, "tensor");
  private static final long BLOCK_BEGIN = offset(TableLayout.BLOCK, "begin");
  private static final long BLOCK_END = offset(TableLayout.BLOCK, "end");

  private final Arena arena = Arena.ofShared();
  private final MemorySegment tensors;
  private final MemorySegment scalars;
  private final MemorySegment blocks;
  private final MemorySegment sums;
  private final MemorySegment header;
  private final SteppedTensor[] stepped;
  private final long[] firstBlock;
  private final Shards shards;
  private final MemorySegment wholeSums;
  private final Scalars[] rows;

  /** The tensors' rows of scalars once more, for Java to read; {@link #shrink} likewise. */
  private final int[] scalarsOf;

  private final float[] shrink;
  private SpdDecisions decisions;
  private Holds holds = Holds.NONE;

  /** Creates a table in which no tensor is stepped yet. */
  public BlockTable(List<SteppedTensor> steppedTensors) {
    this(steppedTensors, null);
  }

  /**
   * Creates a table in which no tensor is stepped yet.
   *
   * @param shards which elements the tensors are; null if they are whole
   */
  BlockTable(List<SteppedTensor> steppedTensors, Shards shards) {
    this.shards = shards;
    stepped = steppedTensors.toArray(SteppedTensor[]::new);
    firstBlock = new long[stepped.length + 1];
    for (int t = 0; t < stepped.length; t++) {
      firstBlock[t + 1] = firstBlock[t] + Math.ceilDiv(stepped[t].numel(), BLOCK);
    }
    try {
      scalarsOf = new int[stepped.length];
      shrink = new float[stepped.length];
      tensors = rows(TableLayout.TENSOR, stepped.length);
      scalars = rows(TableLayout.SCALARS, stepped.length);
      rows = new Scalars[stepped.length];
      for (int row = 0; row < rows.length; row++) {
        rows[row] = new Scalars(scalars.asSlice(row * SCALARS, SCALARS));
      }
      blocks = rows(TableLayout.BLOCK, blockCount());
      sums = rows(TableLayout.SUMS, blockCount());
      wholeSums = shards == null ? sums : rows(TableLayout.SUMS, shards.blockCount());
      header = arena.allocate(TableLayout.TABLE);
      header.set(ADDRESS, offset(TableLayout.TABLE, "tensors"), tensors);
      header.set(ADDRESS, offset(TableLayout.TABLE, "scalars"), scalars);
      header.set(ADDRESS, offset(TableLayout.TABLE, "blocks"), blocks);
      header.set(ADDRESS, offset(TableLayout.TABLE, "sums"), sums);
      header.set(JAVA_LONG, offset(TableLayout.TABLE, "block_count"), blockCount());
      header.set(JAVA_LONG, offset(TableLayout.TABLE, "tensor_count"), stepped.length);
      header.set(JAVA_LONG, offset(TableLayout.TABLE, "scalars_count"), stepped.length);
      for (int t = 0; t < stepped.length; t++) {
        writeTensor(t);
      }
    } catch (RuntimeException | Error e) { // no memory
      arena.close();
      throw e;
    }
  }

  /** Allocates rows of zeros that are freed with the table. */
  MemorySegment rows(StructLayout row, long count) {
    return arena.allocate(Math.max(1, count) * row.byteSize(), 64);
  }

  private void writeTensor(int t) {
    SteppedTensor a = stepped[t];
    long row = t * TENSOR;
    address(row + offset(TableLayout.TENSOR, "param"), a.param());
    address(row + offset(TableLayout.TENSOR, "param_low"), a.low());
    address(row + TENSOR_GRAD, a.grad());
    address(row + offset(TableLayout.TENSOR, "anchor"), a.anchor());
    address(row + offset(TableLayout.TENSOR, "exp_avg"), a.expAvg());
    address(row + offset(TableLayout.TENSOR, "exp_avg_sq"), a.expAvgSq());
    address(row + offset(TableLayout.TENSOR, "max_exp_avg_sq"), a.maxExpAvgSq());
    tensors.set(JAVA_LONG, row + offset(TableLayout.TENSOR, "numel"), a.numel());
    tensors.set(JAVA_LONG, row + offset(TableLayout.TENSOR, "offset"), a.offset());
    tensors.set(JAVA_LONG, row + offset(TableLayout.TENSOR, "key"), a.key());
    type(row, "param_type", a.types().param());
    type(row, "grad_type", a.types().grad());
    type(row, "anchor_type", a.types().anchor());
    type(row, "moment_type", a.types().moments());
    tensors.set(JAVA_LONG, row + TENSOR_SCALARS, -1);
    scalarsOf[t] = -1;
    for (long b = firstBlock[t], begin = 0; b < firstBlock[t + 1]; b++, begin += BLOCK) {
      long block = b * BLOCK_ROW;
      blocks.set(JAVA_LONG, block + BLOCK_TENSOR, t);
      blocks.set(JAVA_LONG, block + BLOCK_BEGIN, begin);
      blocks.set(JAVA_LONG, block + BLOCK_END, Math.min(begin + BLOCK, a.numel()));
    }
  }

  private void type(long row, String field, Enum<?> type) {
    tensors.set(JAVA_INT, row + offset(TableLayout.TENSOR, field), type.ordinal());
  }

  private void address(long offset, MemorySegment segment) {
    tensors.set(ADDRESS, offset, segment == null ? MemorySegment.NULL : segment);
  }

  /** Returns the table as a {@code spd4j_table}. */
  MemorySegment header() {
    return header;
  }

  /** Returns the tensors as {@code spd4j_tensor} rows. */
  public MemorySegment tensors() {
    return tensors;
  }

  /** Returns the blocks as {@code spd4j_block} rows. */
  public MemorySegment blocks() {
    return blocks;
  }

  /** Returns the scalars as {@code spd4j_scalars} rows. */
  public MemorySegment scalars() {
    return scalars;
  }

  /** Returns the number of tensors. */
  public int tensorCount() {
    return stepped.length;
  }

  /** Returns the number of blocks of all tensors. */
  long blockCount() {
    return firstBlock[stepped.length];
  }

  /** Returns the first block of a tensor; the tensor ends at the first block of the next one. */
  public long firstBlock(int tensor) {
    return firstBlock[tensor];
  }

  /** Returns a tensor. */
  public SteppedTensor tensor(int tensor) {
    return stepped[tensor];
  }

  /** Replaces a tensor's gradient; null for none. */
  public void grad(int tensor, MemorySegment grad) {
    stepped[tensor] = stepped[tensor].withGrad(grad);
    address(tensor * TENSOR + TENSOR_GRAD, grad);
  }

  /** Returns the tensor that a block belongs to. */
  int tensorOf(long block) {
    int low = 0;
    for (int high = stepped.length; high - low > 1; ) {
      int middle = (low + high) >>> 1;
      if (firstBlock[middle] <= block) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low; // the last tensor that begins there: any before it are empty
  }

  /** Returns the index within the tensor of a block's first element. */
  long begin(int tensor, long block) {
    return (block - firstBlock[tensor]) * BLOCK;
  }

  /** Returns the number of elements of a block. */
  int length(int tensor, long block) {
    return (int) Math.min(BLOCK, stepped[tensor].numel() - begin(tensor, block));
  }

  /** Returns the row of scalars that a tensor is stepped with; -1 if it is not stepped. */
  public int scalarsOf(int tensor) {
    return scalarsOf[tensor];
  }

  /** Sets the row of scalars that a tensor is stepped with; -1 to skip its blocks. */
  public void scalarsOf(int tensor, int row) {
    if (scalarsOf[tensor] != row) { // a write would take the cache line from a core that reads it
      scalarsOf[tensor] = row;
      tensors.set(JAVA_LONG, tensor * TENSOR + TENSOR_SCALARS, row);
    }
  }

  /** Returns the factor that {@link Kernels#project} projects a tensor by, if it is above 0. */
  float shrink(int tensor) {
    return shrink[tensor];
  }

  /** Sets SPD's λ·r, if the kernels' caller decides; 0 if the tensor is not selected. */
  void shrink(int tensor, float value) {
    if (shrink[tensor] != value) {
      shrink[tensor] = value;
      tensors.set(JAVA_FLOAT, tensor * TENSOR + TENSOR_SHRINK, value);
    }
  }

  /** Returns a row of scalars. */
  Scalars scalars(int row) {
    return rows[row];
  }

  /**
   * Returns the decisions that kernels take on tensors inside a run; null if only callers decide.
   */
  SpdDecisions decisions() {
    return decisions;
  }

  /** Makes the kernels decide on tensors that lie whole in a run of blocks. */
  void decisions(SpdDecisions decisions) {
    this.decisions = decisions;
    header.set(ADDRESS, offset(TableLayout.TABLE, "decisions"), decisions.rows());
  }

  /** Returns the blocks' sums as {@code spd4j_sums} rows. */
  public MemorySegment sums() {
    return sums;
  }

  /** Returns whether the tensors are shards: then the table's blocks do not decide on them. */
  boolean isSharded() {
    return shards != null;
  }

  /** Returns the sums of all blocks of the whole tensors as {@code spd4j_sums} rows. */
  MemorySegment wholeSums() {
    return wholeSums;
  }

  /** Returns the first row of a whole tensor in {@link #wholeSums}. */
  long firstWhole(int tensor) {
    return shards == null ? firstBlock[tensor] : shards.firstBlock(tensor);
  }

  Holds holds() {
    return holds;
  }

  /** Sets the segments whose arenas must stay open while a pass uses addresses. */
  void holds(Holds holds) {
    this.holds = holds;
  }

  /** Frees the rows, but not the tensors' arrays. */
  @Override
  public void close() {
    arena.close();
  }
}
