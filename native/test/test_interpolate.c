/* Tests interpolation in every tier against the reference, for all types, awkward sizes and addresses. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"
#include "model.h"
#include "reference.h"
#include "testing.h"

enum { GUARD = 64, POISON = 0xc3, TYPES = 3 };

static const int64_t sizes[] = {0, 1, 2, 15, 16, 17, 63, 64, 65, 255, 256, 257, 4095, 4096, 4097};
static const double alphas[] = {0, -0.0, 1e-60, 0.25, 0.3, 0.5, 1 - 0x1p-53, 1};
enum { SIZES = sizeof sizes / sizeof sizes[0], ALPHAS = sizeof alphas / sizeof alphas[0] };

static size_t bytes_of(int32_t type, int64_t n) { return (size_t)n * (type == SPD4J_TYPE_FLOAT32 ? 4 : 2); }

/*
 * Numbers of many magnitudes; with special, often also infinities, NaNs, zeros, subnormals and the largest numbers. Cut off,
 * the last NaN would become infinity.
 */
static void fill(int32_t type, void *array, int64_t n, bool special, uint64_t *random) {
  static const float some[] = {INFINITY, -INFINITY, NAN,        0.0f,     -0.0f,   FLT_MAX,
                               -FLT_MAX, 0x1p-149f, -0x1p-127f, 65504.0f, -__builtin_nansf("1")};
  for (int64_t i = 0; i < n; i++) {
    const uint64_t which = next_random(random) >> 40;
    reference_set_nearest(type, array, i, special && which % 2 ? some[which / 2 % 11] : random_float(random));
  }
}

typedef struct arrays {
  int32_t from_type, to_type, dst_type;
  int64_t n;
  unsigned char *from, *to, *dst; /* allocated; the data starts after a guard zone and some more elements */
  size_t skew;
} arrays;

static unsigned char *data(const arrays *a, unsigned char *base, int32_t type) {
  return base + GUARD + bytes_of(type, (int64_t)a->skew);
}

static unsigned char *allocate(const arrays *a, int32_t type) {
  const size_t size = GUARD + bytes_of(type, (int64_t)a->skew + a->n) + GUARD;
  unsigned char *base = malloc(size);
  if (!base) abort();
  memset(base, POISON, size);
  return base;
}

static bool poison_intact(const arrays *a, const unsigned char *base, int32_t type) {
  const size_t begin = GUARD + bytes_of(type, (int64_t)a->skew), end = begin + bytes_of(type, a->n);
  bool intact = true;
  for (size_t i = 0; i < end + GUARD; i++) intact = intact && (base[i] == POISON || (i >= begin && i < end));
  return intact;
}

enum { APART, IN_FROM, IN_TO, PLACES };

/* Interpolates; place: where the result goes. */
static void check(int32_t isa, arrays a, double alpha, bool special, int place, uint64_t seed) {
  uint64_t random = seed;
  a.from = allocate(&a, a.from_type), a.to = allocate(&a, a.to_type), a.dst = allocate(&a, a.dst_type);
  unsigned char *from = data(&a, a.from, a.from_type), *to = data(&a, a.to, a.to_type);
  fill(a.from_type, from, a.n, special, &random);
  fill(a.to_type, to, a.n, special, &random);
  unsigned char *expected = allocate(&a, a.dst_type);
  for (int64_t i = 0; i < a.n; i++)
    reference_set_nearest(a.dst_type, expected, i,
                          reference_interpolate(alpha == 1e-60 ? 0 : alpha, reference_get(a.from_type, from, i),
                                                reference_get(a.to_type, to, i)));
  unsigned char *dst = place == IN_FROM ? from : place == IN_TO ? to : data(&a, a.dst, a.dst_type);
  const int32_t status = spd4j_interpolate(isa, from, a.from_type, to, a.to_type, alpha, dst, a.dst_type, a.n);
  CHECK(status == SPD4J_OK, "status %d", status);
  for (int64_t i = 0; i < a.n; i++)
    CHECK(reference_same(a.dst_type, dst, expected, i), "tier %d, types %d %d %d, alpha %g, place %d, %lld of %lld: %a, not %a",
          isa, a.from_type, a.to_type, a.dst_type, alpha, place, (long long)i, (long long)a.n,
          (double)reference_get(a.dst_type, dst, i), (double)reference_get(a.dst_type, expected, i));
  CHECK(poison_intact(&a, a.from, a.from_type) && poison_intact(&a, a.to, a.to_type) &&
            poison_intact(&a, a.dst, a.dst_type),
        "tier %d wrote outside an array", isa);
  free(a.from), free(a.to), free(a.dst), free(expected);
}

