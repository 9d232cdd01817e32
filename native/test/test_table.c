/* Tests what a pass refuses, what it leaves alone, the layout of the table, threads, and sizes beyond 32 bits. */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model.h"
#include "reference.h"
#include "testing.h"

enum { UPDATE = 1, PROJECT = 2, GRAD_SQ = 4, EVERY = 7, PASSES = 3 };
static pass_function *const passes[PASSES] = {spd4j_update, spd4j_project, spd4j_grad_sq};
static const char *const pass_names[PASSES] = {"update", "project", "grad_sq"};

/* Tensors of three blocks, one block and one block. The faults below are in the last. */
static const spec three[] = {{2 * SPD4J_BLOCK + 5, 3, true, true}, {70, 0, false, false}, {33, 2, true, true}};
enum { LAST_TENSOR = 2, LAST_BLOCK = 4, BLOCKS = 5 };

typedef struct call {
  model *m;
  const spd4j_table *table;
  int64_t begin, end;
} call;

/* Each fault: its name, the passes that refuse it, their status, and the change to a valid call. */
#define FAULTS(F) \
  F(null_table, EVERY, NULL, c->table = NULL) \
  F(null_blocks, EVERY, NULL, c->m->table.blocks = NULL) \
  F(null_tensors, EVERY, NULL, c->m->table.tensors = NULL) \
  F(null_scalars, UPDATE, NULL, c->m->table.scalars = NULL) \
  F(null_sums, UPDATE | GRAD_SQ, NULL, c->m->table.sums = NULL) \
  F(null_param, UPDATE | PROJECT, NULL, c->m->tensors[LAST_TENSOR].param = NULL) \
  F(null_grad, UPDATE | GRAD_SQ, NULL, c->m->tensors[LAST_TENSOR].grad = NULL) \
  F(null_exp_avg, UPDATE, NULL, c->m->tensors[LAST_TENSOR].exp_avg = NULL) \
  F(null_exp_avg_sq, UPDATE, NULL, c->m->tensors[LAST_TENSOR].exp_avg_sq = NULL) \
  F(begin_negative, EVERY, RANGE, c->begin = -1) \
  F(begin_beyond_end, EVERY, RANGE, c->begin = 3; c->end = 2) \
  F(end_beyond_count, EVERY, RANGE, c->end = BLOCKS + 1) \
  F(begin_and_end_beyond_count, EVERY, RANGE, c->begin = c->end = BLOCKS + 1) \
  F(end_is_minimum, EVERY, RANGE, c->begin = c->end = INT64_MIN) \
  F(count_negative, EVERY, RANGE, c->m->table.block_count = -1) \
  F(tensor_negative, EVERY, RANGE, c->m->blocks[LAST_BLOCK].tensor = -1) \
  F(tensor_beyond_count, EVERY, RANGE, c->m->blocks[LAST_BLOCK].tensor = 3) \
  F(tensor_count_zero, EVERY, RANGE, c->m->table.tensor_count = 0) \
  F(block_begin_negative, EVERY, RANGE, c->m->blocks[LAST_BLOCK].begin = -1) \
  F(block_begin_beyond_end, EVERY, RANGE, c->m->blocks[LAST_BLOCK].begin = 34) \
  F(block_end_beyond_numel, EVERY, RANGE, c->m->blocks[LAST_BLOCK].end = 34) \
  F(block_end_huge, EVERY, RANGE, c->m->blocks[LAST_BLOCK].end = INT64_MAX) \
  F(numel_negative, EVERY, RANGE, c->m->tensors[LAST_TENSOR].numel = -1) \
  F(scalars_beyond_count, EVERY, RANGE, c->m->tensors[LAST_TENSOR].scalars = ROWS) \
  F(scalars_below_minus_one, EVERY, RANGE, c->m->tensors[LAST_TENSOR].scalars = -2) \
  F(scalars_count_small, EVERY, RANGE, c->m->table.scalars_count = 2) \
  F(param_type, EVERY, TYPE, c->m->tensors[LAST_TENSOR].param_type = 3) \
  F(grad_type, EVERY, TYPE, c->m->tensors[LAST_TENSOR].grad_type = 4) \
  F(anchor_type, EVERY, TYPE, c->m->tensors[LAST_TENSOR].anchor_type = -1) \
  F(moment_type, EVERY, TYPE, c->m->tensors[LAST_TENSOR].moment_type = INT32_MIN) \
  F(low_of_float32, EVERY, TYPE, c->m->tensors[LAST_TENSOR].param_low = c->m->tensors[LAST_TENSOR].param) \
  F(low_of_float16, EVERY, TYPE, c->m->tensors[LAST_TENSOR].param_low = c->m->tensors[LAST_TENSOR].param; \
    c->m->tensors[LAST_TENSOR].param_type = SPD4J_TYPE_FLOAT16) \
  F(amsgrad_in_8bit, EVERY, TYPE, c->m->tensors[LAST_TENSOR].moment_type = SPD4J_MOMENTS_8BIT) \
  F(offset_in_a_block, EVERY, RANGE, in_bfloat16(c)->offset = SPD4J_BLOCK + 1) \
  F(offset_negative, EVERY, RANGE, in_bfloat16(c)->offset = -SPD4J_BLOCK) \
  F(block_begin_in_a_block, EVERY, RANGE, in_bfloat16(c); c->m->blocks[LAST_BLOCK].begin = 32) \
  F(block_end_in_a_block, EVERY, RANGE, in_bfloat16(c); c->m->blocks[LAST_BLOCK].end = 32) \
  F(no_step_for_random_bits, UPDATE | PROJECT, NULL, in_bfloat16(c); c->m->table.scalars = NULL) \
  F(rule_unknown, UPDATE, RULE, c->m->scalars[2].rule = SPD4J_RULE_COUNT) \
  F(rule_negative, UPDATE, RULE, c->m->scalars[2].rule = -1) \
  F(isa_negative, EVERY, ISA, c->m->isa = -1) \
  F(isa_beyond, EVERY, ISA, c->m->isa = 3) \
  F(isa_huge, EVERY, ISA, c->m->isa = INT32_MAX)

