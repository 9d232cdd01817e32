/*
 * Random tables, right and wrong, for every entry point and tier: the bits of the reference, nothing written outside of the
 * arrays, whose ends touch pages that nobody may access, and wrong tables refused by what spd4j.h says, not by its code.
 *
 * Without arguments: some rounds, always the same. MINUTES: with new seeds for so long. 0 SEED: that one round.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "model.h"
#include "reference.h"
#include "testing.h"

enum { B = SPD4J_BLOCK, TIERS = 3, PASSES = 3, TENSORS = 12, USUAL_ROUNDS = 100 };
enum { F32 = SPD4J_TYPE_FLOAT32, BF16 = SPD4J_TYPE_BFLOAT16, F16 = SPD4J_TYPE_FLOAT16 };

static uint64_t state;
static int64_t tables, refused, interpolations;

/* A number from 0 to n - 1; 0 if there is none. */
static int64_t below(int64_t n) { return n < 1 ? 0 : (int64_t)(next_random(&state) % (uint64_t)n); }
static bool one_in(int64_t n) { return below(n) == 0; }

static int64_t any_size(void) {
  static const int64_t edges[] = {0, 1, 15, 16, 17, 31, 63, 64, 65, 255, 256, 257, B - 1, B, B + 1, 2 * B};
  switch (below(8)) {
    case 0: return one_in(8) ? 33 * B + below(2 * B) : below(3 * B);
    case 1:
    case 2: return below(600);
    case 3:
    case 4: return below(70);
    default: return edges[below(16)];
  }
}

/* Any integer, rather one near which something ends. */
static int64_t any_integer(void) {
  static const int64_t some[] = {0, 1, -1, B, INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN, (int64_t)1 << 32};
  return one_in(4) ? (int64_t)next_random(&state) : (int64_t)((uint64_t)some[below(9)] + (uint64_t)below(3));
}

static float special(void) {
  static const float some[] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f, 0x1.fffffep127f, 0x1p-149f, 0x1p-126f, 1e-30f, 65504.0f};
  return some[below(10)];
}

static types any_types(void) {
  const int32_t param = (int32_t)below(3);
  const types t = {param, param == BF16 && one_in(2), (int32_t)below(3), (int32_t)below(3), (int32_t)below(3)};
  const types float32 = {F32, false, F32, F32, SPD4J_MOMENTS_FLOAT32};
  return one_in(3) ? float32 : t;
}

static int any_place(void) { return one_in(4) ? (int)below(16) : one_in(2) ? PAGE_BEHIND : PAGE_BEFORE; }

static bool all_float32(const spd4j_tensor *t) {
  return t->param_type == F32 && t->grad_type == F32 && t->anchor_type == F32 && t->moment_type == SPD4J_MOMENTS_FLOAT32;
}

static void any_scalars(model *m, bool wild) {
  model_scalars(m, 1 + (int)below(1000), one_in(3) ? -0.37f : 1.0f);
  for (int r = 0; wild && r < ROWS; r++) {
    float *const fields[] = {&m->scalars[r].beta1, &m->scalars[r].beta2,     &m->scalars[r].one_minus_beta1,
                             &m->scalars[r].eps,   &m->scalars[r].step_size, &m->scalars[r].one_minus_beta2,
                             &m->scalars[r].decay, &m->scalars[r].grad_scale, &m->scalars[r].inv_sqrt_bias2};
    *fields[below(9)] = special();
    if (one_in(3)) m->scalars[r].lambda = (double)special();
    if (one_in(3)) m->scalars[r].step = any_integer();
  }
}

