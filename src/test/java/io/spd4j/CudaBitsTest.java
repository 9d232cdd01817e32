package io.spd4j;

import io.spd4j.cuda.CudaAvailable;
import java.util.List;

/** Tests CUDA. */
@CudaAvailable
class CudaBitsTest extends OneResult {
  @Override
  SideBySide sideBySide(Tensors tensors, List<ParameterGroup> groups) {
    return SideBySide.onCuda(tensors, groups);
  }
}