/* The last tensor, now with arrays of bfloat16, which the arrays of float32 have more than enough room for. */
static spd4j_tensor *in_bfloat16(call *c) {
  spd4j_tensor *t = &c->m->tensors[LAST_TENSOR];
  t->param_type = t->grad_type = t->anchor_type = SPD4J_TYPE_BFLOAT16;
  t->moment_type = SPD4J_MOMENTS_BFLOAT16;
  return t;
}

#define MAKE(name, by, status, statement) \
  static void name(call *c) { statement; }
FAULTS(MAKE)

static const struct {
  const char *name;
  void (*make)(call *c);
  int refused_by;
  spd4j_status status;
} faults[] = {
#define REFUSED(name, by, status, statement) {#name, name, by, SPD4J_ERROR_##status},
    FAULTS(REFUSED)};

static model *new_model(void) {
  model *m = model_new(three, 3, 1, 42);
  model_scalars(m, 1, 1.0f);
  for (int i = 0; i < 3; i++) m->tensors[i].shrink = 0.1f;
  return m;
}

/* A pass works without what it does not need. Every other fault stops it before its first write. */
static void faults_are_refused_before_anything_is_written(void) {
  for (size_t f = 0; f < sizeof faults / sizeof faults[0]; f++)
    for (int p = 0; p < PASSES; p++) {
      model *m = new_model(), *before = model_copy(m);
      call c = {m, &m->table, 0, BLOCKS};
      faults[f].make(&c);
      const spd4j_status expected = faults[f].refused_by & 1 << p ? faults[f].status : SPD4J_OK;
      const int32_t status = passes[p](c.table, m->isa, c.begin, c.end, NO_HOLDS);
      CHECK(status == (int32_t)expected, "%s, %s: status %d", faults[f].name, pass_names[p], status);
      if (expected != SPD4J_OK)
        CHECK(model_same(m, before, false), "%s: %s wrote and then refused", faults[f].name, pass_names[p]);
      CHECK(model_guards_intact(m), "%s, %s", faults[f].name, pass_names[p]);
      model_free(m);
      model_free(before);
    }
}

