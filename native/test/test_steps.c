/* Tests that every tier, rule and shape gives the bits of the reference. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "reference.h"
#include "testing.h"

enum { B = SPD4J_BLOCK, G = SPD4J_SCALE_GROUP };
static const int64_t sizes[] = {0, 1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, B - 1, B, B + 1, 3 * B + 7};
enum { SIZES = sizeof sizes / sizeof sizes[0], STEPS = 3 };

/* Every type of every array, alone and mixed. */
#define F32 SPD4J_TYPE_FLOAT32
#define BF16 SPD4J_TYPE_BFLOAT16
#define F16 SPD4J_TYPE_FLOAT16
static const types typed[] = {
    {F32, false, BF16, F16, SPD4J_MOMENTS_FLOAT32},  {F32, false, F16, F32, SPD4J_MOMENTS_BFLOAT16},
    {BF16, true, F32, F32, SPD4J_MOMENTS_FLOAT32},   {BF16, true, BF16, F16, SPD4J_MOMENTS_BFLOAT16},
    {BF16, false, BF16, BF16, SPD4J_MOMENTS_BFLOAT16}, {BF16, false, F32, F32, SPD4J_MOMENTS_FLOAT32},
    {F16, false, F16, F16, SPD4J_MOMENTS_FLOAT32},   {F16, false, BF16, F32, SPD4J_MOMENTS_BFLOAT16},
    {BF16, true, BF16, BF16, SPD4J_MOMENTS_8BIT},    {F32, false, F32, F32, SPD4J_MOMENTS_8BIT},
    {BF16, false, F32, F16, SPD4J_MOMENTS_8BIT},     {F16, false, BF16, F32, SPD4J_MOMENTS_8BIT},
};
enum { TYPED = sizeof typed / sizeof typed[0] };

/* Runs all passes over all blocks, on m with the kernels and on expected with the reference, and compares the two. */
static void all_passes(int32_t isa, model *m, model *expected, bool nan_ok) {
  static const struct {
    const char *name;
    pass_function *run;
    void (*reference)(const spd4j_table *, int64_t, int64_t);
  } passes[] = {
      {"grad_sq", spd4j_grad_sq, reference_grad_sq},
      {"update", spd4j_update, reference_update},
      {"project", spd4j_project, reference_project},
  };
  m->isa = isa;
  for (int p = 0; p < 3; p++) {
    const int32_t status = passes[p].run(&m->table, isa, 0, m->table.block_count, NO_HOLDS);
    passes[p].reference(&expected->table, 0, m->table.block_count);
    CHECK(status == SPD4J_OK, "%s at tier %d: status %d", passes[p].name, isa, status);
    CHECK(model_same(m, expected, nan_ok), "%s at tier %d, rule %lld", passes[p].name, isa,
          (long long)m->tensors[0].scalars);
    CHECK(model_guards_intact(m), "%s at tier %d wrote outside an array", passes[p].name, isa);
  }
}

/* Sets the shrinks so that some tensors are projected and some are not. */
static void model_shrink(model *m) {
  static const float shrinks[] = {0.37f, 0.0f, 1.0f, -0.5f, 1e-3f, NAN, 0.0131f};
  for (int64_t i = 0; i < m->table.tensor_count; i++) m->tensors[i].shrink = shrinks[i % 7];
}

static void typed_steps(int32_t isa, const spec *specs, int64_t tensors, const types *types, int type_count, int skew,
                        float grad_scale, uint64_t seed) {
  model *m = model_new_typed(specs, tensors, types, type_count, skew, seed), *expected = model_copy(m);
  model *const models[] = {m, expected};
  for (int t = 1; t <= STEPS; t++) {
    for (int i = 0; i < 2; i++) {
      model_gradients(models[i], seed + (uint64_t)t);
      model_scalars(models[i], t, grad_scale);
      model_shrink(models[i]);
    }
    all_passes(isa, m, expected, false);
  }
  model_free(m);
  model_free(expected);
}

static void steps(int32_t isa, const spec *specs, int64_t tensors, int skew, float grad_scale, uint64_t seed) {
  const types float32 = {F32, false, F32, F32, SPD4J_MOMENTS_FLOAT32};
  typed_steps(isa, specs, tensors, &float32, 1, skew, grad_scale, seed);
}

