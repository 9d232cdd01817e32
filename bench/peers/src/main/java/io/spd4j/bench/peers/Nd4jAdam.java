package io.spd4j.bench.peers;

import io.spd4j.bench.contest.ArrayKind;
import io.spd4j.bench.contest.Contestant;
import io.spd4j.bench.contest.Setup;
import io.spd4j.finetune.cli.Rule;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.learning.AdamUpdater;
import org.nd4j.linalg.learning.config.Adam;

/**
 * ND4J's AdamUpdater. All tensors are parts of one flat array, as in Deeplearning4j's networks,
 * which is its fastest way. The updater overwrites the gradient with the update.
 */
final class Nd4jAdam implements Contestant {
  private final Map<ArrayKind, INDArray> arrays = new EnumMap<>(ArrayKind.class);
  private Setup setup;
  private long[] offsets;
  private INDArray update;
  private AdamUpdater updater;
  private int iteration;

  Nd4jAdam() {
    // by default, off-heap memory is limited to the size of the heap
    System.setProperty("org.bytedeco.javacpp.maxbytes", "0");
    System.setProperty("org.bytedeco.javacpp.maxphysicalbytes", "0");
  }

  @Override
  public Identity identity() {
    return new Identity(
        "nd4j-adam",
        "ND4J " + Nd4j.getBackend().buildInfo().lines().findFirst().orElse(""),
        List.of(Rule.ADAMW),
        Map.of("lambda", 0));
  }

  @Override
  public void setup(Setup setup) {
    this.setup = setup;
    Nd4j.getEnvironment().setMaxMasterThreads(setup.threads());
    offsets = new long[setup.tensors().size() + 1];
    for (int i = 0; i < setup.tensors().size(); i++) {
      offsets[i + 1] = offsets[i] + setup.tensors().get(i);
    }
    long numel = offsets[offsets.length - 1];
    for (ArrayKind kind : setup.arrays()) {
      arrays.put(kind, Nd4j.create(DataType.FLOAT, numel));
    }
    update = Nd4j.create(DataType.FLOAT, numel);
    updater =
        new AdamUpdater(
            Adam.builder()
                .learningRate(setup.lr())
                .beta1(setup.beta1())
                .beta2(setup.beta2())
                .epsilon(setup.eps())
                .build());
    updater.setM(arrays.get(ArrayKind.EXP_AVG));
    updater.setV(arrays.get(ArrayKind.EXP_AVG_SQ));
    iteration = Math.toIntExact(setup.step());
  }

  @Override
  public MemorySegment array(ArrayKind kind, int tensor) {
    long address = arrays.get(kind).data().addressPointer().address();
    long size = setup.tensors().get(tensor) * Float.BYTES;
    return MemorySegment.ofAddress(address + offsets[tensor] * Float.BYTES).reinterpret(size);
  }

  @Override
  public void beforeStep() {
    update.assign(arrays.get(ArrayKind.GRADIENT));
  }

  @Override
  public void step() {
    updater.applyUpdater(update, iteration++, 0);
    arrays.get(ArrayKind.DATA).subi(update);
  }

  @Override
  public void close() {
    if (update != null) {
      update.close();
      update = null;
      arrays.values().forEach(INDArray::close);
      arrays.clear();
      Malloc.trim();
    }
  }
}
