/*
 * Adam's step with each of the decay rules. The equations and the papers are in element.h and rules.h. For SPD this is
 * the first pass, which also takes three sums of each block; project.c is the second, once a tensor is decided on.
 */
#include "compact.h"
#include "element.h"
#include "tile.h"

/*
 * AHEAD: how many elements ahead of the current one are prefetched. Hardware prefetches no further than the end of a
 * 4 KB page, and less far with this many arrays. Prefetching past the end of an array is safe: a prefetch never faults.
 */
enum { AHEAD = 256, CACHE_LINE = 64 };

SPD4J_FOLD(fold, float)

SPD4J_INLINE void prefetch_array(const float *array) {
  const uintptr_t from = (uintptr_t)array + AHEAD * sizeof(float);
  for (uintptr_t at = from; at < from + SPD4J_LANES * sizeof(float); at += CACHE_LINE)
    __builtin_prefetch((const void *)at);
}

/* Prefetches a row of each array that a step reads. */
SPD4J_INLINE void prefetch(bool anchored, bool amsgrad, const spd4j_arrays *a) {
  prefetch_array(a->param);
  prefetch_array(a->grad);
  if (anchored) prefetch_array(a->anchor);
  prefetch_array(a->exp_avg);
  prefetch_array(a->exp_avg_sq);
  if (amsgrad) prefetch_array(a->max_exp_avg_sq);
}

/* Steps up to LANES elements; element l adds to lane l of each sum. */
SPD4J_INLINE void row(int32_t rule, bool anchored, bool amsgrad, bool ahead, spd4j_arrays a, spd4j_scalars k,
                      int64_t n, spd4j_lanes sums) {
  if (ahead) prefetch(anchored, amsgrad, &a);
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) {
    spd4j_element e = {a.param[l],   a.grad[l],       anchored ? a.anchor[l] : 0.0f,
                       a.exp_avg[l], a.exp_avg_sq[l], amsgrad ? a.max_exp_avg_sq[l] : 0.0f};
    const spd4j_terms terms = spd4j_step_element(rule, amsgrad, &k, &e);
    a.param[l] = e.param;
    a.exp_avg[l] = e.exp_avg;
    a.exp_avg_sq[l] = e.exp_avg_sq;
    if (amsgrad) a.max_exp_avg_sq[l] = e.max_exp_avg_sq;
    if (!spd4j_rule_decides(rule)) continue;
    sums.grad_dot[l] = spd4j_add(sums.grad_dot[l], terms.grad_dot);
    sums.dev_sq[l] = spd4j_add(sums.dev_sq[l], terms.dev_sq);
    sums.new_dev_sq[l] = spd4j_add(sums.new_dev_sq[l], terms.new_dev_sq);
  }
}

/* Steps n elements, and adds to the lanes from lane 0 on. */
SPD4J_INLINE void elements(int32_t rule, bool anchored, bool amsgrad, bool ahead, spd4j_arrays a, spd4j_scalars k,
                           int64_t n, spd4j_lanes sums) {
  for (; n >= SPD4J_LANES; n -= SPD4J_LANES, a = spd4j_advance(a, SPD4J_LANES))
    row(rule, anchored, amsgrad, ahead, a, k, SPD4J_LANES, sums);
  if (n > 0) row(rule, anchored, amsgrad, ahead, a, k, n, sums);
}

