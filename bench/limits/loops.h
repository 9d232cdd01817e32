/* The loops that steps are compared with, compiled once per ISA tier. The Makefile sets SPD4J_TIER, each name's suffix. */
#ifndef SPD4J_BENCH_LOOPS_H
#define SPD4J_BENCH_LOOPS_H

#include <stdint.h>

typedef struct arrays {
  float *data;
  float *grad;
  float *anchor; /* NULL if there is none */
  float *exp_avg;
  float *exp_avg_sq;
} arrays;

typedef struct scalars {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, eps, decay, step_size, inv_sqrt_bias2;
} scalars;

#define LOOPS_JOIN_(name, tier) name##_##tier
#define LOOPS_JOIN(name, tier) LOOPS_JOIN_(name, tier)
#define LOOPS(name) LOOPS_JOIN(name, SPD4J_TIER)

/* Each works on the elements [begin, end) of the arrays. */
typedef void rmw_loop(arrays a, float zero, int64_t begin, int64_t end);
typedef void adamw_loop(arrays a, scalars k, int64_t begin, int64_t end);

#define LOOPS_DECLARE(tier) \
  rmw_loop rmw_##tier;      \
  adamw_loop adamw_##tier;

LOOPS_DECLARE(baseline)
LOOPS_DECLARE(v3)
LOOPS_DECLARE(v4)

#endif