/* wild: with values and scalars of every kind, and so with NaN in every sum. */
static model *any_model(bool wild) {
  spec specs[TENSORS];
  types types[TENSORS];
  const int64_t count = 1 + below(TENSORS);
  for (int64_t i = 0; i < count; i++) {
    const bool anchored = one_in(2), amsgrad = one_in(3);
    specs[i] = (spec){any_size(), one_in(3) ? SPD4J_RULE_SPD : below(ROWS + 1) - 1, anchored, amsgrad};
    types[i] = any_types();
  }
  model *m = model_new_typed(specs, count, types, (int)count, any_place(), next_random(&state));
  any_scalars(m, wild);
  for (int64_t i = 0; i < count; i++) {
    static const float shrinks[] = {0.37f, 0.0f, 1.0f, -0.5f, 1e-3f, NAN, 1.0f};
    m->tensors[i].shrink = shrinks[below(7)];
    m->tensors[i].key = next_random(&state);
    m->tensors[i].offset = below(one_in(2) ? 4 : (int64_t)1 << 40) * B;
    for (int a = 0; wild && a < PARAM_LOW; a++)
      for (int64_t j = below(20); model_data(m, i, a) && j < specs[i].numel; j += 1 + below(40)) model_set(m, i, a, j, special());
  }
  return m;
}

static pass_function *const passes[PASSES] = {spd4j_update, spd4j_project, spd4j_grad_sq};

typedef struct call {
  int pass;
  int64_t begin, end;
} call;

static void run_reference(model *m, const call *c) {
  if (c->pass == 0) {
    reference_update(&m->table, c->begin, c->end);
    if (m->table.decisions) reference_complete(&m->table, c->begin, c->end);
  } else if (c->pass == 1) {
    reference_project(&m->table, c->begin, c->end);
  } else {
    reference_grad_sq(&m->table, c->begin, c->end);
  }
}

static void right_tables(void) {
  enum { CALLS = 4 };
  const bool wild = one_in(2), decides = one_in(2);
  model *m = any_model(wild);
  const int64_t n = m->table.block_count;
  /* Blocks of float32 arrays may be a part of what they could be. */
  for (int64_t i = 0; i < n && !decides; i++) {
    spd4j_block *b = &m->blocks[i];
    if (!all_float32(&m->tensors[b->tensor]) || !one_in(3)) continue;
    b->begin += below(b->end - b->begin + 1);
    b->end -= below(b->end - b->begin + 1);
  }
  if (decides) m->table.decisions = m->decisions;
  call calls[CALLS];
  const int64_t count = 1 + below(CALLS);
  for (int64_t i = 0; i < count; i++) {
    const int64_t begin = below(n + 1);
    calls[i] = (call){(int)below(PASSES), begin, begin + below(n - begin + 1)};
    if (one_in(2)) calls[i].begin = 0, calls[i].end = n;
  }
  model *expected = model_copy(m);
  for (int64_t i = 0; i < count; i++) run_reference(expected, &calls[i]);
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++) {
    model *got = model_copy(m);
    for (int64_t i = 0; i < count; i++) {
      const int32_t status = passes[calls[i].pass](&got->table, isa, calls[i].begin, calls[i].end, NO_HOLDS);
      CHECK(status == SPD4J_OK, "status %d at tier %d", status, isa);
    }
    CHECK(model_same(got, expected, wild), "tier %d differs from the reference", isa);
    CHECK(model_guards_intact(got), "tier %d wrote outside an array", isa);
    model_free(got);
    tables++;
  }
  model_free(expected);
  model_free(m);
}

