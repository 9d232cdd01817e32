/*
 * Selective Projection Decay. Tian, Huang, Kira, "Rethinking Weight Decay for Robust Fine-Tuning of Foundation Models",
 * NeurIPS 2024 (arXiv 2411.01713).
 *
 *   theta~ = theta - u,   c = -sum g (theta - theta0),   r = (|theta~ - theta0| - |theta - theta0|) / |theta~ - theta0|
 *   c < 0:  theta' = theta~ - lambda r (theta~ - theta0)
 *
 * The first pass takes the Adam step and the three sums of a block; once the tensor is decided on, the second pass
 * projects.
 */
#include "element.h"
#include "kernels.h"

/* Up to LANES elements: element l goes to lane l of each sum. */
SPD4J_INLINE void row(bool anchored, bool amsgrad, spd4j_arrays a, spd4j_scalars k, int64_t n, float *dot,
                      float *dev_sq, float *new_dev_sq) {
  spd4j_prefetch(anchored, amsgrad, &a);
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) {
    const float g = spd4j_mul(a.grad[l], k.grad_scale);
    const float anchor = anchored ? a.anchor[l] : 0.0f;
    const float dev = spd4j_sub(a.param[l], anchor);
    dot[l] = spd4j_add(dot[l], spd4j_mul(g, dev));
    dev_sq[l] = spd4j_add(dev_sq[l], spd4j_mul(dev, dev));
    const float updated = spd4j_sub(a.param[l], spd4j_adam(amsgrad, &a, &k, l, g));
    a.param[l] = updated;
    const float new_dev = spd4j_sub(updated, anchor);
    new_dev_sq[l] = spd4j_add(new_dev_sq[l], spd4j_mul(new_dev, new_dev));
  }
}

SPD4J_FOLD(fold, float)

SPD4J_INLINE void step(bool anchored, bool amsgrad, spd4j_arrays a, spd4j_scalars k, int64_t n, spd4j_sums *sums) {
  float dot[SPD4J_LANES] = {0}, dev_sq[SPD4J_LANES] = {0}, new_dev_sq[SPD4J_LANES] = {0};
  for (; n >= SPD4J_LANES; n -= SPD4J_LANES, a = spd4j_advance(a, SPD4J_LANES))
    row(anchored, amsgrad, a, k, SPD4J_LANES, dot, dev_sq, new_dev_sq);
  if (n > 0) row(anchored, amsgrad, a, k, n, dot, dev_sq, new_dev_sq);
  sums->grad_dot = fold(dot);
  sums->dev_sq = fold(dev_sq);
  sums->new_dev_sq = fold(new_dev_sq);
}

SPD4J_UPDATE_KERNEL(spd, step)

SPD4J_INLINE void project(bool anchored, float *param, const float *anchor, float shrink, int64_t n) {
  SPD4J_INDEPENDENT
  for (int64_t i = 0; i < n; i++) {
    const float dev = anchored ? spd4j_sub(param[i], anchor[i]) : param[i];
    param[i] = spd4j_spd_projected(shrink, param[i], dev);
  }
}

void SPD4J_KERNEL(spd_project)(const spd4j_tensor *t, float shrink, int64_t begin, int64_t end) {
  float *param = (float *)t->param + begin;
  if (t->anchor)
    project(true, param, (const float *)t->anchor + begin, shrink, end - begin);
  else
    project(false, param, NULL, shrink, end - begin);
}
