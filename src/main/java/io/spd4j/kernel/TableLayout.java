package io.spd4j.kernel;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemoryLayout.PathElement;
import java.lang.foreign.StructLayout;

/**
 * The structs of {@code spd4j.h}, written by hand, because the generated layouts call restricted
 * methods when they are initialized: plain Java could not use them if native access is denied. A
 * test compares the two.
 */
public final class TableLayout {
  public static final StructLayout TENSOR =
      MemoryLayout.structLayout(
              ADDRESS.withName("param"),
              ADDRESS.withName("param_low"),
              ADDRESS.withName("grad"),
              ADDRESS.withName("anchor"),
              ADDRESS.withName("exp_avg"),
              ADDRESS.withName("exp_avg_sq"),
              ADDRESS.withName("max_exp_avg_sq"),
              JAVA_LONG.withName("numel"),
              JAVA_LONG.withName("offset"),
              JAVA_LONG.withName("scalars"),
              JAVA_INT.withName("param_type"),
              JAVA_INT.withName("grad_type"),
              JAVA_INT.withName("anchor_type"),
              JAVA_INT.withName("moment_type"),
              JAVA_FLOAT.withName("shrink"),
              JAVA_INT.withName("reserved"),
              JAVA_LONG.withName("key"))
          .withName("spd4j_tensor");

  static final StructLayout SCALARS =
      MemoryLayout.structLayout(
              JAVA_FLOAT.withName("beta1"),
              JAVA_FLOAT.withName("one_minus_beta1"),
              JAVA_FLOAT.withName("beta2"),
              JAVA_FLOAT.withName("one_minus_beta2"),
              JAVA_FLOAT.withName("eps"),
              JAVA_FLOAT.withName("step_size"),
              JAVA_FLOAT.withName("inv_sqrt_bias2"),
              JAVA_FLOAT.withName("decay"),
              JAVA_FLOAT.withName("grad_scale"),
              JAVA_INT.withName("rule"),
              JAVA_DOUBLE.withName("lambda"),
              JAVA_LONG.withName("step"),
              MemoryLayout.sequenceLayout(2, JAVA_INT).withName("reserved"))
          .withName("spd4j_scalars");

  static final StructLayout BLOCK =
      MemoryLayout.structLayout(
              JAVA_LONG.withName("tensor"), JAVA_LONG.withName("begin"), JAVA_LONG.withName("end"))
          .withName("spd4j_block");

  static final StructLayout SUMS =
      MemoryLayout.structLayout(
              JAVA_DOUBLE.withName("grad_dot"),
              JAVA_DOUBLE.withName("dev_sq"),
              JAVA_DOUBLE.withName("new_dev_sq"),
              JAVA_DOUBLE.withName("grad_sq"))
          .withName("spd4j_sums");

  static final StructLayout DECISION =
      MemoryLayout.structLayout(
              JAVA_LONG.withName("step"),
              JAVA_LONG.withName("checked"),
              JAVA_LONG.withName("selected"),
              JAVA_DOUBLE.withName("ratio_sum"),
              JAVA_DOUBLE.withName("grad_dot"),
              JAVA_DOUBLE.withName("dev_sq"),
              JAVA_DOUBLE.withName("new_dev_sq"),
              JAVA_FLOAT.withName("shrink"),
              JAVA_INT.withName("reserved"))
          .withName("spd4j_decision");

  static final StructLayout TABLE =
      MemoryLayout.structLayout(
              ADDRESS.withName("blocks"),
              ADDRESS.withName("tensors"),
              ADDRESS.withName("scalars"),
              ADDRESS.withName("sums"),
              ADDRESS.withName("decisions"),
              JAVA_LONG.withName("block_count"),
              JAVA_LONG.withName("tensor_count"),
              JAVA_LONG.withName("scalars_count"))
          .withName("spd4j_table");

  static final long GRAD_DOT = offset(SUMS, "grad_dot");
  static final long DEV_SQ = offset(SUMS, "dev_sq");
  static final long NEW_DEV_SQ = offset(SUMS, "new_dev_sq");
  static final long GRAD_SQ = offset(SUMS, "grad_sq");

  private TableLayout() {}

  static long offset(StructLayout struct, String field) {
    return struct.byteOffset(PathElement.groupElement(field));
  }
}