/* Whether spd4j.h allows a pass over a run of a table. */
static bool allowed(int pass, const spd4j_table *table, int32_t isa, int64_t begin, int64_t end) {
  const bool update = pass == 0, writes_param = pass != 2, reads_grad = pass != 1, writes_sums = pass != 1;
  if (!table || isa < 0 || isa > spd4j_best_isa()) return false;
  if (!table->blocks || !table->tensors || (writes_sums && !table->sums) || (update && !table->scalars)) return false;
  if (begin < 0 || end < begin || table->block_count < end) return false;
  for (int64_t i = begin; i < end; i++) {
    const spd4j_block b = table->blocks[i];
    if (b.tensor < 0 || table->tensor_count <= b.tensor) return false;
    const spd4j_tensor t = table->tensors[b.tensor];
    if (t.scalars == -1) continue;
    if (t.scalars < 0 || table->scalars_count <= t.scalars) return false;
    if (b.begin < 0 || b.end < b.begin || t.numel < b.end) return false;
    if (writes_param && !t.param) return false;
    if (reads_grad && !t.grad) return false;
    if (update && (!t.exp_avg || !t.exp_avg_sq)) return false;
    if (update && (table->scalars[t.scalars].rule < 0 || table->scalars[t.scalars].rule >= SPD4J_RULE_COUNT)) return false;
    if (all_float32(&t) && !t.param_low) continue;
    const int32_t array_types[] = {t.param_type, t.grad_type, t.anchor_type, t.moment_type};
    for (int a = 0; a < 4; a++)
      if (array_types[a] < 0 || array_types[a] > 2) return false;
    if (t.param_low && t.param_type != BF16) return false;
    if (t.max_exp_avg_sq && t.moment_type == SPD4J_MOMENTS_8BIT) return false;
    if (t.offset < 0 || t.offset % B != 0 || b.begin % B != 0) return false;
    if (b.end != t.numel && b.end != b.begin + B) return false;
    if (b.end - b.begin > B) return false;
    if (writes_param && !table->scalars) return false;
  }
  return true;
}

/* Makes one thing wrong, or another one that is right. What is right still lies within the arrays. */
static void change(model *m, call *c, int32_t *isa) {
  static const int32_t no_types[] = {-1, 3, 7, INT32_MIN, INT32_MAX};
  static const int32_t no_tiers[] = {-1, 3, 77, INT32_MIN, INT32_MAX};
  spd4j_tensor *t = &m->tensors[below(m->tensor_count)];
  spd4j_block *b = &m->blocks[below(m->table.block_count)];
  switch (below(20)) {
    case 0: *isa = no_tiers[below(5)]; break;
    case 1: c->begin = any_integer(); break;
    case 2: c->end = any_integer(); break;
    case 3: m->table.blocks = NULL; break;
    case 4: m->table.tensors = NULL; break;
    case 5: m->table.scalars = NULL; break;
    case 6: m->table.sums = NULL; break;
    case 7: b->tensor = one_in(2) ? below(m->tensor_count) : any_integer(); break;
    case 8: b->begin = one_in(2) ? below(2 * B) : any_integer(); break;
    case 9: b->end = one_in(2) ? below(2 * B) : any_integer(); break;
    case 10: t->numel = -1 - below(100); break;
    case 11: t->scalars = one_in(2) ? below(ROWS + 2) - 1 : any_integer(); break;
    case 12: *(int32_t *[]){&t->param_type, &t->grad_type, &t->anchor_type, &t->moment_type}[below(4)] = no_types[below(5)]; break;
    case 13: t->offset = any_integer(); break;
    case 14: *(void **[]){&t->param, &t->exp_avg, &t->exp_avg_sq}[below(3)] = NULL; break;
    case 15: t->grad = NULL; break;
    case 16: m->scalars[below(ROWS)].rule = one_in(2) ? (int32_t)below(ROWS) : no_types[below(5)]; break;
    case 17: *(int64_t *[]){&m->table.block_count, &m->table.tensor_count, &m->table.scalars_count}[below(3)] -= 1 + below(9); break;
    case 18: if (t->param_type != BF16) t->param_low = t->exp_avg; break;
    default: if (t->moment_type == SPD4J_MOMENTS_8BIT) t->max_exp_avg_sq = t->exp_avg;
  }
}

/* Whether the run can be compared: its blocks do not overlap, and are no longer than the reference can hold. */
static bool comparable(const model *m, const call *c) {
  for (int64_t i = c->begin; i < c->end; i++) {
    const spd4j_block x = m->blocks[i];
    if (m->tensors[x.tensor].scalars == -1) continue; /* skipped, whatever its block says */
    if (x.end - x.begin > B) return false;
    for (int64_t j = c->begin; j < i; j++)
      if (m->blocks[j].tensor == x.tensor && m->blocks[j].begin < x.end && x.begin < m->blocks[j].end) return false;
  }
  return true;
}

