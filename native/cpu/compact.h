/*
 * The fast path for the tensors that take the least memory: parameters that are float32 in two halves, gradient and
 * anchor bfloat16, moments in 8 bits. Everything else that is not float32 goes through tile.h.
 *
 * Two things make it faster than tiles (bench/TUNING.md has the times):
 * - Two neighbours of 16 bits are read as one pair, of which the even element is a shift away and the odd one a mask:
 *   neither widening nor packing. So a row has its even elements first, and then its odd ones.
 * - An element is stepped in two loops. The first waits for square roots, the second for divisions. In one loop, the
 *   wait for both is longer than what a CPU can look ahead. Between the two, the scales of the new moments are known.
 */
#ifndef SPD4J_COMPACT_H
#define SPD4J_COMPACT_H

#include <string.h>

#include "element.h"
#include "tile.h"

/* Rows that are stepped at a time. */
enum { SPD4J_COMPACT_ROWS = 4, SPD4J_COMPACT_CHUNK = SPD4J_COMPACT_ROWS * SPD4J_LANES, SPD4J_PAIRS = SPD4J_LANES / 2 };

_Static_assert(SPD4J_LANES == SPD4J_SCALE_GROUP, "a row is a group of 8-bit moments");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the even element of a pair is in its low half");

/* Two neighbouring elements of 16 bits, and of 8. */
typedef uint32_t __attribute__((aligned(2), may_alias)) spd4j_pair;
typedef uint16_t __attribute__((aligned(1), may_alias)) spd4j_code_pair;

/* The arrays of a tensor from some row on. */
typedef struct spd4j_compact_arrays {
  spd4j_pair *high, *low;
  const spd4j_pair *grad, *anchor;
  spd4j_code_pair *first, *second;
} spd4j_compact_arrays;

/* Of a row: the new moments before they are rounded, the square roots, and the largest moments (codec.h). */
typedef struct spd4j_compact_row {
  _Alignas(64) float exp_avg[SPD4J_LANES];
  float exp_avg_sq[SPD4J_LANES];
  float root[SPD4J_LANES];
  uint32_t largest_first, largest_second;
} spd4j_compact_row;

SPD4J_INLINE float spd4j_even(spd4j_pair x) { return spd4j_float(x << 16); }
SPD4J_INLINE float spd4j_odd(spd4j_pair x) { return spd4j_float(x & 0xffff0000u); }

/* spd4j_join of both elements. */
SPD4J_INLINE float spd4j_even_param(spd4j_pair high, spd4j_pair low) {
  return spd4j_float((high << 16) + (uint32_t)((int32_t)(low << 16) >> 16));
}
SPD4J_INLINE float spd4j_odd_param(spd4j_pair high, spd4j_pair low) {
  return spd4j_float((high & 0xffff0000u) + (uint32_t)((int32_t)low >> 16));
}

/* spd4j_high and spd4j_low of both elements. */
SPD4J_INLINE spd4j_pair spd4j_high_pair(float even, float odd) {
  return (spd4j_bits(even) + 0x8000u) >> 16 | ((spd4j_bits(odd) + 0x8000u) & 0xffff0000u);
}
SPD4J_INLINE spd4j_pair spd4j_low_pair(float even, float odd) {
  return (spd4j_bits(even) & 0xffffu) | spd4j_bits(odd) << 16;
}

/* The larger bits without sign. */
SPD4J_INLINE uint32_t spd4j_larger(float x, float y) {
  const uint32_t x_bits = spd4j_bits(x) & SPD4J_ABSOLUTE, y_bits = spd4j_bits(y) & SPD4J_ABSOLUTE;
  return x_bits > y_bits ? x_bits : y_bits;
}

/* The first loop. */
SPD4J_INLINE void spd4j_compact_moments(int32_t rule, bool anchored, spd4j_compact_arrays a, float first_scale,
                                        uint32_t second_scale, spd4j_scalars k, spd4j_compact_row *to) {
  uint32_t first = 0, second = 0;
  SPD4J_INDEPENDENT
  for (int j = 0; j < SPD4J_PAIRS; j++) {
    const uint32_t m = a.first[j], v = a.second[j];
    spd4j_element even = {spd4j_even_param(a.high[j], a.low[j]), spd4j_even(a.grad[j]),
                          anchored ? spd4j_even(a.anchor[j]) : 0.0f, spd4j_from_first(first_scale, m & 255),
                          spd4j_from_second(second_scale, v & 255), 0};
    spd4j_element odd = {spd4j_odd_param(a.high[j], a.low[j]), spd4j_odd(a.grad[j]),
                         anchored ? spd4j_odd(a.anchor[j]) : 0.0f, spd4j_from_first(first_scale, m >> 8),
                         spd4j_from_second(second_scale, v >> 8), 0};
    to->root[j] = spd4j_step_moments(rule, false, &k, &even);
    to->exp_avg[j] = even.exp_avg;
    to->exp_avg_sq[j] = even.exp_avg_sq;
    to->root[j + SPD4J_PAIRS] = spd4j_step_moments(rule, false, &k, &odd);
    to->exp_avg[j + SPD4J_PAIRS] = odd.exp_avg;
    to->exp_avg_sq[j + SPD4J_PAIRS] = odd.exp_avg_sq;
    const uint32_t pair_first = spd4j_larger(even.exp_avg, odd.exp_avg);
    const uint32_t pair_second = spd4j_larger(even.exp_avg_sq, odd.exp_avg_sq);
    first = first > pair_first ? first : pair_first;
    second = second > pair_second ? second : pair_second;
  }
  to->largest_first = first;
  to->largest_second = second;
}

