/* The kernels of one block, compiled once per tier: SPD4J_TIER is given by the Makefile and ends every name. */
#ifndef SPD4J_KERNELS_H
#define SPD4J_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "element.h"

#define SPD4J_JOIN_(name, tier) spd4j_##name##_##tier
#define SPD4J_JOIN(name, tier) SPD4J_JOIN_(name, tier)
#define SPD4J_KERNEL(name) SPD4J_JOIN(name, SPD4J_TIER)

/* Flags are constants only where a call is inlined. */
#define SPD4J_INLINE static inline __attribute__((always_inline))

/* The written arrays of a tensor overlap no other, so neither do the iterations: no run-time alias checks. */
#if defined(__clang__)
#define SPD4J_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define SPD4J_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* A tensor's arrays from some element on. An array that the tensor lacks is never read: it stands on param. */
typedef struct spd4j_arrays {
  float *param;
  const float *grad;
  const float *anchor;
  float *exp_avg;
  float *exp_avg_sq;
  float *max_exp_avg_sq;
} spd4j_arrays;

SPD4J_INLINE spd4j_arrays spd4j_advance(spd4j_arrays a, int64_t n) {
  a.param += n;
  a.grad += n;
  a.anchor += n;
  a.exp_avg += n;
  a.exp_avg_sq += n;
  a.max_exp_avg_sq += n;
  return a;
}

SPD4J_INLINE spd4j_arrays spd4j_arrays_at(const spd4j_tensor *t, int64_t begin) {
  spd4j_arrays a = {t->param,
                    t->grad,
                    t->anchor ? t->anchor : t->param,
                    t->exp_avg,
                    t->exp_avg_sq,
                    t->max_exp_avg_sq ? t->max_exp_avg_sq : t->param};
  return spd4j_advance(a, begin);
}

/* Moments of element i from its gradient; returns Adam's update u. */
SPD4J_INLINE float spd4j_adam(bool amsgrad, const spd4j_arrays *a, const spd4j_scalars *k, int64_t i, float g) {
  const float m = spd4j_exp_avg(k, a->exp_avg[i], g), v = spd4j_exp_avg_sq(k, a->exp_avg_sq[i], g);
  a->exp_avg[i] = m;
  a->exp_avg_sq[i] = v;
  float s = v;
  if (amsgrad) a->max_exp_avg_sq[i] = s = spd4j_max_exp_avg_sq(a->max_exp_avg_sq[i], v);
  return spd4j_adam_update(k, m, s);
}

/* Calls step(anchored, amsgrad, arrays, ...) with the flags as constants: four loops without branches. */
#define SPD4J_SPECIALIZE(step, t, begin, ...)                               \
  do {                                                                      \
    const spd4j_arrays arrays = spd4j_arrays_at(t, begin);                  \
    if ((t)->anchor && (t)->max_exp_avg_sq)                                 \
      step(true, true, arrays, __VA_ARGS__);                                \
    else if ((t)->anchor)                                                   \
      step(true, false, arrays, __VA_ARGS__);                               \
    else if ((t)->max_exp_avg_sq)                                           \
      step(false, true, arrays, __VA_ARGS__);                               \
    else                                                                    \
      step(false, false, arrays, __VA_ARGS__);                              \
  } while (0)

/*
 * The sum of all lanes. They meet in halves: lane l takes lane l + width for width = LANES / 2, ..., 2, 1. Written out
 * from 16 lanes on, so that the compiler keeps them in registers.
 */
#define SPD4J_FOLD(type, lanes, sum)                                                                            \
  do {                                                                                                          \
    _Static_assert(SPD4J_LANES == 64, "the fold is written for 64 lanes");                                      \
    type t[16];                                                                                                 \
    for (int l = 0; l < 16; l++) t[l] = (lanes[l] + lanes[l + 32]) + (lanes[l + 16] + lanes[l + 48]);           \
    sum = (double)((((t[0] + t[8]) + (t[4] + t[12])) + ((t[2] + t[10]) + (t[6] + t[14]))) +                     \
                   (((t[1] + t[9]) + (t[5] + t[13])) + ((t[3] + t[11]) + (t[7] + t[15]))));                     \
  } while (0)

/* Each works on the elements [begin, end) of a tensor. */
typedef void spd4j_step_kernel(const spd4j_tensor *t, const spd4j_scalars *k, int64_t begin, int64_t end);
typedef void spd4j_spd_kernel(const spd4j_tensor *t, const spd4j_scalars *k, int64_t begin, int64_t end,
                              spd4j_sums *sums);
typedef void spd4j_spd_project_kernel(const spd4j_tensor *t, int64_t begin, int64_t end);
typedef double spd4j_grad_sq_kernel(const spd4j_tensor *t, int64_t begin, int64_t end);

#define SPD4J_DECLARE(tier)                                 \
  spd4j_step_kernel spd4j_adamw_##tier;                     \
  spd4j_step_kernel spd4j_l2sp_##tier;                      \
  spd4j_step_kernel spd4j_l2sp_coupled_##tier;              \
  spd4j_spd_kernel spd4j_spd_##tier;                        \
  spd4j_spd_project_kernel spd4j_spd_project_##tier;        \
  spd4j_grad_sq_kernel spd4j_grad_sq_##tier;

SPD4J_DECLARE(baseline)
SPD4J_DECLARE(v3)
SPD4J_DECLARE(v4)

#endif
