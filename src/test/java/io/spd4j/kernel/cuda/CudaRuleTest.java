package io.spd4j.kernel.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.cuda.CudaAvailable;
import io.spd4j.generated.spd4jcuda.spd4j_cuda_h;
import io.spd4j.kernel.Rule;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

/** Java and libspd4j_cuda have the same rules in the same order. */
@CudaAvailable
class CudaRuleTest {
  @Test
  void theLibraryHasTheseRulesAndNoOthers() {
    assertThat(DevicePlace.unknownRule()).isNull();
    assertThat(spd4j_cuda_h.spd4j_cuda_rule_name(Rule.values().length))
        .isEqualTo(MemorySegment.NULL);
  }
}
