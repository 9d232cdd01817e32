package io.spd4j.torture;

import io.spd4j.DecayRule;
import io.spd4j.ParameterGroup;
import java.util.ArrayList;
import java.util.List;

/** What the model knows of a group, and the subjects' groups. */
final class ModelGroup {
  final List<ModelParameter> parameters = new ArrayList<>();
  double lr;
  double beta1;
  double beta2;
  double eps;
  boolean amsgrad;
  boolean maximize;
  boolean frozen;
  DecayRule decay;
  ModelOptimizer owner;
  final ParameterGroup[] real;

  ModelGroup(int subjects) {
    real = new ParameterGroup[subjects];
  }

  ParameterGroup build(int s) {
    return ParameterGroup.builder()
        .lr(lr)
        .betas(beta1, beta2)
        .eps(eps)
        .amsgrad(amsgrad)
        .maximize(maximize)
        .frozen(frozen)
        .decay(decay)
        .parameters(parameters.stream().map(p -> p.real[s]).toList())
        .build();
  }

  Faults buildFaults() {
    return new Faults()
        .illegalArgument(!Numbers.isNonNegative(lr) || !Numbers.isNonNegative(eps))
        .illegalArgument(!Numbers.isBeta(beta1) || !Numbers.isBeta(beta2))
        .nullPointer(decay == null);
  }
}
