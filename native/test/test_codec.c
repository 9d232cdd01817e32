/* Tests how elements are stored and which random bits round them, against exact arithmetic and the reference. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "model.h"
#include "random.h"
#include "reference.h"
#include "testing.h"

/* A type of 16 bits, and how many bits of a float it cuts off. */
typedef struct type16 {
  const char *name;
  int32_t type;
  int cut;
  float (*from)(uint16_t);
  uint16_t (*to)(float, uint32_t);
  uint16_t (*nearest)(float);
  uint16_t infinity, nan;
} type16;

static float from_bfloat16(uint16_t x) { return spd4j_from_bfloat16(x); }
static float from_float16(uint16_t x) { return spd4j_from_float16(x); }
static uint16_t to_bfloat16(float x, uint32_t random) { return spd4j_to_bfloat16(x, random); }
static uint16_t to_float16(float x, uint32_t random) { return spd4j_to_float16(x, random); }
static uint16_t nearest_bfloat16(float x) { return spd4j_nearest_bfloat16(x); }
static uint16_t nearest_float16(float x) { return spd4j_nearest_float16(x); }

static const type16 types16[] = {
    {"bfloat16", SPD4J_TYPE_BFLOAT16, 16, from_bfloat16, to_bfloat16, nearest_bfloat16, 0x7f80, 0x7fc0},
    {"float16", SPD4J_TYPE_FLOAT16, 13, from_float16, to_float16, nearest_float16, 0x7c00, 0x7e00},
};

static float random_bits(uint64_t *state) { return spd4j_float((uint32_t)(next_random(state) >> 32)); }

static void every_16_bit_number_is_converted_exactly(void) {
  for (int k = 0; k < 2; k++) {
    const type16 *t = &types16[k];
    for (uint32_t code = 0; code < 65536; code++) {
      const uint16_t stored = (uint16_t)code;
      const float x = t->from(stored), right = reference_get(t->type, &stored, 0);
      CHECK(isnan(right) ? isnan(x) : spd4j_bits(x) == spd4j_bits(right), "%s %04x: %a, not %a", t->name, code,
            (double)x, (double)right);
      const uint16_t kept = isnan(x) ? t->nan : stored;
      CHECK(t->nearest(x) == kept, "%s %04x becomes %04x", t->name, code, t->nearest(x));
      for (uint32_t random = 0; random < 65536; random += 257)
        CHECK(t->to(x, random) == kept, "%s %04x becomes %04x", t->name, code, t->to(x, random));
    }
  }
}

/* The number of random values that round x up in magnitude must be the part that is cut off. */
static void check_probability(const type16 *t, float x) {
  const uint32_t values = 1u << t->cut;
  const uint16_t sign = signbit(x) ? 0x8000 : 0, below = t->to(x, 0), above = (uint16_t)(below + 1);
  int64_t ups = 0;
  for (uint32_t random = 0; random < values; random++) {
    const uint16_t code = t->to(x, random);
    ups += code == above;
    if (code != below && code != above) {
      CHECK(false, "%s of %a: %04x is no neighbour", t->name, (double)x, code);
      return;
    }
  }
  CHECK(t->to(x, values - 1) == t->to(x, ~0u), "%s of %a: bits above the lowest %d count", t->name, (double)x, t->cut);
  CHECK((below & 0x8000) == sign, "%s of %a: the sign", t->name, (double)x);
  if ((below & 0x7fff) == t->infinity) { /* every value beyond the neighbour of the largest finite one */
    CHECK(ups == 0, "%s of %a", t->name, (double)x);
    return;
  }
  const double low = fabs((double)t->from(below));
  const double step = (above & 0x7fff) == t->infinity ? low - fabs((double)t->from((uint16_t)(below - 1)))
                                                      : fabs((double)t->from(above)) - low;
  const double part = (fabs((double)x) - low) / step * values;
  /* float16 has subnormals where a float has more bits than are cut off. */
  CHECK((double)ups == rint(part), "%s of %a: %lld of %u up, not %g", t->name, (double)x, (long long)ups, values, part);
  if (part == rint(part)) CHECK((double)ups == part, "%s of %a", t->name, (double)x);
}