static void every_tier_rule_shape_and_offset(void) {
  static const float grad_scales[] = {1.0f, -1.0f, 0.37f};
  static const int skews[] = {0, 1, 6, 15};
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (int variant = 0; variant < ROWS * 2 * 2; variant++)
      for (int scale = 0; scale < 3; scale++)
        for (int skew = 0; skew < 4; skew++) {
          spec specs[SIZES];
          for (int i = 0; i < SIZES; i++) specs[i] = (spec){sizes[i], variant / 4, variant & 1, variant >> 1 & 1};
          steps(isa, specs, SIZES, skews[skew], grad_scales[scale], (uint64_t)(variant * 100 + scale * 10 + skew));
        }
}

static void every_tier_rule_shape_and_type(void) {
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (int variant = 0; variant < ROWS * 2 * 2; variant++)
      for (int t = 0; t < TYPED; t++) {
        /* Tails of rows, tiles and groups of moments, and a second block. */
        static const int64_t tails[] = {0, 1, 2, 31, 63, 64, 65, 255, 256, 257, B + 1};
        enum { TAILS = sizeof tails / sizeof tails[0] };
        spec specs[TAILS];
        for (int i = 0; i < TAILS; i++) specs[i] = (spec){tails[i], variant / 4, variant & 1, variant >> 1 & 1};
        typed_steps(isa, specs, TAILS, &typed[t], 1, t % 4 * 5, 0.37f, (uint64_t)(variant * 100 + t));
      }
}

static void rules_and_types_mixed_in_one_table(void) {
  enum { COUNT = 48 };
  uint64_t random = 7;
  spec specs[COUNT];
  for (int i = 0; i < COUNT; i++)
    specs[i] = (spec){sizes[next_random(&random) % SIZES], (int64_t)(next_random(&random) % (ROWS + 1)) - 1,
                      next_random(&random) & 1, next_random(&random) & 1};
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++) {
    steps(isa, specs, COUNT, 3, 1.0f, 11);
    typed_steps(isa, specs, COUNT, typed, TYPED, 3, 1.0f, 12);
  }
}

/* With decisions in the table, an update decides on the tensors that its run holds whole, and on no others. */
static void an_update_decides_on_whole_tensors(void) {
  enum { COUNT = 70, RUNS = 5 };
  uint64_t random = 23;
  spec specs[COUNT];
  for (int i = 0; i < COUNT; i++) /* most with SPD; two have more blocks than there are lanes across blocks */
    specs[i] = (spec){i % 40 == 7 ? 71 * B + 5 : sizes[next_random(&random) % SIZES],
                      next_random(&random) % 4 ? SPD4J_RULE_SPD : (int64_t)(next_random(&random) % (ROWS + 1)) - 1,
                      next_random(&random) & 1, next_random(&random) & 1};
  /* With float32 only, and with all types. */
  for (int32_t isa = 0, kind = 0; isa <= spd4j_best_isa(); isa += kind, kind = !kind) {
    model *m = kind == 0 ? model_new(specs, COUNT, 3, 5) : model_new_typed(specs, COUNT, typed, TYPED, 3, 5);
    model *expected = model_copy(m);
    model *const models[] = {m, expected};
    const int64_t blocks = m->table.block_count;
    m->table.decisions = m->decisions, expected->table.decisions = expected->decisions;
    int64_t projected = 0, left = 0;
    for (int t = 1; t <= STEPS; t++) {
      for (int i = 0; i < 2; i++) model_gradients(models[i], (uint64_t)t), model_scalars(models[i], t, 1.0f);
      int64_t cuts[RUNS + 1] = {0};
      for (int r = 1; r < RUNS; r++) cuts[r] = (blocks * r + (int64_t)(next_random(&random) % 40)) / RUNS;
      cuts[RUNS] = blocks;
      for (int r = 1; t == 1 && r < RUNS; r++) cuts[r] = blocks; /* in the first step one run holds all blocks */
      for (int r = 0; r < RUNS; r++) {
        CHECK(spd4j_update(&m->table, isa, cuts[r], cuts[r + 1], NO_HOLDS) == SPD4J_OK, "tier %d", isa);
        reference_update(&expected->table, cuts[r], cuts[r + 1]);
        reference_complete(&expected->table, cuts[r], cuts[r + 1]);
        CHECK(model_same(m, expected, false), "tier %d, step %d, run %d", isa, t, r);
      }
      for (int i = 0; i < COUNT; i++) {
        const bool spd = specs[i].scalars == SPD4J_RULE_SPD;
        projected += spd && m->decisions[i].step == t && m->decisions[i].shrink > 0;
        left += spd && m->decisions[i].step < t;
      }
    }
    CHECK(model_guards_intact(m), "tier %d wrote outside an array", isa);
    CHECK(projected > 20 && left > 0, "%lld projected, %lld left", (long long)projected, (long long)left);
    model_free(m);
    model_free(expected);
  }
}