SPD4J_INLINE void spd4j_compact_add(spd4j_lanes sums, int lane, spd4j_terms terms) {
  sums.grad_dot[lane] = spd4j_add(sums.grad_dot[lane], terms.grad_dot);
  sums.dev_sq[lane] = spd4j_add(sums.dev_sq[lane], terms.dev_sq);
  sums.new_dev_sq[lane] = spd4j_add(sums.new_dev_sq[lane], terms.new_dev_sq);
}

/* The second loop. */
SPD4J_INLINE void spd4j_compact_params(int32_t rule, bool anchored, spd4j_compact_arrays a, spd4j_scalars k,
                                       const spd4j_compact_row *from, spd4j_lanes sums) {
  SPD4J_INDEPENDENT
  for (int j = 0; j < SPD4J_PAIRS; j++) {
    spd4j_element even = {spd4j_even_param(a.high[j], a.low[j]), spd4j_even(a.grad[j]),
                          anchored ? spd4j_even(a.anchor[j]) : 0.0f, from->exp_avg[j], 0, 0};
    spd4j_element odd = {spd4j_odd_param(a.high[j], a.low[j]), spd4j_odd(a.grad[j]),
                         anchored ? spd4j_odd(a.anchor[j]) : 0.0f, from->exp_avg[j + SPD4J_PAIRS], 0, 0};
    const spd4j_terms even_terms = spd4j_step_param(rule, &k, from->root[j], &even);
    const spd4j_terms odd_terms = spd4j_step_param(rule, &k, from->root[j + SPD4J_PAIRS], &odd);
    a.high[j] = spd4j_high_pair(even.param, odd.param);
    a.low[j] = spd4j_low_pair(even.param, odd.param);
    if (!spd4j_rule_decides(rule)) continue;
    spd4j_compact_add(sums, j, even_terms);
    spd4j_compact_add(sums, j + SPD4J_PAIRS, odd_terms);
  }
}

SPD4J_INLINE void spd4j_compact_write(spd4j_compact_arrays a, spd4j_first_coder first, spd4j_second_coder second,
                                      const spd4j_compact_row *from) {
  SPD4J_INDEPENDENT
  for (int j = 0; j < SPD4J_PAIRS; j++)
    a.first[j] = (uint16_t)(spd4j_to_first(first, from->exp_avg[j]) |
                            spd4j_to_first(first, from->exp_avg[j + SPD4J_PAIRS]) << 8);
  SPD4J_INDEPENDENT
  for (int j = 0; j < SPD4J_PAIRS; j++)
    a.second[j] = (uint16_t)(spd4j_to_second(second, from->exp_avg_sq[j]) |
                             spd4j_to_second(second, from->exp_avg_sq[j + SPD4J_PAIRS]) << 8);
}

SPD4J_INLINE spd4j_compact_arrays spd4j_compact_at(const spd4j_tensor *t, int64_t i) {
  const spd4j_compact_arrays a = {(spd4j_pair *)((char *)t->param + 2 * i),
                                  (spd4j_pair *)((char *)t->param_low + 2 * i),
                                  (const spd4j_pair *)((const char *)t->grad + 2 * i),
                                  t->anchor ? (const spd4j_pair *)((const char *)t->anchor + 2 * i) : NULL,
                                  (spd4j_code_pair *)((char *)t->exp_avg + i),
                                  (spd4j_code_pair *)((char *)t->exp_avg_sq + i)};
  return a;
}

/* Sorts lanes, of which the even ones come first. */
static __attribute__((noinline, unused)) void spd4j_compact_sort(float *lanes) {
  float sorted[SPD4J_LANES];
  for (int j = 0; j < SPD4J_PAIRS; j++) {
    sorted[2 * j] = lanes[j];
    sorted[2 * j + 1] = lanes[j + SPD4J_PAIRS];
  }
  memcpy(lanes, sorted, sizeof sorted);
}

