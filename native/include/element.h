/*
 * The step of one element, defined here once for every kernel in C and in CUDA. Each operation is rounded on its own,
 * in the order written (native/NUMERICS.md).
 *
 *   m = beta1 m + (1 - beta1) g
 *   v = beta2 v + ((1 - beta2) g) g
 *   s = v; with AMSGrad the maximum of v so far, NaN if v or the maximum is NaN
 *   u = ((lr / (1 - beta1^t)) m) / (sqrt(s) / sqrt(1 - beta2^t) + eps)
 *
 * rules.h says what a decay rule does to g and theta. Adam: Kingma, Ba, ICLR 2015. AMSGrad: Reddi, Kale, Kumar, ICLR
 * 2018; as in PyTorch, the maximum is that of the second moment before bias correction.
 */
#ifndef SPD4J_ELEMENT_H
#define SPD4J_ELEMENT_H

#include "rules.h"

/* One element of each array. */
typedef struct spd4j_element {
  float param;
  float grad;
  float anchor; /* 0 without an anchor */
  float exp_avg;
  float exp_avg_sq;
  float max_exp_avg_sq; /* used with AMSGrad only */
} spd4j_element;

/* What one element adds to the sums of a rule that decides (spd4j_rule_decides). */
typedef struct spd4j_terms {
  float grad_dot;
  float dev_sq;
  float new_dev_sq;
} spd4j_terms;

/*
 * The step of one element, in two halves. If rule and amsgrad are constants, the compiled code does not branch on them.
 * The first half steps the moments and returns sqrt(s).
 */
SPD4J_FN float spd4j_step_moments(int32_t rule, bool amsgrad, const spd4j_scalars *k, spd4j_element *e) {
  const float dev = spd4j_sub(e->param, e->anchor);
  const float g = spd4j_rule_grad(rule, k->decay, dev, spd4j_mul(e->grad, k->grad_scale));
  const float m = spd4j_add(spd4j_mul(k->beta1, e->exp_avg), spd4j_mul(k->one_minus_beta1, g));
  const float v = spd4j_add(spd4j_mul(k->beta2, e->exp_avg_sq), spd4j_mul(spd4j_mul(k->one_minus_beta2, g), g));
  float s = v;
  if (amsgrad) {
    const float max = e->max_exp_avg_sq;
    e->max_exp_avg_sq = s = v > max || v != v ? v : max;
  }
  e->exp_avg = m;
  e->exp_avg_sq = v;
  return spd4j_sqrt(s);
}

/* The second half steps the parameter by the new first moment. */
SPD4J_FN spd4j_terms spd4j_step_param(int32_t rule, const spd4j_scalars *k, float root, spd4j_element *e) {
  const float dev = spd4j_sub(e->param, e->anchor);
  const float g = spd4j_mul(e->grad, k->grad_scale); /* a rule that decides takes no other */
  const float divisor = spd4j_add(spd4j_mul(root, k->inv_sqrt_bias2), k->eps);
  const float u = spd4j_div(spd4j_mul(k->step_size, e->exp_avg), divisor);
  e->param = spd4j_rule_param(rule, k->decay, e->param, dev, u);
  const float new_dev = spd4j_sub(e->param, e->anchor);
  const spd4j_terms terms = {spd4j_mul(g, dev), spd4j_mul(dev, dev), spd4j_mul(new_dev, new_dev)};
  return terms;
}

SPD4J_FN spd4j_terms spd4j_step_element(int32_t rule, bool amsgrad, const spd4j_scalars *k, spd4j_element *e) {
  const float root = spd4j_step_moments(rule, amsgrad, k, e);
  return spd4j_step_param(rule, k, root, e);
}

/* SPD's projection: theta' = theta~ - (lambda r) (theta~ - theta0), where shrink is lambda r. */
SPD4J_FN float spd4j_project_element(float shrink, float param, float anchor) {
  return spd4j_sub(param, spd4j_mul(shrink, spd4j_sub(param, anchor)));
}

#endif