/* A shard from a later block on, with its offset, gets the bits of the whole tensor. 8-bit moments are arrays of its own. */
static void a_shard_gets_the_bits_of_the_whole_tensor(void) {
  enum { CUT = 2 };
  const int64_t numel = 3 * B + 7;
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (int k = 0; k < TYPED; k++) {
      const spec one = {numel, SPD4J_RULE_SPD, true, true};
      model *m = model_new_typed(&one, 1, &typed[k], 1, 3, 19);
      model_scalars(m, 3, 1.0f);
      m->tensors[0].shrink = 0.25f;
      model *expected = model_copy(m);
      CHECK(spd4j_update(&expected->table, isa, 0, 4, NO_HOLDS) == SPD4J_OK, "the whole");
      CHECK(spd4j_project(&expected->table, isa, 0, 4, NO_HOLDS) == SPD4J_OK, "the whole");

      spd4j_tensor *t = &m->tensors[0], shard = *t;
      shard.offset += CUT * B, shard.numel -= CUT * B;
      unsigned char *moments[2] = {shard.exp_avg, shard.exp_avg_sq};
      const int64_t skip = CUT * B * (t->moment_type == SPD4J_MOMENTS_FLOAT32 ? 4 : 2);
      if (t->moment_type == SPD4J_MOMENTS_8BIT)
        for (int a = 0; a < 2; a++) {
          const unsigned char *whole = moments[a];
          const size_t codes = (size_t)shard.numel, scales = (codes + G - 1) / G * sizeof(float);
          moments[a] = calloc(1, codes + 3 + scales);
          memcpy(moments[a], whole + CUT * B, codes);
          memcpy(moments[a] + (codes + 3) / 4 * 4, whole + (numel + 3) / 4 * 4 + CUT * B / G * 4, scales);
        }
      else
        for (int a = 0; a < 2; a++) moments[a] += skip;
      const int64_t width = t->param_type == F32 ? 4 : 2;
      shard.param = (char *)t->param + CUT * B * width;
      if (t->param_low) shard.param_low = (char *)t->param_low + CUT * B * 2;
      shard.grad = (const char *)t->grad + CUT * B * (t->grad_type == F32 ? 4 : 2);
      shard.anchor = (const char *)t->anchor + CUT * B * (t->anchor_type == F32 ? 4 : 2);
      shard.exp_avg = moments[0], shard.exp_avg_sq = moments[1];
      if (t->max_exp_avg_sq) shard.max_exp_avg_sq = (char *)t->max_exp_avg_sq + skip;
      const spd4j_block blocks[] = {{0, 0, B}, {0, B, numel - CUT * B}};
      spd4j_table table = m->table;
      table.tensors = &shard, table.blocks = blocks, table.block_count = 2, table.sums = m->sums + CUT;
      CHECK(spd4j_update(&table, isa, 0, 2, NO_HOLDS) == SPD4J_OK, "the shard");
      CHECK(spd4j_project(&table, isa, 0, 2, NO_HOLDS) == SPD4J_OK, "the shard");
      for (int64_t i = CUT * B; i < numel; i++)
        CHECK(model_get(m, 0, PARAM, i) == model_get(expected, 0, PARAM, i), "types %d, element %lld", k, (long long)i);
      CHECK(memcmp(&m->sums[CUT], &expected->sums[CUT], 2 * sizeof *m->sums) == 0, "types %d", k);
      const size_t bytes = (size_t)shard.numel * (t->moment_type == SPD4J_MOMENTS_8BIT ? 1 : (size_t)skip / (CUT * B));
      const int64_t from = t->moment_type == SPD4J_MOMENTS_8BIT ? CUT * B : skip;
      for (int a = 0; a < 2; a++) {
        const unsigned char *whole = expected->arrays[0][EXP_AVG + a].data;
        CHECK(memcmp(moments[a], whole + from, bytes) == 0, "types %d, moment %d", k, a);
        if (t->moment_type == SPD4J_MOMENTS_8BIT) free(moments[a]);
      }
      model_free(m);
      model_free(expected);
    }
}