static void rounding_takes_a_neighbour_with_the_exact_probability(void) {
  uint64_t random = 3;
  for (int k = 0; k < 2; k++) {
    const type16 *t = &types16[k];
    static const float some[] = {FLT_MAX, -FLT_MAX, 65504.0f, 65519.0f, 65520.0f, 65535.9f, -65536.0f, 1e30f,
                                 0x1p-14f, 0x1.fffffep-15f, 0x1.ffcp-15f, -0x1p-24f, 0x1.8p-24f, 0x1p-25f, 0x1.000002p-25f,
                                 -0x1p-37f, 0x1p-38f, 0x1.8p-38f, 0x1p-39f, 0x1p-126f, 0x1.fffffcp-127f, 0x1p-133f,
                                 0x1p-149f, -0x1p-149f, 0.0f, -0.0f, 1.0f, 1.00001f, -0.3f};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) check_probability(t, some[i]);
    for (int i = 0; i < 150; i++) {
      const float x = random_bits(&random), small = ldexpf(random_float(&random), -(int)(next_random(&random) % 26));
      if (isfinite(x)) check_probability(t, x);
      check_probability(t, small);
    }
  }
}

static void infinity_and_nan(void) {
  for (int k = 0; k < 2; k++)
    for (uint32_t random = 0; random < 65536; random += 51) {
      const type16 *t = &types16[k];
      CHECK(t->to(INFINITY, random) == t->infinity, "%s", t->name);
      CHECK(t->to(-INFINITY, random) == (t->infinity | 0x8000), "%s", t->name);
      static const uint32_t nans[] = {0x7f800001, 0x7fc00000, 0x7fffffff, 0xff800001, 0xffc00000, 0xffffffff};
      for (int i = 0; i < 6; i++) CHECK(t->to(spd4j_float(nans[i]), random) == t->nan, "%s %08x", t->name, nans[i]);
    }
}

/* Every exponent and sign, with many mantissas and random words: as the reference rounds. */
static void rounding_is_that_of_the_reference(void) {
  uint64_t random = 5;
  for (int k = 0; k < 2; k++)
    for (int i = 0; i < 1000000; i++) {
      const float x = random_bits(&random);
      const uint32_t word = (uint32_t)next_random(&random);
      uint16_t right;
      reference_set(types16[k].type, &right, 0, x, word);
      CHECK(types16[k].to(x, word) == right, "%s of %a, %08x: %04x, not %04x", types16[k].name, (double)x, word,
            types16[k].to(x, word), right);
    }
}

static void check_nearest(const type16 *t, float x) {
  uint16_t right;
  reference_set_nearest(t->type, &right, 0, x);
  CHECK(t->nearest(x) == right, "%s of %a: %04x, not %04x", t->name, (double)x, t->nearest(x), right);
}

/* Halfway between each two neighbours, beside it, every exponent and sign with many mantissas, and NaNs. */
static void nearest_is_that_of_the_reference(void) {
  uint64_t random = 6;
  for (int k = 0; k < 2; k++) {
    const type16 *t = &types16[k];
    for (uint16_t code = 0; code < t->infinity; code++) {
      const double low = (double)t->from(code), largest = (double)t->from((uint16_t)(t->infinity - 1));
      const double below = (double)t->from((uint16_t)(t->infinity - 2));
      const double high = code + 1 < t->infinity ? (double)t->from((uint16_t)(code + 1)) : 2 * largest - below;
      const float half = (float)((low + high) / 2);
      const uint16_t even = (uint16_t)(code + code % 2);
      CHECK((double)half != (low + high) / 2 || t->nearest(half) == even, "%s of %a: %04x", t->name, (double)half,
            t->nearest(half));
      for (int sign = -1; sign <= 1; sign += 2) {
        check_nearest(t, (float)sign * half);
        check_nearest(t, (float)sign * nextafterf(half, INFINITY));
        check_nearest(t, (float)sign * nextafterf(half, 0));
      }
    }
    for (int i = 0; i < 1000000; i++) check_nearest(t, random_bits(&random));
  }
}

