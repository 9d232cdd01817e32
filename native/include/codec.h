/*
 * How elements are stored: conversions between float32, which the steps compute in, and the types of the arrays. Integer
 * operations and single rounded float operations only, so that the bits are the same everywhere (native/NUMERICS.md).
 * No float operation's result is used under a condition, and 32-bit conditions choose 32-bit values: so that compilers
 * vectorize for every tier.
 */
#ifndef SPD4J_CODEC_H
#define SPD4J_CODEC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "rounding.h"
#include "spd4j.h"

#define SPD4J_ABSOLUTE 0x7fffffffu
#define SPD4J_INFINITY 0x7f800000u

SPD4J_FN uint32_t spd4j_bits(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
#endif
}

SPD4J_FN float spd4j_float(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
#endif
}

SPD4J_FN float spd4j_from_bfloat16(uint16_t x) { return spd4j_float((uint32_t)x << 16); }

/* Exact, subnormals too. */
SPD4J_FN float spd4j_from_float16(uint16_t x) {
  const uint32_t magnitude = (uint32_t)(x & 0x7fff) << 13;
  const float scaled = spd4j_mul(spd4j_float(magnitude), 0x1p112f);
  const uint32_t infinite = magnitude >= 0x0f800000u ? SPD4J_INFINITY : 0;
  return spd4j_float(spd4j_bits(scaled) | infinite | (uint32_t)(x & 0x8000) << 16);
}

/*
 * A float32 in two halves: high is its nearest bfloat16 (ties away from 0), and both together are its bits, those of
 * infinities and NaNs too.
 */
SPD4J_FN float spd4j_join(uint16_t high, int16_t low) {
  return spd4j_float(((uint32_t)high << 16) + (uint32_t)(int32_t)low);
}
SPD4J_FN uint16_t spd4j_high(float x) { return (uint16_t)((spd4j_bits(x) + 0x8000u) >> 16); }
SPD4J_FN int16_t spd4j_low(float x) { return (int16_t)(uint16_t)spd4j_bits(x); }

/*
 * Rounds to one of the two neighbours, to the larger in magnitude with the probability that makes the mean exact. The low
 * 16 bits of random count.
 */
SPD4J_FN uint16_t spd4j_to_bfloat16(float x, uint32_t random) {
  const uint32_t bits = spd4j_bits(x);
  const uint32_t rounded = (bits + (random & 0xffffu)) >> 16;
  return (uint16_t)((bits & SPD4J_ABSOLUTE) > SPD4J_INFINITY ? 0x7fc0u : rounded);
}

/*
 * Likewise; the low 13 bits of random count. Below 2^-14 the neighbours are multiples of 2^-24: that part of a number,
 * in such units, and the rest are added.
 */
SPD4J_FN uint16_t spd4j_to_float16(float x, uint32_t random) {
  const uint32_t bits = spd4j_bits(x), magnitude = bits & SPD4J_ABSOLUTE, normal = 0x38800000u; /* 2^-14 */
  const uint32_t small = magnitude < normal ? magnitude : normal, rest = magnitude > normal ? magnitude - normal : 0;
  /* 2^23 + |x| 2^37 has |x| in units of 2^-37 as its mantissa. */
  const uint32_t units = spd4j_bits(spd4j_add(spd4j_mul(spd4j_float(small), 0x1p37f), 0x1p23f)) - 0x4b000000u;
  const uint32_t finite = (units + rest + (random & 0x1fffu)) >> 13;
  const uint32_t rounded = (finite < 0x7c00u ? finite : 0x7c00u) | (bits >> 16 & 0x8000u);
  const uint32_t nan = magnitude > SPD4J_INFINITY ? ~0u : 0;
  return (uint16_t)((rounded & ~nan) | (0x7e00u & nan));
}

/* Rounds to the nearest neighbour; of two that are equally near, to the one whose lowest bit is 0. */
SPD4J_FN uint16_t spd4j_nearest_bfloat16(float x) {
  return spd4j_to_bfloat16(x, 0x7fffu + (spd4j_bits(x) >> 16 & 1u));
}