/* A block of float32 arrays may begin anywhere: lanes count from its first element. */
static void blocks_that_begin_between_lanes(void) {
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (int64_t rule = 0; rule < ROWS; rule++) {
      const spec one = {1000, rule, true, false};
      model *m = model_new(&one, 1, 5, 3);
      m->blocks[0] = (spd4j_block){0, 37, 37 + 150};
      model_scalars(m, 1, 1.0f);
      m->tensors[0].shrink = 0.25f;
      model *expected = model_copy(m);
      all_passes(isa, m, expected, false);
      model_free(m);
      model_free(expected);
    }
}

/* Compares the kernels with formulas worked out by hand, in double, for one element at its first step. */
static void first_step_worked_out_by_hand(void) {
  const double lr = 0.01, lambda = 0.3, param = 1.5, anchor = 0.7, grad = 0.2;
  const double pulled = grad + lambda * (param - anchor);
  /* At the first step the update is lr times the gradient's sign. */
  const double expected[ROWS] = {
      [SPD4J_RULE_ADAMW] = param * (1 - lr * lambda) - lr,
      [SPD4J_RULE_L2SP] = param - lr * lambda * (param - anchor) - lr,
      [SPD4J_RULE_L2SP_COUPLED] = param - lr,
      [SPD4J_RULE_SPD] = param - lr,
      [SPD4J_RULE_CAUTIOUS] = param - lr * lambda * (param - anchor) - lr,
  };
  for (int rule = 0; rule < ROWS; rule++) {
    const spec one = {1, rule, true, true};
    model *m = model_new(&one, 1, 0, 1);
    model_scalars(m, 1, 1.0f);
    *model_data(m, 0, PARAM) = (float)param;
    *model_data(m, 0, ANCHOR) = (float)anchor;
    *model_data(m, 0, GRAD) = (float)grad;
    *model_data(m, 0, EXP_AVG) = *model_data(m, 0, EXP_AVG_SQ) = *model_data(m, 0, MAX_EXP_AVG_SQ) = 0.0f;
    m->tensors[0].shrink = 0.5f;
    CHECK(spd4j_update(&m->table, m->isa, 0, 1, NO_HOLDS) == SPD4J_OK, "rule %d", rule);
    const double g = rule == SPD4J_RULE_L2SP_COUPLED ? pulled : grad, new_param = (double)*model_data(m, 0, PARAM);
    CHECK(fabs(new_param - expected[rule]) < 1e-6, "rule %d: %g", rule, new_param);
    CHECK(fabs((double)*model_data(m, 0, EXP_AVG) - 0.1 * g) < 1e-7, "rule %d", rule);
    CHECK(fabs((double)*model_data(m, 0, EXP_AVG_SQ) - 0.001 * g * g) < 1e-9, "rule %d", rule);
    CHECK(*model_data(m, 0, MAX_EXP_AVG_SQ) == *model_data(m, 0, EXP_AVG_SQ), "rule %d", rule);
    if (rule == SPD4J_RULE_SPD) {
      CHECK(fabs(m->sums->grad_dot - grad * (param - anchor)) < 1e-7, "%g", m->sums->grad_dot);
      CHECK(fabs(m->sums->dev_sq - 0.8 * 0.8) < 1e-6, "%g", m->sums->dev_sq);
      CHECK(fabs(m->sums->new_dev_sq - 0.79 * 0.79) < 1e-6, "%g", m->sums->new_dev_sq);
      CHECK(spd4j_project(&m->table, m->isa, 0, 1, NO_HOLDS) == SPD4J_OK, "rule %d", rule);
      const double projected = (double)*model_data(m, 0, PARAM);
      CHECK(fabs(projected - (anchor + 0.5 * 0.79)) < 1e-6, "%g", projected);
    }
    model_free(m);
  }
}

static const float specials[] = {0.0f,     -0.0f,   0x1p-149f, -0x1p-149f, 0x1.8p-130f, -0x1.8p-130f, FLT_MIN, -FLT_MIN,
                                 FLT_MAX,  -FLT_MAX, INFINITY, -INFINITY,  NAN,         1.0f,         -1.0f,   1e-30f,
                                 1.5e20f};
