package io.spd4j.djl;

import ai.djl.ndarray.NDArray;
import io.spd4j.Adam;
import io.spd4j.DecayRule;
import io.spd4j.ElementType;
import io.spd4j.MomentType;
import io.spd4j.Parameter;
import io.spd4j.ParameterGroup;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashMap;
import java.util.Map;

/** spd4j without DJL, over copies of NDArrays: what the optimizer must do to the bit. */
final class PlainRun implements AutoCloseable {
  private final Arena arena = Arena.ofShared();
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  private final Map<String, ParameterGroup> groups = new LinkedHashMap<>();
  private final long seed;
  private Adam adam;

  PlainRun(long seed) {
    this.seed = seed;
  }

  /** Adds a weight, whose present values are its anchor. */
  void add(String name, NDArray weight, DecayRule rule, MomentType moments) {
    ElementType type = Arrays.type(weight.getDataType());
    MemorySegment data = Arrays.copy(weight, arena);
    parameters.put(
        name,
        Parameter.builder(name, data, type)
            .gradient(null, type)
            .anchor(Arrays.copy(weight, arena), type)
            .momentType(moments)
            .build());
    groups.put(
        name,
        ParameterGroup.builder()
            .betas(0.8, 0.99)
            .eps(1e-7)
            .decay(rule)
            .parameter(parameters.get(name))
            .build());
  }

  Adam adam() {
    if (adam == null) {
      Adam.Builder builder = Adam.builder().threads(1).seed(seed);
      groups.values().forEach(builder::group);
      adam = builder.build();
    }
    return adam;
  }

  /** Sets the learning rate and the gradient of the next step. */
  Parameter prepare(String name, NDArray gradient, double lr) {
    adam();
    groups.get(name).lr(lr);
    parameters.get(name).gradient(Arrays.copy(gradient, arena));
    return parameters.get(name);
  }

  byte[] bytes(String name) {
    return Arrays.bytes(parameters.get(name).data());
  }

  Parameter parameter(String name) {
    return parameters.get(name);
  }

  @Override
  public void close() {
    if (adam != null) {
      adam.close();
    }
    arena.close();
  }
}
