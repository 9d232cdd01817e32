#include "model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"

enum { ALIGNMENT = 64 };

uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

float random_float(uint64_t *state) {
  const uint64_t bits = next_random(state);
  const float magnitude = (float)((bits >> 40) + 1) * 0x1p-25f; /* (0, 0.5] */
  return ldexpf(bits & 1 ? -magnitude : magnitude, -(int)(bits >> 1 & 7));
}

float *model_data(const model *m, int64_t tensor, int array) {
  const guarded *g = &m->arrays[tensor][array];
  return g->base ? (float *)(void *)g->data : NULL;
}

/* The type of an array's elements, unless they are 8-bit moments. */
static int32_t type_of(const spd4j_tensor *t, int array) {
  switch (array) {
    case PARAM: return t->param_type;
    case GRAD: return t->grad_type;
    case ANCHOR: return t->anchor_type;
    default: return t->moment_type == SPD4J_MOMENTS_BFLOAT16 ? SPD4J_TYPE_BFLOAT16 : SPD4J_TYPE_FLOAT32;
  }
}

static bool in_8bit(const spd4j_tensor *t, int array) {
  return t->moment_type == SPD4J_MOMENTS_8BIT && (array == EXP_AVG || array == EXP_AVG_SQ);
}

/* What the addresses of an array's elements are multiples of. */
static size_t width_of(const spd4j_tensor *t, int array) {
  return array == PARAM_LOW || type_of(t, array) != SPD4J_TYPE_FLOAT32 ? sizeof(uint16_t) : sizeof(float);
}

static size_t size_of(const spd4j_tensor *t, int array) {
  const size_t n = (size_t)t->numel;
  return in_8bit(t, array) ? (n + 3) / 4 * 4 + (n + 63) / 64 * sizeof(float) : n * width_of(t, array);
}

float model_get(const model *m, int64_t tensor, int array, int64_t i) {
  const spd4j_tensor *t = &m->tensors[tensor];
  const void *data = model_data(m, tensor, array);
  if (array == PARAM && t->param_low) return reference_get_split(data, t->param_low, i);
  if (in_8bit(t, array)) return reference_get_8bit(array == EXP_AVG_SQ, data, t->numel, i);
  return reference_get(type_of(t, array), data, i);
}

void model_set(model *m, int64_t tensor, int array, int64_t i, float x) {
  const spd4j_tensor *t = &m->tensors[tensor];
  void *data = model_data(m, tensor, array);
  if (in_8bit(t, array)) {
    float group[SPD4J_SCALE_GROUP];
    const int64_t begin = i / SPD4J_SCALE_GROUP * SPD4J_SCALE_GROUP;
    const int64_t end = begin + SPD4J_SCALE_GROUP < t->numel ? begin + SPD4J_SCALE_GROUP : t->numel;
    for (int64_t j = begin; j < end; j++) group[j - begin] = j == i ? x : model_get(m, tensor, array, j);
    reference_set_group(array == EXP_AVG_SQ, data, t->numel, begin, end, group, 1u << 31);
  } else if (array == PARAM && t->param_low) {
    reference_set_split(data, t->param_low, i, x);
  } else {
    const int32_t type = type_of(t, array);
    reference_set(type, data, i, x, type == SPD4J_TYPE_BFLOAT16 ? 1 << 15 : 1 << 12);
  }
}

static void *allocate(int64_t count, size_t size) {
  void *p = calloc((size_t)count, size);
  if (!p && count > 0) abort();
  return p;
}

/* Points the tables at m's own arrays. */
static void link_tables(model *m) {
  m->sums = (spd4j_sums *)(void *)m->guarded_sums.data;
  m->table.blocks = m->blocks;
  m->table.tensors = m->tensors;
  m->table.scalars = m->scalars;
  m->table.sums = m->sums;
  m->decisions = (spd4j_decision *)(void *)m->guarded_decisions.data;
  if (m->table.decisions) m->table.decisions = m->decisions;
  for (int64_t i = 0; i < m->tensor_count; i++) {
    spd4j_tensor *t = &m->tensors[i];
    t->param = model_data(m, i, PARAM);
    t->param_low = model_data(m, i, PARAM_LOW);
    t->grad = model_data(m, i, GRAD);
    t->anchor = model_data(m, i, ANCHOR);
    t->exp_avg = model_data(m, i, EXP_AVG);
    t->exp_avg_sq = model_data(m, i, EXP_AVG_SQ);
    t->max_exp_avg_sq = model_data(m, i, MAX_EXP_AVG_SQ);
  }
}

model *model_new(const spec *specs, int64_t tensor_count, int skew, uint64_t seed) {
  const types float32 = {0, false, 0, 0, 0};
  return model_new_typed(specs, tensor_count, &float32, 1, skew, seed);
}

