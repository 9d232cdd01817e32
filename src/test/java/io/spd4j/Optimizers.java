package io.spd4j;

import io.spd4j.kernel.AllKernels;
import io.spd4j.kernel.Kernels;
import java.util.Collection;
import java.util.List;
import org.junit.jupiter.api.Named;

/** Makes the optimizers of tests. */
final class Optimizers {
  private Optimizers() {}

  /** The CPU backends, each in all its variants, plain Java first. */
  static List<Named<Kernels>> kernels() {
    return AllKernels.list().stream().map(k -> Named.of(k.name() + " " + k.detail(), k)).toList();
  }

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
