/*
 * SPD's projection of a selected tensor: theta' = theta~ - (lambda r) (theta~ - theta0), with r from decision.h.
 * Tian, Huang, Kira, NeurIPS 2024.
 */
#include "element.h"
#include "kernels.h"

SPD4J_INLINE void project(bool anchored, float *param, const float *anchor, float shrink, int64_t n) {
  SPD4J_INDEPENDENT
  for (int64_t i = 0; i < n; i++) param[i] = spd4j_project_element(shrink, param[i], anchored ? anchor[i] : 0.0f);
}

void SPD4J_KERNEL(project)(const spd4j_tensor *t, float shrink, int64_t begin, int64_t end) {
  const spd4j_arrays a = spd4j_arrays_at(t, begin);
  if (t->anchor)
    project(true, a.param, a.anchor, shrink, end - begin);
  else
    project(false, a.param, NULL, shrink, end - begin);
}