static void a_fault_outside_the_run_is_ignored(void) {
  for (int p = 0; p < PASSES; p++) {
    model *m = new_model();
    m->blocks[LAST_BLOCK].tensor = 99;
    CHECK(passes[p](&m->table, m->isa, 0, LAST_BLOCK, NO_HOLDS) == SPD4J_OK, "%s", pass_names[p]);
    CHECK(passes[p](&m->table, m->isa, 0, LAST_BLOCK + 1, NO_HOLDS) == SPD4J_ERROR_RANGE, "%s", pass_names[p]);
    model_free(m);
  }
}

/* Each pass writes in a valid call, or the test that a refused call writes nothing would prove nothing. */
static void valid_calls_write(void) {
  for (int p = 0; p < PASSES; p++) {
    model *m = new_model();
    float *param = model_data(m, LAST_TENSOR, PARAM);
    const float old_param = param[0];
    m->sums[LAST_BLOCK].grad_sq = -1.0;
    CHECK(passes[p](&m->table, m->isa, 0, BLOCKS, NO_HOLDS) == SPD4J_OK, "%s", pass_names[p]);
    CHECK((param[0] != old_param) == (p < 2), "%s", pass_names[p]);
    CHECK((m->sums[LAST_BLOCK].grad_sq >= 0) == (p == 2), "%s", pass_names[p]);
    model_free(m);
  }
}

static void only_the_run_is_changed(void) {
  for (int64_t begin = 0; begin <= BLOCKS; begin++)
    for (int64_t end = begin; end <= BLOCKS; end++) {
      model *m = new_model(), *expected = model_copy(m);
      CHECK(spd4j_update(&m->table, m->isa, begin, end, NO_HOLDS) == SPD4J_OK, "update");
      reference_update(&expected->table, begin, end);
      CHECK(model_same(m, expected, false), "update of [%lld, %lld)", (long long)begin, (long long)end);
      CHECK(spd4j_project(&m->table, m->isa, begin, end, NO_HOLDS) == SPD4J_OK, "project");
      reference_project(&expected->table, begin, end);
      CHECK(model_same(m, expected, false), "project of [%lld, %lld)", (long long)begin, (long long)end);
      CHECK(spd4j_grad_sq(&m->table, m->isa, begin, end, NO_HOLDS) == SPD4J_OK, "grad_sq");
      reference_grad_sq(&expected->table, begin, end);
      CHECK(model_same(m, expected, false), "grad_sq of [%lld, %lld)", (long long)begin, (long long)end);
      model_free(m);
      model_free(expected);
    }
}

/* Such a tensor may lack its arrays or have unknown types. */
static void tensors_without_scalars_are_skipped(void) {
  for (int p = 0; p < PASSES; p++) {
    model *m = new_model(), *before = model_copy(m);
    for (int i = 0; i < 3; i++) m->tensors[i].scalars = -1;
    CHECK(passes[p](&m->table, m->isa, 0, BLOCKS, NO_HOLDS) == SPD4J_OK, "%s", pass_names[p]);
    memset(m->tensors, 0, 3 * sizeof *m->tensors);
    for (int i = 0; i < 3; i++) m->tensors[i].scalars = -1, m->tensors[i].param_type = 9, m->tensors[i].shrink = 1.0f;
    CHECK(passes[p](&m->table, m->isa, 0, BLOCKS, NO_HOLDS) == SPD4J_OK, "%s", pass_names[p]);
    CHECK(model_same(m, before, false), "%s", pass_names[p]);
    model_free(m);
    model_free(before);
  }
}