static void wrong_tables(void) {
  model *m = any_model(false), *before = model_copy(m);
  for (int i = 0; i < 40; i++) {
    model *got = model_copy(m);
    call c = {(int)below(PASSES), 0, m->table.block_count};
    int32_t isa = (int32_t)below(spd4j_best_isa() + 1);
    for (int64_t changes = 1 + below(2); changes > 0; changes--) change(got, &c, &isa);
    const spd4j_table *table = one_in(50) ? NULL : &got->table;
    const bool right = allowed(c.pass, table, isa, c.begin, c.end), compared = right && comparable(got, &c);
    model *expected = compared ? model_copy(got) : NULL; /* which has all arrays, also those that the pass does not need */
    const int32_t status = passes[c.pass](table, isa, c.begin, c.end, NO_HOLDS);
    CHECK((status == SPD4J_OK) == right, "pass %d, status %d", c.pass, status);
    if (compared) {
      run_reference(expected, &c);
      CHECK(model_same(got, expected, false), "pass %d at tier %d", c.pass, isa);
      model_free(expected);
    }
    if (!right) CHECK(model_same(got, before, false), "pass %d was refused, but has written", c.pass);
    CHECK(model_guards_intact(got), "pass %d wrote outside an array", c.pass);
    refused += !right;
    tables += right;
    model_free(got);
  }
  model_free(before);
  model_free(m);
}

static size_t bytes_of(int32_t type, int64_t n) { return (size_t)n * (type == F32 ? 4 : 2); }

static void interpolate(void) {
  static const double alphas[] = {0, -0.0, 1e-60, 0.25, 1 - 0x1p-53, 1};
  const int32_t from_type = (int32_t)below(3), to_type = (int32_t)below(3), dst_type = (int32_t)below(3);
  const int64_t n = any_size();
  const double alpha = one_in(2) ? alphas[below(6)] : (double)below(1 << 30) * 0x1p-30;
  guarded from = guarded_new(bytes_of(from_type, n), one_in(2) ? PAGE_BEHIND : PAGE_BEFORE);
  guarded to = guarded_new(bytes_of(to_type, n), one_in(2) ? PAGE_BEHIND : PAGE_BEFORE);
  guarded expected = guarded_new(bytes_of(dst_type, n), PAGE_BEHIND);
  for (int64_t i = 0; i < n; i++) {
    reference_set_nearest(from_type, from.data, i, one_in(5) ? special() : random_float(&state));
    reference_set_nearest(to_type, to.data, i, one_in(5) ? special() : random_float(&state));
    reference_set_nearest(dst_type, expected.data, i,
                          reference_interpolate((float)alpha == 0 ? 0 : alpha, reference_get(from_type, from.data, i),
                                                reference_get(to_type, to.data, i)));
  }
  const int64_t place = below(3);
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++) {
    guarded f = guarded_copy(from), t = guarded_copy(to), d = guarded_new(bytes_of(dst_type, n), one_in(2) ? PAGE_BEHIND : PAGE_BEFORE);
    void *dst = place == 1 && dst_type == from_type ? f.data : place == 2 && dst_type == to_type ? t.data : d.data;
    CHECK(spd4j_interpolate(isa, f.data, from_type, t.data, to_type, alpha, dst, dst_type, n) == SPD4J_OK, "tier %d", isa);
    for (int64_t i = 0; i < n; i++)
      CHECK(reference_same(dst_type, dst, expected.data, i), "tier %d, types %d %d %d, alpha %g, element %lld", isa, from_type,
            to_type, dst_type, alpha, (long long)i);
    CHECK(dst == f.data || from.size == 0 || memcmp(f.data, from.data, from.size) == 0, "from was written");
    CHECK(dst == t.data || to.size == 0 || memcmp(t.data, to.data, to.size) == 0, "to was written");
    CHECK(guards_intact(f) && guards_intact(t) && guards_intact(d), "tier %d wrote outside an array", isa);
    static const double no_alphas[] = {-0x1p-1074, 1 + 0x1p-52, NAN, INFINITY, -1};
    const int32_t bad = one_in(2) ? 3 + (int32_t)below(9) : -1 - (int32_t)below(9);
    const guarded untouched = guarded_copy(d);
    CHECK(spd4j_interpolate(bad, f.data, from_type, t.data, to_type, alpha, d.data, dst_type, n) == SPD4J_ERROR_ISA, "tier %d", bad);
    CHECK(spd4j_interpolate(isa, f.data, bad, t.data, to_type, alpha, d.data, dst_type, n) == SPD4J_ERROR_TYPE, "type %d", bad);
    CHECK(spd4j_interpolate(isa, f.data, from_type, t.data, bad, alpha, d.data, dst_type, n) == SPD4J_ERROR_TYPE, "type %d", bad);
    CHECK(spd4j_interpolate(isa, f.data, from_type, t.data, to_type, no_alphas[below(5)], d.data, dst_type, n) == SPD4J_ERROR_RANGE, "alpha");
    CHECK(spd4j_interpolate(isa, f.data, from_type, t.data, to_type, alpha, d.data, dst_type, -1 - below(INT64_MAX)) == SPD4J_ERROR_RANGE, "numel");
    CHECK(d.size == 0 || memcmp(d.data, untouched.data, d.size) == 0, "written after a refusal");
    guarded_free(untouched);
    guarded_free(f), guarded_free(t), guarded_free(d);
    interpolations++;
  }
  guarded_free(from), guarded_free(to), guarded_free(expected);
}

