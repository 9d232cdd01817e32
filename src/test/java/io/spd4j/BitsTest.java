package io.spd4j;

import java.util.List;

/**
 * Tests plain Java with several thread counts, the Vector API at this JVM's width, and C in every
 * tier. The build also runs this class at other vector widths, there without C.
 */
class BitsTest extends OneResult {
  @Override
  SideBySide sideBySide(Tensors tensors, List<ParameterGroup> groups) {
    return SideBySide.onCpu(tensors, groups);
  }
}