static void every_tier_type_size_and_alpha(void) {
  uint64_t seed = 1;
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (int mix = 0; mix < TYPES * TYPES * TYPES; mix++)
      for (int size = 0; size < SIZES; size++)
        for (int i = 0; i < ALPHAS; i++, seed++) {
          const arrays a = {mix % 3, mix / 3 % 3, mix / 9, sizes[size], NULL, NULL, NULL, seed % 5};
          check(isa, a, alphas[i], seed % 2 == 0, APART, seed);
        }
}

static void in_place(void) {
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (int32_t type = 0; type < TYPES; type++)
      for (int32_t other = 0; other < TYPES; other++)
        for (int i = 0; i < ALPHAS; i++) {
          const arrays in_from = {type, other, type, 4097, NULL, NULL, NULL, 1};
          const arrays in_to = {other, type, type, 4097, NULL, NULL, NULL, 1};
          check(isa, in_from, alphas[i], false, IN_FROM, 7);
          check(isa, in_to, alphas[i], false, IN_TO, 8);
        }
}

static void worked_out_by_hand(void) {
  static const struct {
    float from, to;
    double alpha;
    float right;
  } cases[] = {
      {1, 3, 0.25, 1.5f},
      {-0.0f, -0.0f, 0.5, -0.0f},
      {-0.0f, 7, 0, -0.0f},
      {1, INFINITY, 0, 1},
      {NAN, -0.0f, 1, -0.0f},
      {1, 1, 0.3, 1},
      {0x1.000002p0f, 0x1.000006p0f, 0.5, 0x1.000004p0f},
      {0x1p-149f, 0x1p-149f, 0.5, 0}, /* each half is a tie, and 0 is even */
      {FLT_MAX, FLT_MAX, 0.5, FLT_MAX},
      {-FLT_MAX, 4, 0x1p-30, -FLT_MAX},
  };
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      float dst = 99;
      CHECK(spd4j_interpolate(isa, &cases[i].from, 0, &cases[i].to, 0, cases[i].alpha, &dst, 0, 1) == SPD4J_OK, "status");
      CHECK(spd4j_bits(dst) == spd4j_bits(cases[i].right), "tier %d, case %zu: %a", isa, i, (double)dst);
    }
}

static void faults_are_refused_before_anything_is_written(void) {
  float from[2] = {1, 2}, to[2] = {3, 4}, dst[2] = {5, 6};
  static const double bad[] = {-0x1p-1074, 1 + 0x1p-52, NAN, INFINITY, -INFINITY};
#define REFUSED(status, isa, from, from_type, to, to_type, alpha, dst, dst_type, n)                           \
  CHECK(spd4j_interpolate(isa, from, from_type, to, to_type, alpha, dst, dst_type, n) == SPD4J_ERROR_##status, \
        "line %d", __LINE__)
  for (int i = 0; i < 5; i++) REFUSED(RANGE, 0, from, 0, to, 0, bad[i], dst, 0, 2);
  REFUSED(RANGE, 0, from, 0, to, 0, 0.5, dst, 0, -1);
  REFUSED(ISA, -1, from, 0, to, 0, 0.5, dst, 0, 2);
  REFUSED(ISA, 3, from, 0, to, 0, 0.5, dst, 0, 2);
  REFUSED(TYPE, 0, from, 3, to, 0, 0.5, dst, 0, 2);
  REFUSED(TYPE, 0, from, 0, to, -1, 0.5, dst, 0, 2);
  REFUSED(TYPE, 0, from, 0, to, 0, 0.5, dst, INT32_MAX, 2);
  REFUSED(NULL, 0, NULL, 0, to, 0, 0.5, dst, 0, 2);
  REFUSED(NULL, 0, from, 0, NULL, 0, 0.5, dst, 0, 2);
  REFUSED(NULL, 0, from, 0, to, 0, 0.5, NULL, 0, 2);
  CHECK(spd4j_interpolate(0, NULL, 0, NULL, 0, 0.5, NULL, 0, 0) == SPD4J_OK, "nothing to do");
  CHECK(dst[0] == 5 && dst[1] == 6, "written");
}

int main(void) {
  test("worked out by hand", worked_out_by_hand);
  test("every tier, type, size and alpha", every_tier_type_size_and_alpha);
  test("in place", in_place);
  test("faults are refused before anything is written", faults_are_refused_before_anything_is_written);
  return finish();
}
