/* SPD's decision about a tensor, in double (native/NUMERICS.md). Tian, Huang, Kira, NeurIPS 2024. */
#ifndef SPD4J_DECISION_H
#define SPD4J_DECISION_H

#include "rounding.h"

/*
 * r = (|theta~ - theta0| - |theta - theta0|) / |theta~ - theta0|, clamped to [0, 1]; 0 unless |theta~ - theta0| > 0.
 * It can be NaN if a sum is infinite or NaN.
 */
SPD4J_FN double spd4j_ratio(double dev_sq, double new_dev_sq) {
  const double before = spd4j_dsqrt(dev_sq), updated = spd4j_dsqrt(new_dev_sq);
  if (!(updated > 0)) return 0;
  const double r = spd4j_ddiv(spd4j_dsub(updated, before), updated);
  return r < 0 ? 0 : r > 1 ? 1 : r;
}

/* Whether a tensor is selected: c = -sum g (theta - theta0) is below 0. */
SPD4J_FN int spd4j_selects(double grad_dot) { return -grad_dot < 0; }

/* lambda r, the factor of the projection. */
SPD4J_FN float spd4j_shrink(double lambda, double ratio) { return spd4j_round(spd4j_dmul(lambda, ratio)); }

#endif
