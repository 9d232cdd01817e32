/*
 * Arrays of other types than float32. Their elements are converted to floats a tile at a time, stepped as float32 arrays
 * are, and converted back. Tiles stay in the first-level cache. A float32 array among them is used where it lies.
 *
 * The conversions are functions of their own, which the kernels of all rules share: a step calls each once a tile.
 */
#ifndef SPD4J_TILE_H
#define SPD4J_TILE_H

#include "codec.h"
#include "kernels.h"
#include "random.h"

/* Elements of a tile: whole rows of lanes, and whole groups of 8-bit moments. */
enum { SPD4J_TILE = 256 };

#define SPD4J_SHARED static __attribute__((noinline, unused))

/* How far ahead of a tile its arrays are prefetched, in tiles. */
enum { SPD4J_TILES_AHEAD = 1 };

/* A tile of one array. */
typedef struct spd4j_floats {
  _Alignas(64) float values[SPD4J_TILE];
} spd4j_floats;

typedef struct spd4j_randoms {
  _Alignas(64) uint32_t words[SPD4J_TILE];
} spd4j_randoms;

/* The words of the elements from i on of a block. */
SPD4J_SHARED void spd4j_draw(spd4j_words words, int64_t i, int64_t n, spd4j_randoms *randoms) {
  uint32_t *to = randoms->words;
  const uint32_t first = (uint32_t)i;
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = spd4j_word(words, first + (uint32_t)l);
}

SPD4J_SHARED void spd4j_read_bfloat16(const uint16_t *from, int64_t n, float *to) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = spd4j_from_bfloat16(from[l]);
}

SPD4J_SHARED void spd4j_read_float16(const uint16_t *from, int64_t n, float *to) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = spd4j_from_float16(from[l]);
}

SPD4J_SHARED void spd4j_read_split(const uint16_t *high, const int16_t *low, int64_t n, float *to) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = spd4j_join(high[l], low[l]);
}

/* shift: 0 if the low half of a word counts, 16 for the high half. */
SPD4J_SHARED void spd4j_write_bfloat16(const float *from, const spd4j_randoms *randoms, int shift, int64_t n,
                                       uint16_t *to) {
  const uint32_t *words = randoms->words;
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = spd4j_to_bfloat16(from[l], words[l] >> shift);
}

SPD4J_SHARED void spd4j_write_float16(const float *from, const spd4j_randoms *randoms, int64_t n, uint16_t *to) {
  const uint32_t *words = randoms->words;
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = spd4j_to_float16(from[l], words[l]);
}

SPD4J_SHARED void spd4j_write_split(const float *from, int64_t n, uint16_t *high, int16_t *low) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) {
    high[l] = spd4j_high(from[l]);
    low[l] = spd4j_low(from[l]);
  }
}

/* The scales of an array of 8-bit moments. */
SPD4J_INLINE float *spd4j_scales(const void *array, int64_t numel) {
  return (float *)(void *)((char *)array + (numel + 3) / 4 * 4);
}

/* A group: n elements, all but the last one of a tensor a constant number, so that its loops are unrolled. */
#define SPD4J_GROUPS(n, group)                                                        \
  for (int64_t at = 0, left; (left = (n) - at) > 0; at += SPD4J_SCALE_GROUP)          \
    if (left >= SPD4J_SCALE_GROUP)                                                    \
      group(SPD4J_SCALE_GROUP);                                                       \
    else                                                                              \
      group(left)

SPD4J_INLINE void spd4j_read_first_group(const uint8_t *from, float scale, int64_t n, float *to) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = spd4j_from_first(scale, from[l]);
}

SPD4J_INLINE void spd4j_read_second_group(const uint8_t *from, float scale, int64_t n, float *to) {
  const uint32_t bits = spd4j_bits(scale);
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = spd4j_from_second(bits, from[l]);
}

SPD4J_SHARED void spd4j_read_first(const uint8_t *from, const float *scales, int64_t n, float *to) {
#define GROUP(n) spd4j_read_first_group(from + at, scales[at / SPD4J_SCALE_GROUP], n, to + at)
  SPD4J_GROUPS(n, GROUP);
#undef GROUP
}

SPD4J_SHARED void spd4j_read_second(const uint8_t *from, const float *scales, int64_t n, float *to) {
#define GROUP(n) spd4j_read_second_group(from + at, scales[at / SPD4J_SCALE_GROUP], n, to + at)
  SPD4J_GROUPS(n, GROUP);
#undef GROUP
}