/* Likewise. Below 2^-14, adding 0.5 rounds to a multiple of 2^-24. */
SPD4J_FN uint16_t spd4j_nearest_float16(float x) {
  const uint32_t bits = spd4j_bits(x), magnitude = bits & SPD4J_ABSOLUTE, normal = 0x38800000u; /* 2^-14 */
  const uint32_t small = magnitude < normal ? magnitude : normal, rest = magnitude - small;
  const uint32_t units = spd4j_bits(spd4j_add(spd4j_float(small), 0.5f)) - 0x3f000000u;
  const uint32_t finite = units + ((rest + 0xfffu + (rest >> 13 & 1u)) >> 13);
  const uint32_t rounded = (finite < 0x7c00u ? finite : 0x7c00u) | (bits >> 16 & 0x8000u);
  const uint32_t nan = magnitude > SPD4J_INFINITY ? ~0u : 0;
  return (uint16_t)((rounded & ~nan) | (0x7e00u & nan));
}

/*
 * 8-bit moments: a code for each element of a group, and the group's scale. The group is SPD4J_SCALE_GROUP elements, and
 * largest is the largest of their bits without sign, in which infinity and NaN are the largest of all. One of these in a
 * group makes the group NaN: codes of 0, and a scale that is NaN.
 *
 * First moment: m = code * scale, where the code is from -127 to 127 and the scale is a 127th of the largest magnitude.
 * Codes are rounded to nearest.
 */
typedef struct spd4j_first_coder {
  float scale;
  float inverse; /* 1 / scale */
  uint32_t mask; /* 255; 0 for a group that is NaN */
} spd4j_first_coder;

SPD4J_FN spd4j_first_coder spd4j_first_coder_of(uint32_t largest) {
  const bool finite = largest < SPD4J_INFINITY;
  const float exact = spd4j_mul(spd4j_float(finite ? largest : 0), 1.0f / 127);
  const float scale = exact > 0x1p-100f ? exact : 0x1p-100f; /* so that the inverse is finite */
  const spd4j_first_coder coder = {finite ? scale : spd4j_float(0x7fc00000u), spd4j_div(1, scale), finite ? 255u : 0u};
  return coder;
}

SPD4J_FN uint32_t spd4j_to_first(spd4j_first_coder coder, float m) {
  /* The sum is rounded to a whole number x, and the low byte of its bits is x in two's complement. */
  return spd4j_bits(spd4j_add(spd4j_mul(m, coder.inverse), 0x1.8p23f)) & coder.mask;
}

/* The float 2^23 + x has x as its lowest bits; here x is the code and 128. */
SPD4J_FN float spd4j_from_first(float scale, uint32_t code) {
  return spd4j_mul(spd4j_sub(spd4j_float(code ^ 0x4b000080u), 0x1.0001p23f), scale);
}

/*
 * Second moment: bits(v) = bits(scale) - code * 2^19, where the scale is the largest v. So there are 16 codes for each
 * factor of 2, and the last one is about 2^-16 of the largest: smaller v are taken for that, and the update becomes
 * smaller, not larger. Codes are rounded stochastically, but with one draw for the whole group, which costs nothing:
 * v changes by a thousandth in a step, and rounded to nearest it would stick to its ratio to the largest. No square root
 * is needed.
 */
typedef struct spd4j_second_coder {
  uint32_t scale; /* its bits */
  uint32_t from;  /* scale and the draw, from 0 to 2^19 - 1 */
  uint32_t mask;
} spd4j_second_coder;

/* word: the random word of the group's first element, of which the upper 19 bits count. */
SPD4J_FN spd4j_second_coder spd4j_second_coder_of(uint32_t largest, uint32_t word) {
  const bool finite = largest < SPD4J_INFINITY;
  const uint32_t least = 0x08000000u; /* so that no code leads below 0 */
  const uint32_t scale = !finite ? 0x7fc00000u : largest == 0 || largest > least ? largest : least;
  const spd4j_second_coder coder = {scale, scale + (word >> 13), finite ? 255u : 0u};
  return coder;
}

SPD4J_FN uint32_t spd4j_to_second(spd4j_second_coder coder, float v) {
  const uint32_t code = (coder.from - spd4j_bits(v)) >> 19;
  return (code < 255 ? code : 255) & coder.mask;
}

SPD4J_FN float spd4j_from_second(uint32_t scale, uint32_t code) { return spd4j_float(scale - (code << 19)); }

#endif
