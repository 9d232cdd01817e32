/*
 * The arithmetic of one element, shared by every kernel. Each operation is rounded on its own, in the order written
 * (native/NUMERICS.md): the compilers are told not to contract a multiplication and an addition into one rounding.
 *
 * Adam: Kingma, Ba, ICLR 2015. Decoupled decay: Loshchilov, Hutter, ICLR 2019. AMSGrad: Reddi, Kale, Kumar, ICLR 2018,
 * with the maximum of the uncorrected second moment, as PyTorch does it.
 */
#ifndef SPD4J_ELEMENT_H
#define SPD4J_ELEMENT_H

#include <math.h>

#include "spd4j.h"

/* m = beta1 m + (1 - beta1) g */
static inline float spd4j_exp_avg(const spd4j_scalars *k, float m, float g) {
  return k->beta1 * m + k->one_minus_beta1 * g;
}

/* v = beta2 v + ((1 - beta2) g) g */
static inline float spd4j_exp_avg_sq(const spd4j_scalars *k, float v, float g) {
  return k->beta2 * v + k->one_minus_beta2 * g * g;
}

/* The maximum of both; NaN where either is. */
static inline float spd4j_max_exp_avg_sq(float max, float v) { return v > max || v != v ? v : max; }

/* u = ((lr / (1 - beta1^t)) m) / (sqrt(s) / sqrt(1 - beta2^t) + eps) */
static inline float spd4j_adam_update(const spd4j_scalars *k, float m, float s) {
  return k->step_size * m / (sqrtf(s) * k->inv_sqrt_bias2 + k->eps);
}

#endif
