/* The kernels of one tier, compiled once for each: SPD4J_TIER is given by the Makefile and ends every name. */
#ifndef SPD4J_KERNELS_H
#define SPD4J_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/*
 * Elements ahead of the one at work that are asked for: hardware prefetches no further than the end of a 4 KB page, and
 * not that far for as many arrays. Past the end of an array it is no access: a prefetch faults nowhere.
 */
enum { SPD4J_AHEAD = 256, SPD4J_CACHE_LINE = 64 };

SPD4J_INLINE void spd4j_prefetch_array(const float *array) {
  const uintptr_t from = (uintptr_t)array + SPD4J_AHEAD * sizeof(float);
  for (uintptr_t at = 0; at < SPD4J_LANES * sizeof(float); at += SPD4J_CACHE_LINE)
    __builtin_prefetch((const void *)(from + at));
}

/* A row of each array that a step reads. */
SPD4J_INLINE void spd4j_prefetch(bool anchored, bool amsgrad, const spd4j_arrays *a) {
  spd4j_prefetch_array(a->param);
  spd4j_prefetch_array(a->grad);
  if (anchored) spd4j_prefetch_array(a->anchor);
  spd4j_prefetch_array(a->exp_avg);
  spd4j_prefetch_array(a->exp_avg_sq);
  if (amsgrad) spd4j_prefetch_array(a->max_exp_avg_sq);
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

/*
 * A kernel from its loop over one block, step(anchored, amsgrad, arrays, scalars, n, sums). The flags are constants, so
 * there are four loops without branches.
 */
#define SPD4J_UPDATE_KERNEL(name, step)                                                                \
  void SPD4J_KERNEL(name)(const spd4j_table *table, int64_t begin, int64_t end) {                      \
    const spd4j_scalars k = table->scalars[table->tensors[table->blocks[begin].tensor].scalars];       \
    for (int64_t i = begin; i < end; i++) {                                                            \
      const spd4j_block *b = &table->blocks[i];                                                        \
      const spd4j_tensor *t = &table->tensors[b->tensor];                                              \
      const spd4j_arrays a = spd4j_arrays_at(t, b->begin);                                             \
      const int64_t n = b->end - b->begin;                                                             \
      if (t->anchor && t->max_exp_avg_sq)                                                              \
        step(true, true, a, k, n, &table->sums[i]);                                                    \
      else if (t->anchor)                                                                              \
        step(true, false, a, k, n, &table->sums[i]);                                                   \
      else if (t->max_exp_avg_sq)                                                                      \
        step(false, true, a, k, n, &table->sums[i]);                                                   \
      else                                                                                             \
        step(false, false, a, k, n, &table->sums[i]);                                                  \
    }                                                                                                  \
  }

/* The same from its loop over a row, at most LANES elements of a block: row(anchored, amsgrad, arrays, scalars, n). */
#define SPD4J_ROW_KERNEL(name, row)                                                                                   \
  SPD4J_INLINE void row##s(bool anchored, bool amsgrad, spd4j_arrays a, spd4j_scalars k, int64_t n, spd4j_sums *sums) { \
    (void)sums;                                                                                                       \
    for (; n >= SPD4J_LANES; n -= SPD4J_LANES, a = spd4j_advance(a, SPD4J_LANES))                                     \
      row(anchored, amsgrad, a, k, SPD4J_LANES);                                                                      \
    if (n > 0) row(anchored, amsgrad, a, k, n);                                                                       \
  }                                                                                                                   \
  SPD4J_UPDATE_KERNEL(name, row##s)

/*
 * The sum of all lanes. They meet in halves: lane l takes lane l + width for width = LANES / 2, ..., 2, 1. Not inlined:
 * alone it is some twenty vector instructions, within a large function compilers make single additions of it.
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

/* Updates a run of blocks, at least one, whose tensors have the same row of scalars: it is read once. */
typedef void spd4j_update_kernel(const spd4j_table *table, int64_t begin, int64_t end);
/* These work on the elements [begin, end) of a tensor. */
typedef void spd4j_project_kernel(const spd4j_tensor *t, float shrink, int64_t begin, int64_t end);
typedef double spd4j_grad_sq_kernel(const spd4j_tensor *t, int64_t begin, int64_t end);

#define SPD4J_DECLARE(tier)                            \
  spd4j_update_kernel spd4j_adamw_##tier;              \
  spd4j_update_kernel spd4j_l2sp_##tier;               \
  spd4j_update_kernel spd4j_l2sp_coupled_##tier;       \
  spd4j_update_kernel spd4j_spd_##tier;                \
  spd4j_project_kernel spd4j_spd_project_##tier;       \
  spd4j_grad_sq_kernel spd4j_grad_sq_##tier;

SPD4J_DECLARE(baseline)
SPD4J_DECLARE(v3)
SPD4J_DECLARE(v4)

/* SPD's decision about a tensor from the sums of its blocks; returns the shrink. */
float spd4j_decide(const spd4j_sums *sums, int64_t blocks, const spd4j_scalars *k, spd4j_decision *decision);

#endif