static void check_halves(uint32_t bits) {
  const float x = spd4j_float(bits);
  uint16_t high;
  int16_t low;
  reference_set_split(&high, &low, 0, x);
  CHECK(spd4j_high(x) == high && spd4j_low(x) == low, "%08x: %04x and %d", bits, spd4j_high(x), spd4j_low(x));
  CHECK(spd4j_bits(spd4j_join(high, low)) == bits, "%08x: %08x", bits, spd4j_bits(spd4j_join(high, low)));
  CHECK(spd4j_bits(reference_get_split(&high, &low, 0)) == bits, "%08x", bits);
}

static void two_halves_are_the_float(void) {
  uint64_t random = 7;
  static const uint32_t highs[] = {0x0000, 0x0001, 0x007f, 0x0080, 0x3f7f, 0x3f80, 0x7f7f, 0x7f80, 0x7fc0, 0x7fff,
                                   0x8000, 0x807f, 0xbf80, 0xff7f, 0xff80, 0xffff};
  for (int h = 0; h < 16; h++)
    for (uint32_t low = 0; low < 65536; low++) check_halves(highs[h] << 16 | low);
  for (int i = 0; i < 1000000; i++) check_halves((uint32_t)(next_random(&random) >> 32));
  for (int i = 0; i < 100000; i++) { /* the high half alone is the nearest bfloat16 */
    const float x = random_float(&random);
    const double error = fabs((double)spd4j_from_bfloat16(spd4j_high(x)) - (double)x);
    CHECK(error <= fabs((double)x) * 0x1p-8, "%a", (double)x);
  }
}

enum { G = SPD4J_SCALE_GROUP };

typedef struct group {
  uint8_t codes[G];
  float scale;
} group;

/* Stores up to G elements by codec.h and by the reference, compares the two, and returns them. */
static group stored(bool second, const float *x, int n, uint32_t word) {
  group g = {{0}, 0}, right = {{0}, 0};
  uint32_t largest = 0;
  for (int i = 0; i < n; i++) {
    const uint32_t bits = spd4j_bits(x[i]) & SPD4J_ABSOLUTE;
    if (bits > largest) largest = bits;
  }
  const spd4j_first_coder first = spd4j_first_coder_of(largest);
  const spd4j_second_coder next = spd4j_second_coder_of(largest, word);
  g.scale = second ? spd4j_float(next.scale) : first.scale;
  for (int i = 0; i < n; i++) g.codes[i] = (uint8_t)(second ? spd4j_to_second(next, x[i]) : spd4j_to_first(first, x[i]));
  struct {
    uint8_t codes[G];
    float scale;
  } array = {{0}, 0};
  reference_set_group(second, &array, G, 0, n, x, word);
  memcpy(right.codes, array.codes, G), right.scale = array.scale;
  CHECK(memcmp(g.codes, right.codes, G) == 0 && spd4j_bits(g.scale) == spd4j_bits(right.scale),
        "%s moment, %d elements, scale %a, not %a", second ? "second" : "first", n, (double)g.scale,
        (double)right.scale);
  return g;
}

static float moment(bool second, const group *g, int i) {
  return second ? spd4j_from_second(spd4j_bits(g->scale), g->codes[i]) : spd4j_from_first(g->scale, g->codes[i]);
}

