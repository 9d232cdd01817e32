package io.spd4j.bench.peers;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.training.optimizer.Optimizer;
import ai.djl.training.tracker.Tracker;
import io.spd4j.bench.contest.ArrayKind;
import io.spd4j.bench.contest.Contestant;
import io.spd4j.bench.contest.Setup;
import io.spd4j.finetune.cli.Rule;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.Field;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;

/**
 * DJL's AdamW on its PyTorch engine. DJL updates one parameter after the other through temporary
 * tensors. `make bench` lets glibc keep their memory, which makes DJL twice as fast.
 */
final class DjlAdam implements Contestant {
  private final Map<ArrayKind, NDArray[]> arrays = new EnumMap<>(ArrayKind.class);
  private NDManager manager;
  private Optimizer optimizer;
  private String[] names;

  DjlAdam() {
    System.setProperty("ai.djl.offline", "true");
    System.setProperty("OPT_OUT_TRACKING", "true");
  }

  @Override
  public Identity identity() {
    Engine engine = Engine.getEngine("PyTorch");
    return new Identity(
        "djl-adam",
        "DJL " + Engine.getDjlVersion() + " with PyTorch " + engine.getVersion(),
        List.of(Rule.ADAMW),
        Map.of());
  }

  @Override
  public void setup(Setup setup) {
    JniUtils.setNumThreads(setup.threads());
    manager = NDManager.newBaseManager(Device.cpu(), "PyTorch");
    for (ArrayKind kind : setup.arrays()) {
      NDArray[] ofKind =
          setup.tensors().stream()
              .map(numel -> manager.zeros(new Shape(numel)))
              .toArray(NDArray[]::new);
      arrays.put(kind, ofKind);
    }
    names =
        IntStream.range(0, setup.tensors().size())
            .mapToObj(Integer::toString)
            .toArray(String[]::new);
    optimizer = optimizer(setup);
    bring("means", ArrayKind.EXP_AVG);
    bring("variances", ArrayKind.EXP_AVG_SQ);
  }

  private static Optimizer optimizer(Setup setup) {
    return Optimizer.adamW()
        .optLearningRateTracker(Tracker.fixed((float) setup.lr()))
        .optBeta1((float) setup.beta1())
        .optBeta2((float) setup.beta2())
        .optEpsilon((float) setup.eps())
        .optWeightDecays((float) setup.lambda())
        .optBeginNumUpdate(Math.toIntExact(setup.step()))
        .build();
  }

  /** Sets moments by reflection: DJL has no other way to start from given moments. */
  @SuppressWarnings("unchecked")
  private void bring(String field, ArrayKind kind) {
    try {
      Field states = optimizer.getClass().getDeclaredField(field);
      states.setAccessible(true);
      var map = (Map<String, Map<Device, NDArray>>) states.get(optimizer);
      for (int i = 0; i < names.length; i++) {
        map.put(names[i], new ConcurrentHashMap<>(Map.of(Device.cpu(), arrays.get(kind)[i])));
      }
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public MemorySegment array(ArrayKind kind, int tensor) {
    return MemorySegment.ofBuffer(((PtNDArray) arrays.get(kind)[tensor]).toByteBuffer(true));
  }

  @Override
  public void step() {
    NDArray[] data = arrays.get(ArrayKind.DATA);
    NDArray[] gradients = arrays.get(ArrayKind.GRADIENT);
    for (int i = 0; i < names.length; i++) {
      optimizer.update(names[i], data[i], gradients[i]);
    }
  }

  @Override
  public void close() {
    if (manager != null) {
      manager.close();
      manager = null;
      arrays.clear();
      Malloc.trim();
    }
  }
}