static void layout(void) {
  const int64_t count = spd4j_layout(NULL, 0), capacity = below(count + 3);
  guarded values = guarded_new((size_t)(capacity < count ? capacity : count) * sizeof(int64_t), PAGE_BEHIND);
  CHECK(spd4j_layout((int64_t *)(void *)values.data, capacity) == count, "capacity %lld", (long long)capacity);
  CHECK(guards_intact(values), "capacity %lld", (long long)capacity);
  guarded_free(values);
  const int32_t rule = (int32_t)any_integer();
  CHECK((spd4j_rule_name(rule) != NULL) == (rule >= 0 && rule < SPD4J_RULE_COUNT), "rule %d", rule);
}

static void one_round(uint64_t seed) {
  state = seed;
  right_tables();
  wrong_tables();
  interpolate();
  layout();
}

static void usual_rounds(void) {
  uint64_t seeds = 1;
  for (int i = 0; i < USUAL_ROUNDS && failed_checks == 0; i++) one_round(next_random(&seeds));
}

static int repeat(uint64_t seed) {
  one_round(seed);
  if (failed_checks > 0) printf("round %" PRIu64 " failed; to repeat it: make torture TEST=NativeTablesTest SEED=%" PRIu64 "\n", seed, seed);
  return failed_checks > 0;
}

static int for_minutes(double minutes) {
  uint64_t seeds = (uint64_t)time(NULL) << 20 ^ (uint64_t)clock();
  const time_t end = time(NULL) + (time_t)(minutes * 60);
  int64_t rounds = 0;
  do {
    const uint64_t seed = next_random(&seeds);
    /* A crash leaves this as the last line. */
    printf("\rto repeat it: make torture TEST=NativeTablesTest SEED=%" PRIu64 "    ", seed);
    fflush(stdout);
    if (repeat(seed) != 0) return 1;
    rounds++;
  } while (time(NULL) < end);
  printf("\n%" PRId64 " rounds: %" PRId64 " native tables, %" PRId64 " refused, %" PRId64 " interpolations\n", rounds, tables, refused,
         interpolations);
  return 0;
}

int main(int count, char **arguments) {
  if (count == 2) return for_minutes(strtod(arguments[1], NULL));
  if (count == 3) return repeat(strtoull(arguments[2], NULL, 10));
  test("random tables", usual_rounds);
  printf("%" PRId64 " native tables, %" PRId64 " refused, %" PRId64 " interpolations\n", tables, refused, interpolations);
  return finish();
}
