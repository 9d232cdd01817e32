/* The kernels, compiled once for each tier. The Makefile sets SPD4J_TIER to the tier's name, which ends every name. */
#ifndef SPD4J_KERNELS_H
#define SPD4J_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "interpolation.h"
#include "rules.h"

#define SPD4J_JOIN_(name, tier) spd4j_##name##_##tier
#define SPD4J_JOIN(name, tier) SPD4J_JOIN_(name, tier)
#define SPD4J_KERNEL(name) SPD4J_JOIN(name, SPD4J_TIER)

/* Flags passed as constants stay constants only if the call is inlined. */
#define SPD4J_INLINE static inline __attribute__((always_inline))

/* An array that a step writes overlaps no other, so iterations are independent: no run-time alias checks are needed. */
#if defined(__clang__)
#define SPD4J_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define SPD4J_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* Float32 arrays of a tensor from some element on. One that the tensor lacks is never read: its pointer is param's. */
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

/* Whether all arrays of a tensor are float32. */
SPD4J_INLINE bool spd4j_is_float32(const spd4j_tensor *t) {
  return (t->param_type | t->grad_type | t->anchor_type | t->moment_type) == 0;
}

/* The lanes of a block's sums, LANES floats each. */
typedef struct spd4j_lanes {
  float *grad_dot;
  float *dev_sq;
  float *new_dev_sq;
} spd4j_lanes;

/*
 * The sum of all lanes, added in halves: lane l adds lane l + width, for width = LANES / 2, ..., 2, 1. Not inlined: on
 * its own it takes some twenty vector instructions, inside a large function compilers turn it into scalar additions.
 */
#define SPD4J_FOLD(name, type)                                                                          \
  static __attribute__((noinline)) double name(const type *lanes) {                                     \
    _Static_assert(SPD4J_LANES == 64, "the fold is written for 64 lanes");                              \
    type t[16], half[8], quarter[4];                                                                    \
    for (int l = 0; l < 16; l++) t[l] = (lanes[l] + lanes[l + 32]) + (lanes[l + 16] + lanes[l + 48]);   \
    for (int l = 0; l < 8; l++) half[l] = t[l] + t[l + 8];                                              \
    for (int l = 0; l < 4; l++) quarter[l] = half[l] + half[l + 4];                                     \
    return (double)((quarter[0] + quarter[2]) + (quarter[1] + quarter[3]));                             \
  }

/*
 * Updates a run of at least one block, whose tensors share a row of scalars, so that the row is read once. The tensors are
 * all float32, or all not.
 */
typedef void spd4j_update_kernel(const spd4j_table *table, int64_t begin, int64_t end);
/* The next two work on the elements [begin, end) of a tensor. step: its t, for random bits. */
typedef void spd4j_project_kernel(const spd4j_tensor *t, int64_t step, float shrink, int64_t begin, int64_t end);
typedef double spd4j_grad_sq_kernel(const spd4j_tensor *t, int64_t begin, int64_t end);
/* Works on whole arrays. */
typedef void spd4j_interpolate_kernel(spd4j_weights weights, const void *from, int32_t from_type, const void *to,
                                      int32_t to_type, void *dst, int32_t dst_type, int64_t numel);

#define SPD4J_DECLARE(tier)                                                   \
  extern spd4j_update_kernel *const spd4j_update_##tier[SPD4J_RULE_COUNT][2]; \
  spd4j_project_kernel spd4j_project_##tier;                                  \
  spd4j_grad_sq_kernel spd4j_grad_sq_##tier;                                  \
  spd4j_interpolate_kernel spd4j_interpolate_##tier;

SPD4J_DECLARE(baseline)
SPD4J_DECLARE(v3)
SPD4J_DECLARE(v4)

/* Makes SPD's decision on a tensor from the sums of its blocks, and returns the shrink. */
float spd4j_decide(const spd4j_sums *sums, int64_t blocks, const spd4j_scalars *k, spd4j_decision *decision);

#endif
