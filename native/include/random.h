/*
 * Random bits for stochastic rounding. They are a hash of the tensor's key (which Java makes from the seed and the
 * parameter's name), the step, the index of the element in the whole tensor, and what they are for. So they do not
 * depend on threads, shards, vector widths or launches.
 *
 * The mixing functions: Steele, Lea, Flood, OOPSLA 2014 (SplitMix64); Wellons, "Hash function prospector" (lowbias32).
 */
#ifndef SPD4J_RANDOM_H
#define SPD4J_RANDOM_H

#include <stdint.h>

#include "rounding.h"

/* What random bits are for. An element gets one word of 32 bits for each of them in each step. */
typedef enum spd4j_use {
  SPD4J_USE_UPDATE = 0,  /* rounds the parameter after the update */
  SPD4J_USE_PROJECT = 1, /* rounds the parameter after SPD's projection */
  SPD4J_USE_MOMENTS = 2  /* bfloat16: low half for the first, high half for the others; 8 bits: upper 19 for a group */
} spd4j_use;

/* The random words of a block for one use. */
typedef struct spd4j_words {
  uint32_t k1;
  uint32_t k2;
} spd4j_words;

SPD4J_FN uint64_t spd4j_mix(uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ x >> 27) * 0x94d049bb133111ebull;
  return x ^ x >> 31;
}

/* block: the index of the block in the whole tensor. */
SPD4J_FN spd4j_words spd4j_words_of(uint64_t key, int64_t step, int64_t block, spd4j_use use) {
  const uint64_t x = spd4j_mix(spd4j_mix(key + (uint64_t)step * 0x9e3779b97f4a7c15ull) + 4 * (uint64_t)block + use);
  const spd4j_words words = {(uint32_t)x, (uint32_t)(x >> 32)};
  return words;
}

/* The word of the block's element i. */
SPD4J_FN uint32_t spd4j_word(spd4j_words words, uint32_t i) {
  uint32_t x = i ^ words.k1;
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) + words.k2;
  x *= 0x846ca68bu;
  return x ^ x >> 16;
}

#endif
