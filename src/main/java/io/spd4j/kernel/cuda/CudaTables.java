package io.spd4j.kernel.cuda;

import io.spd4j.cuda.CudaStream;
import io.spd4j.cuda.DeviceArena;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_control;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_group;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_state;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_table;
import io.spd4j.kernel.BlockTable;
import io.spd4j.kernel.Clipping;
import io.spd4j.kernel.Settings;
import io.spd4j.kernel.SpdDecision;
import io.spd4j.kernel.SteppedTensor;
import io.spd4j.kernel.TableLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.function.Supplier;

/**
 * An optimizer's tables in device memory, which the kernels read and write, and host copies of what
 * the host writes. Changed rows are sent in the stream's order.
 */
final class CudaTables implements AutoCloseable {
  private static final long GROUP = spd4j_cuda_group.sizeof();
  private static final long STATE = spd4j_cuda_state.sizeof();

  /** Rows [first, end) that have changed since they were last sent. */
  private static final class Changed {
    int first = Integer.MAX_VALUE;
    int end;

    void add(int row) {
      first = Math.min(first, row);
      end = Math.max(end, row + 1);
    }

    boolean any() {
      return first < end;
    }

    void clear() {
      first = Integer.MAX_VALUE;
      end = 0;
    }
  }

  private final CudaStream stream;
  private final BlockTable blocks;
  private final List<Supplier<Settings>> groups;

  /** The settings that the groups' rows hold. */
  private final Settings[] written;

  private final int tensors;
  private final Arena host = Arena.ofShared();
  private final DeviceArena device;
  private CudaStaging staging;
  private final MemorySegment table;
  private final MemorySegment hostGroups;
  private final MemorySegment deviceGroups;
  private final MemorySegment deviceTensors;
  private final MemorySegment states;
  private final MemorySegment control;
  private final Changed changedGroups = new Changed();
  private final Changed changedTensors = new Changed();

  /** Creates tables that are still to be sent. The block table still belongs to the caller. */
  CudaTables(
      CudaStream stream,
      BlockTable blocks,
      List<SteppedTensor> tensorList,
      List<Supplier<Settings>> groups) {
    this.stream = stream;
    this.blocks = blocks;
    this.groups = groups;
    written = new Settings[groups.size()];
    tensors = tensorList.size();
    device = DeviceArena.open(stream.device());
    boolean ready = false;
    try {
      long rows = Math.max(groups.size() * GROUP, tensors * TableLayout.TENSOR.byteSize());
      staging = new CudaStaging(stream.device(), Math.max(1, rows));
      hostGroups = spd4j_cuda_group.allocateArray(Math.max(1, groups.size()), host);
      deviceGroups = device.allocate(hostGroups.byteSize());
      deviceTensors = device.allocate(blocks.tensors().byteSize());
      states = device.allocate(Math.max(1, tensors) * STATE);
      control = device.allocate(spd4j_cuda_control.sizeof());
      table = spd4j_cuda_table.allocate(host);
      spd4j_cuda_table.blocks(table, send(blocks.blocks()));
      spd4j_cuda_table.tensors(table, deviceTensors);
      spd4j_cuda_table.scalars(table, device.allocate(blocks.scalars().byteSize()));
      spd4j_cuda_table.sums(table, device.allocate(blocks.sums().byteSize()));
      spd4j_cuda_table.groups(table, deviceGroups);
      spd4j_cuda_table.states(table, states);
      spd4j_cuda_table.control(table, control);
      sendStates(tensorList);
      for (int t = 0; t < tensors; t++) {
        changedTensors.add(t);
      }
      ready = true;
    } finally {
      if (!ready) {
        close();
      }
    }
  }

