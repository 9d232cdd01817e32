package io.spd4j.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import io.spd4j.generated.spd4j.spd4j_block;
import io.spd4j.generated.spd4j.spd4j_decision;
import io.spd4j.generated.spd4j.spd4j_h;
import io.spd4j.generated.spd4j.spd4j_scalars;
import io.spd4j.generated.spd4j.spd4j_sums;
import io.spd4j.generated.spd4j.spd4j_table;
import io.spd4j.generated.spd4j.spd4j_tensor;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.StructLayout;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** The hand-written layouts and constants match those that jextract read from spd4j.h. */
class TableLayoutTest {
  @Test
  void structsMatchTheHeader() {
    Map<StructLayout, GroupLayout> structs =
        Map.of(
            TableLayout.TENSOR, spd4j_tensor.layout(),
            TableLayout.SCALARS, spd4j_scalars.layout(),
            TableLayout.BLOCK, spd4j_block.layout(),
            TableLayout.SUMS, spd4j_sums.layout(),
            TableLayout.DECISION, spd4j_decision.layout(),
            TableLayout.TABLE, spd4j_table.layout());
    structs.forEach((ours, generated) -> {
      assertThat(ours.name()).isEqualTo(generated.name());
      assertThat(ours.byteSize()).isEqualTo(generated.byteSize());
      assertThat(ours.memberLayouts()).hasSameSizeAs(generated.memberLayouts());
      for (int m = 0; m < ours.memberLayouts().size(); m++) {
        MemoryLayout our = ours.memberLayouts().get(m);
        MemoryLayout their = generated.memberLayouts().get(m);
        assertThat(our.name()).isEqualTo(their.name());
        assertThat(our.byteSize()).as(our.toString()).isEqualTo(their.byteSize());
        assertThat(our.byteAlignment()).as(our.toString()).isEqualTo(their.byteAlignment());
      }
    });
  }

  @Test
  void constantsMatchTheHeader() {
    assertThat(BlockTable.LANES).isEqualTo(spd4j_h.SPD4J_LANES());
    assertThat(BlockTable.BLOCK).isEqualTo(spd4j_h.SPD4J_BLOCK());
    assertThat(BlockTable.TENSOR_LANES).isEqualTo(spd4j_h.SPD4J_TENSOR_LANES());
  }
}