/* The largest bits without sign. */
SPD4J_INLINE uint32_t spd4j_largest(const float *from, int64_t n) {
  uint32_t largest = 0;
  for (int64_t l = 0; l < n; l++) {
    const uint32_t bits = spd4j_bits(from[l]) & SPD4J_ABSOLUTE;
    largest = bits > largest ? bits : largest;
  }
  return largest;
}

SPD4J_INLINE void spd4j_write_first_group(const float *from, spd4j_first_coder coder, int64_t n, uint8_t *to) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = (uint8_t)spd4j_to_first(coder, from[l]);
}

SPD4J_INLINE void spd4j_write_second_group(const float *from, spd4j_second_coder coder, int64_t n, uint8_t *to) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = (uint8_t)spd4j_to_second(coder, from[l]);
}

/* First the maxima of all groups, then the codes, so that no group waits for its own maximum. */
SPD4J_SHARED void spd4j_write_first(const float *from, int64_t n, uint8_t *to, float *scales) {
  spd4j_first_coder coders[SPD4J_TILE / SPD4J_SCALE_GROUP];
#define GROUP(n) coders[at / SPD4J_SCALE_GROUP] = spd4j_first_coder_of(spd4j_largest(from + at, n))
  SPD4J_GROUPS(n, GROUP);
#undef GROUP
#define GROUP(n) spd4j_write_first_group(from + at, coders[at / SPD4J_SCALE_GROUP], n, to + at)
  SPD4J_GROUPS(n, GROUP);
#undef GROUP
  for (int64_t g = 0; g * SPD4J_SCALE_GROUP < n; g++) scales[g] = coders[g].scale;
}

/* words, i: as of spd4j_draw. */
SPD4J_SHARED void spd4j_write_second(const float *from, spd4j_words words, int64_t i, int64_t n, uint8_t *to,
                                     float *scales) {
  spd4j_second_coder coders[SPD4J_TILE / SPD4J_SCALE_GROUP];
#define GROUP(n)                                                                    \
  coders[at / SPD4J_SCALE_GROUP] =                                                  \
      spd4j_second_coder_of(spd4j_largest(from + at, n), spd4j_word(words, (uint32_t)(i + at)))
  SPD4J_GROUPS(n, GROUP);
#undef GROUP
#define GROUP(n) spd4j_write_second_group(from + at, coders[at / SPD4J_SCALE_GROUP], n, to + at)
  SPD4J_GROUPS(n, GROUP);
#undef GROUP
  for (int64_t g = 0; g * SPD4J_SCALE_GROUP < n; g++) scales[g] = spd4j_float(coders[g].scale);
}

/* Prefetches what lies n elements of some bytes each further on, which may be past the end: a prefetch never faults. */
SPD4J_INLINE void spd4j_prefetch(const void *at, int64_t n, int64_t bytes) {
  enum { CACHE_LINE = 64 };
  const uintptr_t from = (uintptr_t)at + (uintptr_t)(SPD4J_TILES_AHEAD * SPD4J_TILE * bytes);
  for (uintptr_t to = from; to < from + (uintptr_t)(n * bytes); to += CACHE_LINE) __builtin_prefetch((const void *)to);
}

/* The n elements from begin on, as floats: in the array itself if it is float32, else converted to the tile. */
SPD4J_SHARED float *spd4j_read(int32_t type, const void *array, int64_t begin, int64_t n, spd4j_floats *tile) {
  if (type == SPD4J_TYPE_FLOAT32) {
    float *at = (float *)array + begin;
    spd4j_prefetch(at, n, sizeof(float));
    return at;
  }
  const uint16_t *at = (const uint16_t *)array + begin;
  spd4j_prefetch(at, n, sizeof *at);
  if (type == SPD4J_TYPE_BFLOAT16)
    spd4j_read_bfloat16(at, n, tile->values);
  else
    spd4j_read_float16(at, n, tile->values);
  return tile->values;
}

/* Likewise the parameters of a tensor. */
SPD4J_SHARED float *spd4j_read_param(const spd4j_tensor *t, int64_t begin, int64_t n, spd4j_floats *tile) {
  if (!t->param_low) return spd4j_read(t->param_type, t->param, begin, n, tile);
  const uint16_t *high = (const uint16_t *)t->param + begin;
  const int16_t *low = (const int16_t *)t->param_low + begin;
  spd4j_prefetch(high, n, sizeof *high);
  spd4j_prefetch(low, n, sizeof *low);
  spd4j_read_split(high, low, n, tile->values);
  return tile->values;
}