enum { SPECIALS = sizeof specials / sizeof specials[0] };

static void nan_infinity_and_subnormals(void) {
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (int variant = 0; variant < ROWS * 2 * 2 * 2; variant++) {
      /* Many short blocks, so that not every sum is NaN. */
      enum { COUNT = 400 };
      spec specs[COUNT];
      for (int i = 0; i < COUNT; i++)
        specs[i] = (spec){i < 8 ? 997 : 3 + i % 7, variant / 8, variant & 1, variant >> 1 & 1};
      uint64_t random = (uint64_t)variant;
      model *m = variant & 4 ? model_new_typed(specs, COUNT, typed, TYPED, 2, random) : model_new(specs, COUNT, 2, random);
      for (int64_t i = 0; i < COUNT; i++)
        for (int a = 0; a < PARAM_LOW; a++)
          for (int64_t j = 0; model_data(m, i, a) && j < specs[i].numel; j++)
            if (next_random(&random) % 3 == 0) model_set(m, i, a, j, specials[next_random(&random) % SPECIALS]);
      model_scalars(m, 2, 1.0f);
      model_shrink(m);
      model *expected = model_copy(m);
      all_passes(isa, m, expected, true);

      m->table.decisions = m->decisions, expected->table.decisions = expected->decisions;
      CHECK(spd4j_update(&m->table, isa, 0, m->table.block_count, NO_HOLDS) == SPD4J_OK, "tier %d", isa);
      reference_update(&expected->table, 0, m->table.block_count);
      reference_complete(&expected->table, 0, m->table.block_count);
      CHECK(model_same(m, expected, true), "with decisions at tier %d, rule %d", isa, variant / 8);
      model_free(m);
      model_free(expected);
    }
}

static void amsgrad_maximum_is_nan_if_either_is(void) {
  static const float pairs[][2] = {{NAN, 1.0f}, {1.0f, NAN}, {NAN, NAN}, {2.0f, 1.0f}, {1.0f, 2.0f}};
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (int64_t rule = 0; rule < ROWS; rule++) {
      const spec one = {100, rule, false, true};
      model *m = model_new(&one, 1, 0, 5);
      model_scalars(m, 1, 1.0f);
      for (int i = 0; i < 100; i++) {
        model_data(m, 0, MAX_EXP_AVG_SQ)[i] = pairs[i % 5][0];
        model_data(m, 0, EXP_AVG_SQ)[i] = pairs[i % 5][1];
      }
      m->isa = isa;
      CHECK(spd4j_update(&m->table, m->isa, 0, 1, NO_HOLDS) == SPD4J_OK, "tier %d", isa);
      for (int i = 0; i < 100; i++) {
        const float max = model_data(m, 0, MAX_EXP_AVG_SQ)[i], v = model_data(m, 0, EXP_AVG_SQ)[i];
        CHECK(isnan(max) == (i % 5 < 3), "tier %d, element %d: %g", isa, i, (double)max);
        CHECK(isnan(model_data(m, 0, PARAM)[i]) == (i % 5 < 3), "tier %d, element %d", isa, i);
        if (i % 5 == 3) CHECK(max == 2.0f, "tier %d: %g", isa, (double)max);
        if (i % 5 == 4) CHECK(max == v, "tier %d: %g", isa, (double)max);
      }
      model_free(m);
    }
}