static bool has_array(const spec *s, const types *t, int array) {
  switch (array) {
    case ANCHOR: return s->anchored;
    case MAX_EXP_AVG_SQ: return s->amsgrad && t->moments != SPD4J_MOMENTS_8BIT;
    case PARAM_LOW: return t->low;
    default: return true;
  }
}

model *model_new_typed(const spec *specs, int64_t tensor_count, const types *types, int type_count, int skew,
                       uint64_t seed) {
  model *m = allocate(1, sizeof *m);
  int64_t block_count = 0;
  for (int64_t i = 0; i < tensor_count; i++) /* an empty tensor has one empty block here */
    block_count += specs[i].numel == 0 ? 1 : (specs[i].numel + SPD4J_BLOCK - 1) / SPD4J_BLOCK;
  m->table.tensor_count = m->tensor_count = tensor_count;
  m->table.block_count = block_count;
  m->table.scalars_count = ROWS;
  m->tensors = allocate(tensor_count, sizeof *m->tensors);
  m->blocks = allocate(block_count, sizeof *m->blocks);
  m->arrays = allocate(tensor_count, sizeof *m->arrays);
  m->guarded_sums = guarded_new((size_t)block_count * sizeof *m->sums, skew < 0 ? skew : 0);
  m->guarded_decisions = guarded_new((size_t)tensor_count * sizeof *m->decisions, skew < 0 ? skew : 0);

  spd4j_block *b = m->blocks;
  for (int64_t i = 0; i < tensor_count; i++) {
    const int64_t n = specs[i].numel;
    m->tensors[i].numel = n;
    m->tensors[i].scalars = specs[i].scalars;
    m->tensors[i].param_type = types[i % type_count].param;
    m->tensors[i].grad_type = types[i % type_count].grad;
    m->tensors[i].anchor_type = types[i % type_count].anchor;
    m->tensors[i].moment_type = types[i % type_count].moments;
    m->tensors[i].offset = i % 3 * 5 * SPD4J_BLOCK;
    m->tensors[i].key = seed * 31 + (uint64_t)i;
    for (int64_t at = 0; at == 0 || at < n; at += SPD4J_BLOCK)
      *b++ = (spd4j_block){i, at, at + SPD4J_BLOCK < n ? at + SPD4J_BLOCK : n};
    for (int a = 0; a < ARRAYS; a++) {
      if (!has_array(&specs[i], &types[i % type_count], a)) continue;
      const size_t width = width_of(&m->tensors[i], a);
      const size_t offset = skew == 0 ? 0 : (size_t)(skew + a * 7) % (ALIGNMENT / width) * width;
      m->arrays[i][a] = guarded_new(size_of(&m->tensors[i], a), skew < 0 ? skew : (int64_t)offset);
      memset(m->arrays[i][a].data, 0, m->arrays[i][a].size);
    }
  }
  link_tables(m);
  for (int64_t i = 0; i < tensor_count; i++)
    for (int a = 0; a < PARAM_LOW; a++)
      for (int64_t j = 0; model_data(m, i, a) && j < specs[i].numel; j++) {
        const float x = random_float(&seed);
        model_set(m, i, a, j, a == EXP_AVG_SQ || a == MAX_EXP_AVG_SQ ? x * x : x);
      }
  return m;
}

static void *duplicate(const void *p, int64_t count, size_t size) {
  void *copy = allocate(count, size);
  if (count > 0) memcpy(copy, p, (size_t)count * size);
  return copy;
}

model *model_copy(const model *m) {
  model *copy = duplicate(m, 1, sizeof *m);
  copy->tensors = duplicate(m->tensors, m->tensor_count, sizeof *m->tensors);
  copy->blocks = duplicate(m->blocks, m->table.block_count, sizeof *m->blocks);
  copy->arrays = allocate(m->tensor_count, sizeof *m->arrays);
  copy->guarded_sums = guarded_copy(m->guarded_sums);
  copy->guarded_decisions = guarded_copy(m->guarded_decisions);
  for (int64_t i = 0; i < m->tensor_count; i++)
    for (int a = 0; a < ARRAYS; a++) copy->arrays[i][a] = guarded_copy(m->arrays[i][a]);
  link_tables(copy);
  return copy;
}

void model_free(model *m) {
  for (int64_t i = 0; i < m->tensor_count; i++)
    for (int a = 0; a < ARRAYS; a++) guarded_free(m->arrays[i][a]);
  guarded_free(m->guarded_sums);
  guarded_free(m->guarded_decisions);
  free(m->arrays);
  free(m->blocks);
  free(m->tensors);
  free(m);
}

