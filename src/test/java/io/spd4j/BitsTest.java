package io.spd4j;

import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.spd4j.kernel.AllKernels;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;

/**
 * Tests plain Java with several thread counts, the Vector API at this JVM's width, and C in every
 * tier. The build also runs this class at other vector widths, there without C.
 */
class BitsTest extends OneResult {
  @BeforeAll
  static void isNotTheSameAgain() {
    assumeFalse(AllKernels.givenOwnWidth(), "tested without a given width, too");
  }

  @Override
  SideBySide sideBySide(Tensors tensors, List<ParameterGroup> groups) {
    return SideBySide.onCpu(tensors, groups);
  }
}