/* NUMERICS.md bounds the errors. */
static void moments_in_8_bits_are_as_near_as_promised(void) {
  uint64_t random = 9;
  for (int round = 0; round < 20000; round++) {
    const int n = round % G + 1, exponent = (int)(next_random(&random) % 200) - 110;
    const int range = (int)(next_random(&random) % 24);
    const uint32_t word = (uint32_t)next_random(&random);
    float m[G], v[G], most_m = 0, most_v = 0;
    for (int i = 0; i < n; i++) {
      m[i] = ldexpf(random_float(&random), exponent - (int)(next_random(&random) % (uint64_t)(range + 1)));
      v[i] = fabsf(m[i]);
      most_m = fmaxf(most_m, v[i]), most_v = most_m;
    }
    const group first = stored(false, m, n, word), second = stored(true, v, n, word);
    CHECK((double)first.scale == fmax((double)(most_m * (1.0f / 127)), 0x1p-100), "%a", (double)first.scale);
    for (int i = 0; i < n; i++) {
      const double dm = (double)moment(false, &first, i), dv = (double)moment(true, &second, i);
      CHECK(fabs(dm - (double)m[i]) <= (double)first.scale * 0.50001, "m %a: %a", (double)m[i], dm);
      CHECK(dm == 0 || (dm > 0) == (m[i] > 0), "m %a: %a", (double)m[i], dm);
      const double least = fmax((double)most_v, 0x1p-111) * 0x1p-16;
      /* Among subnormals the codes are 2^-130 apart. */
      const bool near = fabs(dv - (double)v[i]) < fmax((double)v[i], 0x1p-126) / 16;
      CHECK(near || ((double)v[i] < least * 1.1 && dv > 0 && dv <= least * 1.1), "v %a of %a: %a", (double)v[i],
            (double)most_v, dv);
      if (v[i] == most_v && most_v >= 0x1p-111f) CHECK(dv == (double)v[i], "the largest v %a: %a", (double)v[i], dv);
    }
    /* What was stored once stays. */
    float again_m[G], again_v[G];
    for (int i = 0; i < n; i++) again_m[i] = moment(false, &first, i), again_v[i] = moment(true, &second, i);
    const group same = stored(true, again_v, n, ~word);
    CHECK(memcmp(same.codes, second.codes, G) == 0 || most_v < 0x1p-111f, "v");
    const group same_m = stored(false, again_m, n, ~word);
    CHECK(memcmp(same_m.codes, first.codes, G) == 0 || first.scale == 0x1p-100f, "m");
  }
}

static void unusual_groups_of_moments_in_8_bits(void) {
  static const float bad[] = {INFINITY, NAN};
  for (int second = 0; second < 2; second++) {
    float x[G] = {0};
    group g = stored(second, x, G, 0x9e3779b9);
    for (int i = 0; i < G; i++) CHECK(g.codes[i] == 0 && moment(second, &g, i) == 0, "zeros");
    const group zeros = {{0}, 0};
    CHECK(moment(second, &zeros, 3) == 0, "an array of zeros");

    for (int b = 0; b < 2; b++)
      for (int at = 0; at < G; at++) {
        for (int i = 0; i < G; i++) x[i] = i == at ? bad[b] : (float)i;
        g = stored(second, x, G, 0x9e3779b9);
        for (int i = 0; i < G; i++) CHECK(g.codes[i] == 0 && isnan(moment(second, &g, i)), "element %d", i);
      }
    for (int i = 0; i < G; i++) x[i] = i == 5 ? 1e30f : 1e-3f;
    g = stored(second, x, G, 0x9e3779b9);
    CHECK(fabsf(moment(second, &g, 5) / 1e30f - 1) < 1e-6f, "the outlier: %g", (double)moment(second, &g, 5));
    CHECK(second ? moment(second, &g, 4) > 0 : moment(second, &g, 4) == 0, "beside an outlier");
    for (int i = 0; i < G; i++) x[i] = ldexpf(1, -149 + i % 4);
    g = stored(second, x, G, 0x9e3779b9);
    for (int i = 0; i < G; i++) CHECK(moment(second, &g, i) >= 0 && moment(second, &g, i) < 0x1p-110f, "subnormals");
    for (int i = 0; i < G; i++) x[i] = i % 2 && !second ? -FLT_MAX : FLT_MAX;
    g = stored(second, x, G, 0x9e3779b9);
    for (int i = 0; i < G; i++) CHECK(isfinite(moment(second, &g, i)), "the largest floats");
  }
}

