/*
 * The arithmetic of one element, shared by every kernel in C and in CUDA. Each operation is rounded on its own, in the
 * order written (native/NUMERICS.md).
 *
 * Adam: Kingma, Ba, ICLR 2015. Decoupled decay: Loshchilov, Hutter, ICLR 2019. AMSGrad: Reddi, Kale, Kumar, ICLR 2018,
 * with the maximum of the uncorrected second moment, as PyTorch does it. L2-SP: Li, Grandvalet, Davoine, ICML 2018. SPD:
 * Tian, Huang, Kira, NeurIPS 2024.
 */
#ifndef SPD4J_ELEMENT_H
#define SPD4J_ELEMENT_H

#include "rounding.h"
#include "spd4j.h"

/* m = beta1 m + (1 - beta1) g */
SPD4J_FN float spd4j_exp_avg(const spd4j_scalars *k, float m, float g) {
  return spd4j_add(spd4j_mul(k->beta1, m), spd4j_mul(k->one_minus_beta1, g));
}

/* v = beta2 v + ((1 - beta2) g) g */
SPD4J_FN float spd4j_exp_avg_sq(const spd4j_scalars *k, float v, float g) {
  return spd4j_add(spd4j_mul(k->beta2, v), spd4j_mul(spd4j_mul(k->one_minus_beta2, g), g));
}

/* The maximum of both; NaN where either is. */
SPD4J_FN float spd4j_max_exp_avg_sq(float max, float v) { return v > max || v != v ? v : max; }

/* u = ((lr / (1 - beta1^t)) m) / (sqrt(s) / sqrt(1 - beta2^t) + eps) */
SPD4J_FN float spd4j_adam_update(const spd4j_scalars *k, float m, float s) {
  return spd4j_div(spd4j_mul(k->step_size, m), spd4j_add(spd4j_mul(spd4j_sqrt(s), k->inv_sqrt_bias2), k->eps));
}

/* theta' = theta (1 - lr lambda) - u */
SPD4J_FN float spd4j_adamw_param(const spd4j_scalars *k, float param, float u) {
  return spd4j_sub(spd4j_mul(param, k->decay), u);
}

/* theta' = (theta - lr lambda (theta - theta0)) - u; dev = theta - theta0 */
SPD4J_FN float spd4j_l2sp_param(const spd4j_scalars *k, float param, float dev, float u) {
  return spd4j_sub(spd4j_sub(param, spd4j_mul(k->decay, dev)), u);
}

/* g + lambda (theta - theta0) */
SPD4J_FN float spd4j_l2sp_coupled_grad(const spd4j_scalars *k, float g, float dev) {
  return spd4j_add(g, spd4j_mul(k->decay, dev));
}

/* theta' = theta~ - (lambda r) (theta~ - theta0) */
SPD4J_FN float spd4j_spd_projected(float shrink, float param, float dev) {
  return spd4j_sub(param, spd4j_mul(shrink, dev));
}

#endif