void model_gradients(model *m, uint64_t seed) {
  for (int64_t i = 0; i < m->tensor_count; i++)
    for (int64_t j = 0; j < m->tensors[i].numel; j++) model_set(m, i, GRAD, j, random_float(&seed));
}

static double power(double base, int exponent) {
  double result = 1;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 != 0) result *= base;
    base *= base;
  }
  return result;
}

void model_scalars(model *m, int t, float grad_scale) {
  const double lr = 0.01, lambda = 0.3, beta1 = 0.9, beta2 = 0.999;
  for (int r = 0; r < ROWS; r++)
    m->scalars[r] = (spd4j_scalars){
        .beta1 = (float)beta1,
        .one_minus_beta1 = (float)(1 - beta1),
        .beta2 = (float)beta2,
        .one_minus_beta2 = (float)(1 - beta2),
        .eps = 1e-8f,
        .step_size = (float)(lr / (1 - power(beta1, t))),
        .inv_sqrt_bias2 = (float)(1 / sqrt(1 - power(beta2, t))),
        .decay = (float)reference_decay(r, lr, lambda),
        .grad_scale = grad_scale,
        .rule = r,
        .lambda = lambda,
        .step = t,
    };
}

static bool same_value(double a, double b) { return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b); }

static bool same_array(const model *a, const model *b, int64_t tensor, int array, bool nan_ok) {
  static const char *const names[ARRAYS] = {"param",      "grad",           "anchor",   "exp_avg",
                                            "exp_avg_sq", "max_exp_avg_sq", "param_low"};
  const guarded x = a->arrays[tensor][array], y = b->arrays[tensor][array];
  if (!x.base || memcmp(x.data, y.data, x.size) == 0 || (nan_ok && array == PARAM_LOW)) return true;
  const size_t width = in_8bit(&a->tensors[tensor], array) ? 1 : width_of(&a->tensors[tensor], array);
  for (size_t i = 0; i < x.size / width; i++) {
    if (memcmp(x.data + i * width, y.data + i * width, width) == 0) continue;
    if (width == 1) {
      fprintf(stderr, "%s of tensor %lld, byte %zu of %zu: %d and %d differ\n", names[array], (long long)tensor, i,
              x.size, x.data[i], y.data[i]);
      return false;
    }
    const double dx = (double)model_get(a, tensor, array == PARAM_LOW ? PARAM : array, (int64_t)i);
    const double dy = (double)model_get(b, tensor, array == PARAM_LOW ? PARAM : array, (int64_t)i);
    if (nan_ok && same_value(dx, dy)) continue;
    fprintf(stderr, "%s of tensor %lld, value %zu: %a and %a differ\n", names[array], (long long)tensor, i, dx, dy);
    return false;
  }
  return true;
}

static bool same_doubles(const void *a, const void *b, size_t size, bool nan_ok, const char *name) {
  const double *x = (const double *)a, *y = (const double *)b;
  for (size_t i = 0; i < size / sizeof *x; i++) {
    if (memcmp(&x[i], &y[i], sizeof *x) == 0 || (nan_ok && same_value(x[i], y[i]))) continue;
    fprintf(stderr, "%s, value %zu: %a and %a differ\n", name, i, x[i], y[i]);
    return false;
  }
  return true;
}

/* The last eight bytes of a row are no double: a float, which may be NaN, and what nobody writes. */
static bool same_decisions(guarded a, guarded b, bool nan_ok) {
  for (size_t i = 0; i < a.size / sizeof(spd4j_decision); i++) {
    spd4j_decision x = ((const spd4j_decision *)(const void *)a.data)[i];
    spd4j_decision y = ((const spd4j_decision *)(const void *)b.data)[i];
    if (nan_ok && isnan(x.shrink) && isnan(y.shrink)) x.shrink = y.shrink = 0;
    if (!same_doubles(&x, &y, sizeof x, nan_ok, "decision")) return false;
  }
  return true;
}

bool model_same(const model *a, const model *b, bool nan_ok) {
  for (int64_t i = 0; i < a->tensor_count; i++)
    for (int array = 0; array < ARRAYS; array++)
      if (!same_array(a, b, i, array, nan_ok)) return false;
  const size_t sums = a->guarded_sums.size;
  return same_doubles(a->guarded_sums.data, b->guarded_sums.data, sums, nan_ok, "sums") &&
         same_decisions(a->guarded_decisions, b->guarded_decisions, nan_ok);
}

bool model_guards_intact(const model *m) {
  bool intact = guards_intact(m->guarded_sums) && guards_intact(m->guarded_decisions);
  for (int64_t i = 0; i < m->tensor_count; i++)
    for (int a = 0; a < ARRAYS; a++) intact = intact && guards_intact(m->arrays[i][a]);
  return intact;
}