/* Likewise of a tensor that has other types than float32: the elements [begin, end), which are one block. */
SPD4J_INLINE void tiles(int32_t rule, bool anchored, bool amsgrad, const spd4j_tensor *t, spd4j_scalars k,
                        int64_t begin, int64_t end, spd4j_lanes sums) {
  spd4j_floats param, grad, anchor;
  spd4j_moments moments;
  const spd4j_words words = spd4j_words_at(t, k.step, begin, SPD4J_USE_UPDATE);
  const spd4j_words moment_words = spd4j_words_at(t, k.step, begin, SPD4J_USE_MOMENTS);
  const int64_t from = begin + (amsgrad ? 0 : spd4j_compact(rule, anchored, t, k, begin, end, sums));
  for (int64_t at = from, n; at < end; at += n) {
    n = end - at < SPD4J_TILE ? end - at : SPD4J_TILE;
    spd4j_arrays a;
    a.param = spd4j_read_param(t, at, n, &param);
    a.grad = spd4j_read(t->grad_type, t->grad, at, n, &grad);
    a.anchor = anchored ? spd4j_read(t->anchor_type, t->anchor, at, n, &anchor) : a.param;
    spd4j_read_moments(t, amsgrad, at, n, &moments, &a);
    elements(rule, anchored, amsgrad, false, a, k, n, sums);
    spd4j_write_param(t, at, n, &param, words, at - begin);
    spd4j_write_moments(t, amsgrad, at, n, &moments, moment_words, at - begin);
  }
}

/* Steps a block, of float32 arrays or not. */
SPD4J_INLINE void block(int32_t rule, bool anchored, bool amsgrad, bool is_float32, const spd4j_tensor *t,
                        spd4j_scalars k, const spd4j_block *b, spd4j_sums *sums) {
  float grad_dot[SPD4J_LANES] = {0}, dev_sq[SPD4J_LANES] = {0}, new_dev_sq[SPD4J_LANES] = {0};
  const spd4j_lanes to = {grad_dot, dev_sq, new_dev_sq};
  if (is_float32)
    elements(rule, anchored, amsgrad, true, spd4j_arrays_at(t, b->begin), k, b->end - b->begin, to);
  else
    tiles(rule, anchored, amsgrad, t, k, b->begin, b->end, to);
  if (!spd4j_rule_decides(rule)) return;
  sums->grad_dot = fold(grad_dot);
  sums->dev_sq = fold(dev_sq);
  sums->new_dev_sq = fold(new_dev_sq);
}

/* Calls block() with constant flags, so that its loops have no branches. */
SPD4J_INLINE void dispatch(int32_t rule, bool is_float32, const spd4j_table *table, spd4j_scalars k, int64_t i) {
  const spd4j_block *b = &table->blocks[i];
  const spd4j_tensor *t = &table->tensors[b->tensor];
  const bool anchored = spd4j_rule_is_anchored(rule) && t->anchor, amsgrad = t->max_exp_avg_sq;
  if (anchored && amsgrad)
    block(rule, true, true, is_float32, t, k, b, &table->sums[i]);
  else if (anchored)
    block(rule, true, false, is_float32, t, k, b, &table->sums[i]);
  else if (amsgrad)
    block(rule, false, true, is_float32, t, k, b, &table->sums[i]);
  else
    block(rule, false, false, is_float32, t, k, b, &table->sums[i]);
}

/* Steps the blocks of a run. */
SPD4J_INLINE void run(int32_t rule, bool is_float32, const spd4j_table *table, int64_t begin, int64_t end) {
  const spd4j_scalars k = table->scalars[table->tensors[table->blocks[begin].tensor].scalars];
  for (int64_t i = begin; i < end; i++) dispatch(rule, is_float32, table, k, i);
}

/* Two functions, so that other types cost float32 neither registers nor stack. */
#define UPDATE(rule)                                                                      \
  static void rule(const spd4j_table *table, int64_t begin, int64_t end) {                \
    run(SPD4J_RULE_##rule, true, table, begin, end);                                      \
  }                                                                                       \
  static void rule##_typed(const spd4j_table *table, int64_t begin, int64_t end) {        \
    run(SPD4J_RULE_##rule, false, table, begin, end);                                     \
  }
SPD4J_RULES(UPDATE)

#define ENTRY(rule) {rule##_typed, rule},
spd4j_update_kernel *const SPD4J_KERNEL(update)[SPD4J_RULE_COUNT][2] = {SPD4J_RULES(ENTRY)};