/* RandomWordsTest has the same numbers. */
static void random_words_are_the_known_ones(void) {
  static const struct {
    uint64_t key;
    int64_t step, block;
    spd4j_use use;
    uint32_t i, word;
  } known[] = {
      {0, 1, 0, SPD4J_USE_UPDATE, 0, 0x2933fbc3},
      {0, 1, 0, SPD4J_USE_UPDATE, 1, 0x8a4cd7fd},
      {0x0123456789abcdefu, 1, 0, SPD4J_USE_PROJECT, 4095, 0xdb66504f},
      {0xfedcba9876543210u, 7, 3, SPD4J_USE_MOMENTS, 64, 0x007127c5},
      {0xffffffffffffffffu, 1000000007, (int64_t)1 << 40, SPD4J_USE_UPDATE, 1234, 0x400e7206},
      {42, (int64_t)1 << 33, 5, SPD4J_USE_PROJECT, 2048, 0x30d70de3},
  };
  for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
    const spd4j_words words = spd4j_words_of(known[k].key, known[k].step, known[k].block, known[k].use);
    CHECK(spd4j_word(words, known[k].i) == known[k].word, "%zu: %08x", k, spd4j_word(words, known[k].i));
  }
  uint64_t random = 13;
  for (int k = 0; k < 100000; k++) {
    const uint64_t key = next_random(&random);
    const int64_t step = (int64_t)(next_random(&random) >> 20), i = (int64_t)(next_random(&random) >> 10);
    const int use = k % 3;
    const spd4j_words words = spd4j_words_of(key, step, i / SPD4J_BLOCK, (spd4j_use)use);
    CHECK(spd4j_word(words, (uint32_t)(i % SPD4J_BLOCK)) == reference_word(key, step, i, use), "%d", k);
  }
}

/*
 * Over elements, steps, blocks, uses and keys in turn, all else fixed, each bit is set half of the time, and each pair of
 * neighbours in that order agrees in it half of the time; within five standard deviations.
 */
static void each_random_bit_is_even_along_every_axis(void) {
  enum { N = 40000, AXES = 4 };
  for (int axis = 0; axis < AXES; axis++) {
    int set[32] = {0}, same[32] = {0};
    uint32_t before = 0;
    for (uint32_t i = 0; i < N; i++) {
      const uint64_t key = axis == 2 ? i : 77;
      const int64_t step = axis == 1 ? i + 1 : 5, block = axis == 0 ? i / SPD4J_BLOCK : axis == 3 ? i / 3 : 2;
      const spd4j_use use = axis == 3 ? (spd4j_use)(i % 3) : SPD4J_USE_UPDATE;
      const uint32_t word = spd4j_word(spd4j_words_of(key, step, block, use), axis == 0 ? i % SPD4J_BLOCK : 9);
      for (int b = 0; b < 32; b++) {
        set[b] += word >> b & 1;
        same[b] += (~(word ^ before) >> b & 1) != 0;
      }
      before = word;
    }
    const double deviation = 5 * sqrt(N) / 2;
    for (int b = 0; b < 32; b++) {
      CHECK(fabs(set[b] - N / 2.0) < deviation, "axis %d, bit %d: set %d times", axis, b, set[b]);
      CHECK(fabs(same[b] - N / 2.0) < deviation, "axis %d, bit %d: same %d times", axis, b, same[b]);
    }
  }
}

int main(void) {
  test("every 16-bit number is converted exactly", every_16_bit_number_is_converted_exactly);
  test("rounding takes a neighbour with the exact probability", rounding_takes_a_neighbour_with_the_exact_probability);
  test("infinity and NaN", infinity_and_nan);
  test("rounding is that of the reference", rounding_is_that_of_the_reference);
  test("nearest is that of the reference", nearest_is_that_of_the_reference);
  test("two halves are the float", two_halves_are_the_float);
  test("moments in 8 bits are as near as promised", moments_in_8_bits_are_as_near_as_promised);
  test("unusual groups of moments in 8 bits", unusual_groups_of_moments_in_8_bits);
  test("random words are the known ones", random_words_are_the_known_ones);
  test("each random bit is even along every axis", each_random_bit_is_even_along_every_axis);
  return finish();
}
