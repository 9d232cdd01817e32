package io.spd4j;

import io.spd4j.kernel.Kernels;
import java.util.Collection;
import java.util.List;

/** Makes groups and optimizers for tests. */
final class Optimizers {
  private Optimizers() {}

  static ParameterGroup group(DecayRule decay, Collection<Parameter> parameters) {
    return ParameterGroup.builder().lr(0.1).decay(decay).parameters(parameters).build();
  }

  static Adam adam(Kernels kernels, int threads, ParameterGroup... groups) {
    Adam.Builder builder = Adam.builder().kernels(kernels).threads(threads);
    List.of(groups).forEach(builder::group);
    return builder.build();
  }

  static Adam adam(Kernels kernels, DecayRule decay, Collection<Parameter> parameters) {
    return adam(kernels, 2, group(decay, parameters));
  }
}