  private void sendStates(List<SteppedTensor> tensorList) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment rows = spd4j_cuda_state.allocateArray(Math.max(1, tensors), arena);
      for (int t = 0; t < tensors; t++) {
        MemorySegment row = spd4j_cuda_state.asSlice(rows, t);
        spd4j_cuda_state.group(row, tensorList.get(t).group());
        spd4j_cuda_state.first_block(row, blocks.firstBlock(t));
        spd4j_cuda_state.step(row, tensorList.get(t).step());
        if (tensorList.get(t).decision() != null) {
          write(tensorList.get(t).decision(), row);
        }
      }
      stream.copy(rows, states);
    }
  }

  private static void write(SpdDecision decision, MemorySegment row) {
    spd4j_cuda_state.spd_step(row, decision.step());
    spd4j_cuda_state.grad_dot(row, decision.gradDot());
    spd4j_cuda_state.dev_sq(row, decision.devSq());
    spd4j_cuda_state.new_dev_sq(row, decision.newDevSq());
    spd4j_cuda_state.shrink(row, decision.shrink());
    spd4j_cuda_state.checked(row, decision.checked());
    spd4j_cuda_state.selected(row, decision.selections());
    spd4j_cuda_state.ratio_sum(row, decision.ratioSum());
  }

  /** Returns the tables as a {@code spd4j_cuda_table}. */
  MemorySegment header() {
    return table;
  }

  /** Returns a segment of the arena that the tables lie in. */
  MemorySegment memory() {
    return control;
  }

  /** Copies rows into new device memory, which is freed with the tables. */
  MemorySegment send(MemorySegment rows) {
    MemorySegment copy = device.allocate(rows.byteSize());
    stream.copy(rows, copy);
    return copy;
  }

  /** Sets what memory the tables refer to: at least one segment of each of the arrays' arenas. */
  void refersTo(List<MemorySegment> memory) {
    device.refersTo(memory);
  }

  /** Replaces a tensor's gradient; null for none. */
  void grad(int tensor, MemorySegment grad) {
    if (address(grad) != address(blocks.tensor(tensor).grad())) {
      changedTensors.add(tensor);
    }
    blocks.grad(tensor, grad);
  }

  private static long address(MemorySegment segment) {
    return segment == null ? 0 : segment.address();
  }

  /** Sets whether a tensor is stepped; returns whether that is a change. */
  boolean stepped(int tensor, boolean stepped) {
    int row = stepped ? tensor : -1;
    boolean changed = blocks.scalarsOf(tensor) != row;
    if (changed) {
      blocks.scalarsOf(tensor, row);
      changedTensors.add(tensor);
    }
    return changed;
  }

  /** Writes the rows of groups whose settings have changed. */
  void refreshGroups() {
    for (int g = 0; g < written.length; g++) {
      Settings now = groups.get(g).get();
      Settings row = written[g];
      if (now == row) {
        continue;
      }
      written[g] = now;
      if (row == null || !row.equals(now.withFrozen(row.frozen()))) { // frozen is not in the row
        write(now, spd4j_cuda_group.asSlice(hostGroups, g));
        changedGroups.add(g);
      }
    }
  }

  private static void write(Settings settings, MemorySegment row) {
    spd4j_cuda_group.lr(row, settings.lr());
    spd4j_cuda_group.beta1(row, settings.beta1());
    spd4j_cuda_group.beta2(row, settings.beta2());
    spd4j_cuda_group.eps(row, settings.eps());
    spd4j_cuda_group.lambda(row, settings.lambda());
    spd4j_cuda_group.rule(row, settings.rule().ordinal());
    spd4j_cuda_group.maximize(row, settings.maximize() ? 1 : 0);
  }

  /** Returns whether there are rows to send. */
  boolean changed() {
    return changedGroups.any() || changedTensors.any();
  }

  /** Sends changed rows without waiting for the device. */
  void send() {
    send(changedTensors, blocks.tensors(), deviceTensors, TableLayout.TENSOR.byteSize());
    send(changedGroups, hostGroups, deviceGroups, GROUP);
  }

  private void send(Changed changed, MemorySegment from, MemorySegment to, long row) {
    if (changed.any()) {
      long at = changed.first * row;
      long bytes = (changed.end - changed.first) * row;
      staging.send(stream, from.asSlice(at, bytes), to.asSlice(at, bytes));
      changed.clear();
    }
  }

  /** Returns the norm that was computed last; waits for the device. */
  double norm() {
    try (Arena arena = Arena.ofConfined()) {
      return spd4j_cuda_control.norm(read(stream, arena, control));
    }
  }

  /**
   * Returns the norm by which the last step was clipped, not finite exactly if the step was
   * skipped; waits for the device.
   */
  double clippedNorm() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment row = read(stream, arena, control);
      return Clipping.reported(spd4j_cuda_control.norm(row), spd4j_cuda_control.skip(row) != 0);
    }
  }

  /** Reads the {@code spd4j_cuda_state} rows of the tensors [first, end); waits for steps. */
  MemorySegment states(CudaStream stream, Arena arena, int first, int end) {
    return read(stream, arena, states.asSlice(first * STATE, (end - first) * STATE));
  }

  private static MemorySegment read(CudaStream stream, Arena arena, MemorySegment from) {
    MemorySegment to = arena.allocate(from.byteSize(), Double.BYTES);
    stream.copy(from, to);
    return to;
  }

  /** Waits for the device and frees its memory. */
  @Override
  public void close() {
    host.close();
    try {
      if (staging != null) {
        staging.close();
      }
    } finally {
      device.close();
    }
  }
}