static void project_changes_only_parameters_that_shrink(void) {
  static const float shrinks[] = {0.0f, -0.0f, -1.0f, NAN, -INFINITY, 0x1p-149f, 0.25f, 1.0f};
  for (int s = 0; s < 8; s++) {
    model *m = new_model(), *before = model_copy(m);
    for (int i = 0; i < 3; i++) m->tensors[i].shrink = i == 1 ? shrinks[s] : 0.0f;
    CHECK(spd4j_project(&m->table, m->isa, 0, BLOCKS, NO_HOLDS) == SPD4J_OK, "shrink %g", (double)shrinks[s]);
    float *param = model_data(m, 1, PARAM), *old_param = model_data(before, 1, PARAM);
    for (int i = 0; i < 70; i++) {
      const float pull = shrinks[s] * old_param[i];
      const float right = shrinks[s] > 0 ? old_param[i] - pull : old_param[i];
      CHECK(memcmp(&param[i], &right, sizeof right) == 0, "shrink %g: %a", (double)shrinks[s], (double)param[i]);
    }
    memcpy(old_param, param, 70 * sizeof *param);
    CHECK(model_same(m, before, false), "shrink %g", (double)shrinks[s]);
    model_free(m);
    model_free(before);
  }
}

/* The Java bindings compare the values with the header when they load the library. */
static void the_layout_is_written_up_to_the_capacity(void) {
  enum { MOST = 1000, UNTOUCHED = -77 };
  int64_t all[MOST];
  const int64_t count = spd4j_layout(all, MOST);
  CHECK(spd4j_abi_version() == SPD4J_ABI_VERSION, "version %d", spd4j_abi_version());
  CHECK(count > 0 && count < MOST - 2, "count %lld", (long long)count);
  CHECK(spd4j_layout(NULL, 0) == count, "count");
  CHECK(spd4j_layout(NULL, MOST) == count, "no values");
  for (int64_t capacity = -1; capacity <= count + 1; capacity++) {
    int64_t values[MOST];
    for (int i = 0; i < count + 2; i++) values[i] = UNTOUCHED;
    CHECK(spd4j_layout(values, capacity) == count, "capacity %lld", (long long)capacity);
    for (int i = 0; i < count + 2; i++) {
      const int64_t right = i < count && i < capacity ? all[i] : UNTOUCHED;
      CHECK(values[i] == right, "capacity %lld, value %d: %lld", (long long)capacity, i, (long long)values[i]);
    }
  }
}

enum { THREADS = 4 };

typedef struct run {
  const spd4j_table *table;
  int32_t isa;
  int64_t begin, end;
  int32_t status;
} run;

static void *run_passes(void *argument) {
  run *r = argument;
  r->status = spd4j_grad_sq(r->table, r->isa, r->begin, r->end, NO_HOLDS);
  if (r->status == SPD4J_OK) r->status = spd4j_update(r->table, r->isa, r->begin, r->end, NO_HOLDS);
  if (r->status == SPD4J_OK) r->status = spd4j_project(r->table, r->isa, r->begin, r->end, NO_HOLDS);
  return NULL;
}

static void four_threads_give_the_bits_of_one(void) {
  enum { TENSORS = 40 };
  spec specs[TENSORS];
  for (int i = 0; i < TENSORS; i++) specs[i] = (spec){i * 997, i % (ROWS + 1) - 1, i & 1, i >> 1 & 1};
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++) {
    model *m = model_new(specs, TENSORS, 3, 8);
    m->isa = isa;
    model_scalars(m, 1, 1.0f);
    for (int i = 0; i < TENSORS; i++) m->tensors[i].shrink = i % 3 ? 0.3f : 0.0f;
    model *alone = model_copy(m);
    const int64_t n = m->table.block_count;
    run all = {&alone->table, isa, 0, n, -1};
    run_passes(&all);
    CHECK(all.status == SPD4J_OK, "status %d", all.status);
    pthread_t threads[THREADS];
    run runs[THREADS];
    for (int i = 0; i < THREADS; i++) {
      runs[i] = (run){&m->table, isa, n * i / THREADS, n * (i + 1) / THREADS, -1};
      if (pthread_create(&threads[i], NULL, run_passes, &runs[i]) != 0) abort();
    }
    for (int i = 0; i < THREADS; i++) {
      pthread_join(threads[i], NULL);
      CHECK(runs[i].status == SPD4J_OK, "status %d", runs[i].status);
    }
    CHECK(model_same(m, alone, false), "tier %d", isa);
    CHECK(model_guards_intact(m), "tier %d", isa);
    model_free(m);
    model_free(alone);
  }
}