/* Steps the chunks of a block of such a tensor, and returns how many elements that were: 0 for another tensor. */
SPD4J_INLINE int64_t spd4j_compact(int32_t rule, bool anchored, const spd4j_tensor *t, spd4j_scalars k, int64_t begin,
                                   int64_t end, spd4j_lanes sums) {
  if (!t->param_low || t->grad_type != SPD4J_TYPE_BFLOAT16 || t->moment_type != SPD4J_MOMENTS_8BIT ||
      (anchored && t->anchor_type != SPD4J_TYPE_BFLOAT16))
    return 0;
  const int64_t n = (end - begin) / SPD4J_COMPACT_CHUNK * SPD4J_COMPACT_CHUNK;
  const spd4j_words words = spd4j_words_at(t, k.step, begin, SPD4J_USE_MOMENTS);
  float *first_scales = spd4j_scales(t->exp_avg, t->numel), *second_scales = spd4j_scales(t->exp_avg_sq, t->numel);
  spd4j_compact_row rows[SPD4J_COMPACT_ROWS];
  spd4j_first_coder first[SPD4J_COMPACT_ROWS];
  spd4j_second_coder second[SPD4J_COMPACT_ROWS];
  for (int64_t at = begin; at < begin + n; at += SPD4J_COMPACT_CHUNK) {
    float *first_scale = first_scales + at / SPD4J_SCALE_GROUP, *second_scale = second_scales + at / SPD4J_SCALE_GROUP;
    for (int r = 0; r < SPD4J_COMPACT_ROWS; r++) {
      const int64_t i = at + r * SPD4J_LANES;
      spd4j_prefetch((const uint16_t *)t->param + i, SPD4J_LANES, 2);
      spd4j_prefetch((const uint16_t *)t->param_low + i, SPD4J_LANES, 2);
      spd4j_prefetch((const uint16_t *)t->grad + i, SPD4J_LANES, 2);
      if (anchored) spd4j_prefetch((const uint16_t *)t->anchor + i, SPD4J_LANES, 2);
      spd4j_prefetch((const uint8_t *)t->exp_avg + i, SPD4J_LANES, 1);
      spd4j_prefetch((const uint8_t *)t->exp_avg_sq + i, SPD4J_LANES, 1);
      spd4j_compact_moments(rule, anchored, spd4j_compact_at(t, i), first_scale[r], spd4j_bits(second_scale[r]), k,
                            &rows[r]);
    }
    for (int r = 0; r < SPD4J_COMPACT_ROWS; r++) {
      first[r] = spd4j_first_coder_of(rows[r].largest_first);
      second[r] = spd4j_second_coder_of(rows[r].largest_second,
                                        spd4j_word(words, (uint32_t)(at - begin) + (uint32_t)(r * SPD4J_LANES)));
    }
    for (int r = 0; r < SPD4J_COMPACT_ROWS; r++) {
      const spd4j_compact_arrays a = spd4j_compact_at(t, at + r * SPD4J_LANES);
      spd4j_compact_params(rule, anchored, a, k, &rows[r], sums);
      spd4j_compact_write(a, first[r], second[r], &rows[r]);
      first_scale[r] = first[r].scale;
      second_scale[r] = spd4j_float(second[r].scale);
    }
  }
  if (spd4j_rule_decides(rule)) {
    spd4j_compact_sort(sums.grad_dot);
    spd4j_compact_sort(sums.dev_sq);
    spd4j_compact_sort(sums.new_dev_sq);
  }
  return n;
}

/* Projects n pairs of parameters. */
SPD4J_INLINE void spd4j_project_pairs(spd4j_pair *high, spd4j_pair *low, const spd4j_pair *anchor, float shrink,
                                      int64_t n) {
  SPD4J_INDEPENDENT
  for (int64_t j = 0; j < n; j++) {
    const spd4j_pair a = anchor ? anchor[j] : 0;
    const float even = spd4j_project_element(shrink, spd4j_even_param(high[j], low[j]), spd4j_even(a));
    const float odd = spd4j_project_element(shrink, spd4j_odd_param(high[j], low[j]), spd4j_odd(a));
    high[j] = spd4j_high_pair(even, odd);
    low[j] = spd4j_low_pair(even, odd);
  }
}

/* Projects the pairs of a block of a tensor, and returns how many elements that were: 0 if it has other types. */
SPD4J_INLINE int64_t spd4j_compact_project(const spd4j_tensor *t, float shrink, int64_t begin, int64_t end) {
  if (!t->param_low || (t->anchor && t->anchor_type != SPD4J_TYPE_BFLOAT16)) return 0;
  spd4j_pair *high = (spd4j_pair *)((char *)t->param + 2 * begin);
  spd4j_pair *low = (spd4j_pair *)((char *)t->param_low + 2 * begin);
  const int64_t pairs = (end - begin) / 2;
  if (t->anchor)
    spd4j_project_pairs(high, low, (const spd4j_pair *)((const char *)t->anchor + 2 * begin), shrink, pairs);
  else
    spd4j_project_pairs(high, low, NULL, shrink, pairs);
  return 2 * pairs;
}

#endif