/* With zero gradients, moments and decay no parameter changes, not even a subnormal or the sign of a zero. */
static void subnormals_and_negative_zeros_are_kept(void) {
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++)
    for (int64_t rule = 0; rule < ROWS; rule++) {
      const spec one = {100, rule, false, false};
      model *m = model_new(&one, 1, 0, 5);
      model_scalars(m, 1, 1.0f);
      for (int r = 0; r < ROWS; r++) m->scalars[r].decay = r == SPD4J_RULE_ADAMW ? 1.0f : 0.0f;
      for (int i = 0; i < 100; i++) {
        /* -0 and four subnormals; no -0 for rules that compute -0 - 0 * -0, which is +0. */
        const bool subtracts = rule == SPD4J_RULE_L2SP || rule == SPD4J_RULE_CAUTIOUS;
        model_data(m, 0, PARAM)[i] = subtracts ? specials[2 + i % 4] : specials[1 + i % 5];
        model_data(m, 0, GRAD)[i] = model_data(m, 0, EXP_AVG)[i] = model_data(m, 0, EXP_AVG_SQ)[i] = 0.0f;
      }
      model *before = model_copy(m);
      m->isa = isa;
      CHECK(spd4j_update(&m->table, m->isa, 0, 1, NO_HOLDS) == SPD4J_OK, "tier %d", isa);
      CHECK(memcmp(m->arrays[0][PARAM].data, before->arrays[0][PARAM].data, m->arrays[0][PARAM].size) == 0,
            "tier %d, rule %lld", isa, (long long)rule);
      /* Gradients so small that the first moment is subnormal. */
      for (int i = 0; i < 100; i++) model_data(m, 0, GRAD)[i] = 0x1p-140f;
      CHECK(spd4j_update(&m->table, m->isa, 0, 1, NO_HOLDS) == SPD4J_OK, "tier %d", isa);
      for (int i = 0; i < 100; i++)
        CHECK(model_data(m, 0, EXP_AVG)[i] == m->scalars[rule].one_minus_beta1 * 0x1p-140f &&
                  model_data(m, 0, EXP_AVG)[i] > 0,
              "tier %d, rule %lld", isa, (long long)rule);
      model_free(m);
      model_free(before);
    }
}

static double grad_sq_of(model *m, int32_t isa) {
  m->isa = isa;
  CHECK(spd4j_grad_sq(&m->table, m->isa, 0, 1, NO_HOLDS) == SPD4J_OK, "tier %d", isa);
  return m->sums[0].grad_sq;
}

static void grad_sq_is_finite_exactly_when_all_gradients_are(void) {
  static const float bad[] = {INFINITY, -INFINITY, NAN};
  static const int64_t numels[] = {1, 15, 64, 65, 150};
  for (int32_t isa = 0; isa <= spd4j_best_isa(); isa++) {
    for (int n = 0; n < 5; n++) {
      const spec one = {numels[n], 0, false, false};
      model *m = model_new(&one, 1, 3, 1);
      float *grad = model_data(m, 0, GRAD);
      for (int64_t i = 0; i < numels[n]; i++) {
        const float good = grad[i];
        for (int b = 0; b < 3; b++) {
          grad[i] = bad[b];
          CHECK(!isfinite(grad_sq_of(m, isa)), "tier %d, element %lld of %lld", isa, (long long)i,
                (long long)numels[n]);
        }
        grad[i] = good;
        CHECK(isfinite(grad_sq_of(m, isa)), "tier %d", isa);
      }
      model_free(m);
    }
    const spec block = {SPD4J_BLOCK, 0, false, false};
    model *m = model_new(&block, 1, 0, 1);
    for (int i = 0; i < SPD4J_BLOCK; i++) model_data(m, 0, GRAD)[i] = i % 2 ? FLT_MAX : -FLT_MAX;
    const double largest = SPD4J_BLOCK * ((double)FLT_MAX * (double)FLT_MAX);
    CHECK(fabs(grad_sq_of(m, isa) / largest - 1) < 1e-14, "tier %d: %g", isa, m->sums->grad_sq);
    for (int i = 0; i < SPD4J_BLOCK; i++) model_data(m, 0, GRAD)[i] = 0x1p-149f;
    CHECK(grad_sq_of(m, isa) == SPD4J_BLOCK * 0x1p-298, "tier %d: %g", isa, m->sums->grad_sq);
    model_free(m);
  }
}

int main(void) {
  test("the first step, worked out by hand", first_step_worked_out_by_hand);
  test("an update decides on whole tensors", an_update_decides_on_whole_tensors);
  test("every tier, rule, shape and offset", every_tier_rule_shape_and_offset);
  test("every tier, rule, shape and type", every_tier_rule_shape_and_type);
  test("rules and types mixed in one table", rules_and_types_mixed_in_one_table);
  test("a shard gets the bits of the whole tensor", a_shard_gets_the_bits_of_the_whole_tensor);
  test("blocks that begin between lanes", blocks_that_begin_between_lanes);
  test("NaN, infinity and subnormals", nan_infinity_and_subnormals);
  test("AMSGrad's maximum is NaN if either is", amsgrad_maximum_is_nan_if_either_is);
  test("subnormals and negative zeros are kept", subnormals_and_negative_zeros_are_kept);
  test("grad_sq is finite exactly when all gradients are", grad_sq_is_finite_exactly_when_all_gradients_are);
  return finish();
}