/* Compares the last block of arrays of over 2^32 elements with the same block alone. Only its pages are touched. */
static void elements_beyond_32_bits(void) {
  const int64_t begin = ((int64_t)1 << 32) + SPD4J_BLOCK, n = SPD4J_BLOCK - 3;
  const size_t bytes = (size_t)(begin + n) * sizeof(float);
  float *huge[PARAM_LOW];
  for (int a = 0; a < PARAM_LOW; a++) {
    huge[a] = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (huge[a] == MAP_FAILED) {
      printf("skipped: the system refuses to map %zu bytes, even unused\n", bytes);
      while (a-- > 0) munmap(huge[a], bytes);
      return;
    }
  }
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (int64_t rule = 0; rule < ROWS; rule++) {
      const spec one = {n, rule, true, true};
      model *m = model_new(&one, 1, 0, 17);
      model_scalars(m, 1, 1.0f);
      m->tensors[0].shrink = 0.5f;
      for (int a = 0; a < PARAM_LOW; a++) memcpy(huge[a] + begin, m->arrays[0][a].data, m->arrays[0][a].size);
      spd4j_tensor t = m->tensors[0];
      t.param = huge[PARAM], t.grad = huge[GRAD], t.anchor = huge[ANCHOR];
      t.exp_avg = huge[EXP_AVG], t.exp_avg_sq = huge[EXP_AVG_SQ], t.max_exp_avg_sq = huge[MAX_EXP_AVG_SQ];
      t.numel = begin + n;
      const spd4j_block b = {0, begin, begin + n};
      spd4j_sums sums = m->sums[0];
      spd4j_table table = m->table;
      table.tensors = &t, table.blocks = &b, table.sums = &sums;
      run all = {&table, isa, 0, 1, -1};
      run_passes(&all);
      CHECK(all.status == SPD4J_OK, "status %d", all.status);
      reference_grad_sq(&m->table, 0, 1);
      reference_update(&m->table, 0, 1);
      reference_project(&m->table, 0, 1);
      for (int a = 0; a < PARAM_LOW; a++)
        CHECK(memcmp(huge[a] + begin, m->arrays[0][a].data, m->arrays[0][a].size) == 0, "tier %d, rule %lld, array %d",
              isa, (long long)rule, a);
      CHECK(memcmp(&sums, &m->sums[0], sizeof sums) == 0, "tier %d, rule %lld", isa, (long long)rule);
      model_free(m);
    }
  for (int a = 0; a < PARAM_LOW; a++) munmap(huge[a], bytes);
}

int main(void) {
  test("faults are refused before anything is written", faults_are_refused_before_anything_is_written);
  test("a fault outside the run is ignored", a_fault_outside_the_run_is_ignored);
  test("valid calls write", valid_calls_write);
  test("only the run is changed", only_the_run_is_changed);
  test("tensors without scalars are skipped", tensors_without_scalars_are_skipped);
  test("project changes only parameters that shrink", project_changes_only_parameters_that_shrink);
  test("the layout is written up to the capacity", the_layout_is_written_up_to_the_capacity);
  test("four threads give the bits of one", four_threads_give_the_bits_of_one);
  test("elements beyond 32 bits", elements_beyond_32_bits);
  return finish();
}
