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
  float *param = (float *)t->param + begin;
  if (t->anchor)
    project(true, param, (const float *)t->anchor + begin, shrink, end - begin);
  else
    project(false, param, NULL, shrink, end - begin);
}
