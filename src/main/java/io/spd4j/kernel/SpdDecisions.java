package io.spd4j.kernel;

import static io.spd4j.kernel.TableLayout.offset;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.MemorySegment;

/**
 * SPD's decisions on the tensors of a table, as {@code spd4j_decision} rows, which native kernels
 * write, too. Threads may decide on different tensors at once.
 */
final class SpdDecisions {
  private static final long ROW = TableLayout.DECISION.byteSize();
  private static final long STEP = offset(TableLayout.DECISION, "step");
  private static final long CHECKED = offset(TableLayout.DECISION, "checked");
  private static final long SELECTED = offset(TableLayout.DECISION, "selected");
  private static final long RATIO_SUM = offset(TableLayout.DECISION, "ratio_sum");
  private static final long TOTAL_GRAD_DOT = offset(TableLayout.DECISION, "grad_dot");
  private static final long TOTAL_DEV_SQ = offset(TableLayout.DECISION, "dev_sq");
  private static final long TOTAL_NEW_DEV_SQ = offset(TableLayout.DECISION, "new_dev_sq");
  private static final long SHRINK = offset(TableLayout.DECISION, "shrink");

  private final BlockTable table;
  private MemorySegment rows;

  SpdDecisions(BlockTable table) {
    this.table = table;
    rows = table.rows(TableLayout.DECISION, table.tensorCount());
    for (int t = 0; t < table.tensorCount(); t++) {
      SpdDecision decision = table.tensor(t).decision();
      if (decision != null) {
        set(t, decision);
      }
    }
  }

  private void set(int tensor, SpdDecision d) {
    long row = tensor * ROW;
    rows.set(JAVA_LONG, row + STEP, d.step());
    rows.set(JAVA_LONG, row + CHECKED, d.checked());
    rows.set(JAVA_LONG, row + SELECTED, d.selections());
    rows.set(JAVA_DOUBLE, row + RATIO_SUM, d.ratioSum());
    rows.set(JAVA_DOUBLE, row + TOTAL_GRAD_DOT, d.gradDot());
    rows.set(JAVA_DOUBLE, row + TOTAL_DEV_SQ, d.devSq());
    rows.set(JAVA_DOUBLE, row + TOTAL_NEW_DEV_SQ, d.newDevSq());
    rows.set(JAVA_FLOAT, row + SHRINK, d.shrink());
  }

  /** Returns the decisions as {@code spd4j_decision} rows. */
  MemorySegment rows() {
    return rows;
  }

  /** Copies the decisions to the heap, because the table's memory is about to be freed. */
  void detach() {
    rows = MemorySegment.ofArray(rows.toArray(JAVA_LONG));
  }

  /** Decides on a tensor from its blocks' sums; returns λ·r if it is selected, else 0. */
  float decide(int tensor) {
    Scalars k = table.scalars(table.scalarsOf(tensor));
    double gradDot = sum(tensor, TableLayout.GRAD_DOT);
    double devSq = sum(tensor, TableLayout.DEV_SQ);
    double newDevSq = sum(tensor, TableLayout.NEW_DEV_SQ);
    long row = tensor * ROW;
    float shrink = 0;
    if (SpdDecision.condition(gradDot) < 0) {
      double ratio = SpdDecision.ratio(devSq, newDevSq);
      shrink = SpdDecision.shrink(k.lambda, ratio);
      rows.set(JAVA_LONG, row + SELECTED, rows.get(JAVA_LONG, row + SELECTED) + 1);
      rows.set(JAVA_DOUBLE, row + RATIO_SUM, rows.get(JAVA_DOUBLE, row + RATIO_SUM) + ratio);
    }
    rows.set(JAVA_LONG, row + STEP, k.step);
    rows.set(JAVA_LONG, row + CHECKED, rows.get(JAVA_LONG, row + CHECKED) + 1);
    rows.set(JAVA_DOUBLE, row + TOTAL_GRAD_DOT, gradDot);
    rows.set(JAVA_DOUBLE, row + TOTAL_DEV_SQ, devSq);
    rows.set(JAVA_DOUBLE, row + TOTAL_NEW_DEV_SQ, newDevSq);
    rows.set(JAVA_FLOAT, row + SHRINK, shrink);
    return shrink;
  }

  /**
   * Returns the sum over a whole tensor's blocks of the field at this offset in {@code spd4j_sums}.
   */
  double sum(int tensor, long field) {
    long first = table.firstWhole(tensor);
    return TensorSum.of(table.wholeSums(), first, table.firstWhole(tensor + 1) - first, field);
  }

  /** Returns whether the tensor was selected in its last step with SPD. */
  boolean selected(int tensor) {
    return SpdDecision.condition(rows.get(JAVA_DOUBLE, tensor * ROW + TOTAL_GRAD_DOT)) < 0;
  }

  /** Returns the decision of a tensor's last step with SPD; null before the first. */
  SpdDecision of(int tensor) {
    long row = tensor * ROW;
    long checked = rows.get(JAVA_LONG, row + CHECKED);
    return checked == 0
        ? null
        : new SpdDecision(
            rows.get(JAVA_LONG, row + STEP),
            rows.get(JAVA_DOUBLE, row + TOTAL_GRAD_DOT),
            rows.get(JAVA_DOUBLE, row + TOTAL_DEV_SQ),
            rows.get(JAVA_DOUBLE, row + TOTAL_NEW_DEV_SQ),
            rows.get(JAVA_FLOAT, row + SHRINK),
            checked,
            rows.get(JAVA_LONG, row + SELECTED),
            rows.get(JAVA_DOUBLE, row + RATIO_SUM));
  }
}
