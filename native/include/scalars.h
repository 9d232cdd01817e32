/* A step's scalars: computed in double, each rounded once to float (native/NUMERICS.md). */
#ifndef SPD4J_SCALARS_H
#define SPD4J_SCALARS_H

#include "rules.h"
#include "spd4j_cuda.h"

/* base^exponent by repeated squaring. It gives the same bits everywhere, which no library's pow promises. */
SPD4J_FN double spd4j_power(double base, int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result = spd4j_dmul(result, base);
    base = spd4j_dmul(base, base);
  }
  return result;
}

/* Sets *k to the scalars of a group at its step t = 1, 2, ... */
SPD4J_FN void spd4j_scalars_of(const spd4j_cuda_group *g, double grad_scale, int64_t t, spd4j_scalars *k) {
  k->beta1 = spd4j_round(g->beta1);
  k->one_minus_beta1 = spd4j_round(spd4j_dsub(1, g->beta1));
  k->beta2 = spd4j_round(g->beta2);
  k->one_minus_beta2 = spd4j_round(spd4j_dsub(1, g->beta2));
  k->eps = spd4j_round(g->eps);
  k->step_size = spd4j_round(spd4j_ddiv(g->lr, spd4j_dsub(1, spd4j_power(g->beta1, t))));
  k->inv_sqrt_bias2 = spd4j_round(spd4j_ddiv(1, spd4j_dsqrt(spd4j_dsub(1, spd4j_power(g->beta2, t)))));
  k->decay = spd4j_round(spd4j_rule_decay(g->rule, g->lr, g->lambda));
  k->grad_scale = spd4j_round(g->maximize ? -grad_scale : grad_scale);
  k->rule = g->rule;
  k->lambda = g->lambda;
  k->step = t;
}

#endif