/* Stores parameters that spd4j_read_param returned; i: the index of the first one in its block. */
SPD4J_SHARED void spd4j_write_param(const spd4j_tensor *t, int64_t begin, int64_t n, const spd4j_floats *tile,
                                    spd4j_words words, int64_t i) {
  uint16_t *param = (uint16_t *)t->param + begin;
  spd4j_randoms randoms;
  if (t->param_type == SPD4J_TYPE_FLOAT32) return;
  if (t->param_low) {
    spd4j_write_split(tile->values, n, param, (int16_t *)t->param_low + begin);
    return;
  }
  spd4j_draw(words, i, n, &randoms);
  if (t->param_type == SPD4J_TYPE_BFLOAT16)
    spd4j_write_bfloat16(tile->values, &randoms, 0, n, param);
  else
    spd4j_write_float16(tile->values, &randoms, n, param);
}

/* Tiles of a tensor's moments. */
typedef struct spd4j_moments {
  spd4j_floats exp_avg;
  spd4j_floats exp_avg_sq;
  spd4j_floats max_exp_avg_sq;
} spd4j_moments;

/* One moment, like spd4j_read. */
SPD4J_INLINE float *spd4j_read_moment(int32_t type, const void *array, int64_t begin, int64_t n, spd4j_floats *tile) {
  return spd4j_read(type == SPD4J_MOMENTS_BFLOAT16 ? SPD4J_TYPE_BFLOAT16 : SPD4J_TYPE_FLOAT32, array, begin, n, tile);
}

SPD4J_SHARED void spd4j_read_moments(const spd4j_tensor *t, bool amsgrad, int64_t begin, int64_t n,
                                     spd4j_moments *tiles, spd4j_arrays *a) {
  if (t->moment_type == SPD4J_MOMENTS_8BIT) {
    const uint8_t *m = (const uint8_t *)t->exp_avg + begin, *v = (const uint8_t *)t->exp_avg_sq + begin;
    const int64_t group = begin / SPD4J_SCALE_GROUP;
    spd4j_prefetch(m, n, sizeof *m);
    spd4j_prefetch(v, n, sizeof *v);
    spd4j_read_first(m, spd4j_scales(t->exp_avg, t->numel) + group, n, tiles->exp_avg.values);
    spd4j_read_second(v, spd4j_scales(t->exp_avg_sq, t->numel) + group, n, tiles->exp_avg_sq.values);
    a->exp_avg = tiles->exp_avg.values;
    a->exp_avg_sq = a->max_exp_avg_sq = tiles->exp_avg_sq.values;
    return;
  }
  a->exp_avg = spd4j_read_moment(t->moment_type, t->exp_avg, begin, n, &tiles->exp_avg);
  a->exp_avg_sq = spd4j_read_moment(t->moment_type, t->exp_avg_sq, begin, n, &tiles->exp_avg_sq);
  a->max_exp_avg_sq =
      amsgrad ? spd4j_read_moment(t->moment_type, t->max_exp_avg_sq, begin, n, &tiles->max_exp_avg_sq) : a->exp_avg_sq;
}

/* Stores moments that spd4j_read_moments returned; i: the index of the first one in its block. */
SPD4J_SHARED void spd4j_write_moments(const spd4j_tensor *t, bool amsgrad, int64_t begin, int64_t n,
                                      const spd4j_moments *tiles, spd4j_words words, int64_t i) {
  if (t->moment_type == SPD4J_MOMENTS_FLOAT32) return;
  if (t->moment_type == SPD4J_MOMENTS_8BIT) {
    const int64_t group = begin / SPD4J_SCALE_GROUP;
    spd4j_write_first(tiles->exp_avg.values, n, (uint8_t *)t->exp_avg + begin,
                      spd4j_scales(t->exp_avg, t->numel) + group);
    spd4j_write_second(tiles->exp_avg_sq.values, words, i, n, (uint8_t *)t->exp_avg_sq + begin,
                       spd4j_scales(t->exp_avg_sq, t->numel) + group);
    return;
  }
  spd4j_randoms randoms;
  spd4j_draw(words, i, n, &randoms);
  spd4j_write_bfloat16(tiles->exp_avg.values, &randoms, 0, n, (uint16_t *)t->exp_avg + begin);
  spd4j_write_bfloat16(tiles->exp_avg_sq.values, &randoms, 16, n, (uint16_t *)t->exp_avg_sq + begin);
  if (amsgrad)
    spd4j_write_bfloat16(tiles->max_exp_avg_sq.values, &randoms, 16, n, (uint16_t *)t->max_exp_avg_sq + begin);
}

/* The words of the block that begins at this element of a tensor, or of its shard. */
SPD4J_INLINE spd4j_words spd4j_words_at(const spd4j_tensor *t, int64_t step, int64_t begin, spd4j_use use) {
  return spd4j_words_of(t->key, step, (t->offset + begin) / SPD4J_BLOCK, use);
}

#endif
