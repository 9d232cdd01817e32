package io.spd4j;

import java.util.List;

/**
 * Plain Java with any number of threads, the Vector API at this JVM's width (the build runs this
 * class at others, too), C in every tier.
 */
class BitsTest extends OneResult {
  @Override
  SideBySide sideBySide(Tensors tensors, List<ParameterGroup> groups) {
    return SideBySide.onCpu(tensors, groups);
  }
}
