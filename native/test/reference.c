/* Written from native/NUMERICS.md and spd4j.h, with one operation per statement. Shares no code with the kernels. */
#include "reference.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"

double reference_decay(int32_t rule, double lr, double lambda) {
  const double product = lr * lambda;
  if (rule == SPD4J_RULE_ADAMW) return 1 - product;
  if (rule == SPD4J_RULE_L2SP || rule == SPD4J_RULE_CAUTIOUS) return product;
  if (rule == SPD4J_RULE_L2SP_COUPLED) return lambda;
  return 0;
}

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* A floating-point format of 16 bits: its exponents are those of normal numbers. */
typedef struct format {
  int mantissa_bits, least_exponent, greatest_exponent;
  uint16_t nan;
} format;

static format format_of(int32_t type) {
  const format bfloat16 = {7, -126, 127, 0x7fc0}, float16 = {10, -14, 15, 0x7e00};
  if (type != SPD4J_TYPE_BFLOAT16 && type != SPD4J_TYPE_FLOAT16) abort();
  return type == SPD4J_TYPE_BFLOAT16 ? bfloat16 : float16;
}

static float value_of(format f, uint16_t code) {
  const int steps = 1 << f.mantissa_bits, magnitude = code % 32768, field = magnitude / steps;
  double value;
  if (field > f.greatest_exponent - f.least_exponent + 1)
    value = magnitude % steps ? NAN : INFINITY;
  else if (field == 0)
    value = ldexp(magnitude, f.least_exponent - f.mantissa_bits);
  else
    value = ldexp(steps + magnitude % steps, f.least_exponent + field - 1 - f.mantissa_bits);
  return (float)(code >= 32768 ? -value : value);
}

/*
 * The code of a number that is rounded away from 0 if the part to cut off, as a number of so many bits, and random carry.
 * If random is NULL, it is rounded to nearest, ties to even.
 */
static uint16_t code_of(format f, float x, const uint32_t *random) {
  if (isnan(x)) return f.nan;
  const int steps = 1 << f.mantissa_bits, cut_bits = 23 - f.mantissa_bits;
  const uint16_t sign = signbit(x) ? 32768 : 0;
  const uint16_t infinity = (uint16_t)((f.greatest_exponent - f.least_exponent + 2) * steps);
  if (isinf(x)) return sign + infinity;
  if (x == 0) return sign;
  const double magnitude = fabs((double)x);
  int exponent;
  frexp(magnitude, &exponent);
  exponent = exponent - 1 < f.least_exponent ? f.least_exponent : exponent - 1;
  const double exact = ldexp(magnitude, f.mantissa_bits - exponent); /* in steps */
  const int64_t cut = (int64_t)1 << cut_bits, parts = (int64_t)rint(ldexp(exact, cut_bits)); /* 2^cut_bits in a step */
  const int64_t rounded = random ? (parts + (int64_t)*random % cut) / cut : (int64_t)rint(exact);
  const int64_t code = (exponent - f.least_exponent) * steps + rounded;
  return (uint16_t)(sign + (code > infinity ? infinity : code));
}

float reference_get(int32_t type, const void *array, int64_t i) {
  if (type == SPD4J_TYPE_FLOAT32) return ((const float *)array)[i];
  return value_of(format_of(type), ((const uint16_t *)array)[i]);
}

void reference_set(int32_t type, void *array, int64_t i, float x, uint32_t random) {
  if (type == SPD4J_TYPE_FLOAT32)
    ((float *)array)[i] = x;
  else
    ((uint16_t *)array)[i] = code_of(format_of(type), x, &random);
}

void reference_set_nearest(int32_t type, void *array, int64_t i, float x) {
  if (type == SPD4J_TYPE_FLOAT32)
    ((float *)array)[i] = x;
  else
    ((uint16_t *)array)[i] = code_of(format_of(type), x, NULL);
}

bool reference_same(int32_t type, const void *a, const void *b, int64_t i) {
  if (type != SPD4J_TYPE_FLOAT32) return ((const uint16_t *)a)[i] == ((const uint16_t *)b)[i];
  const float x = ((const float *)a)[i], y = ((const float *)b)[i];
  return isnan(x) ? isnan(y) : bits_of(x) == bits_of(y);
}

float reference_get_split(const void *high, const void *low, int64_t i) {
  const int64_t sum = (int64_t)((const uint16_t *)high)[i] * 65536 + ((const int16_t *)low)[i];
  return float_of((uint32_t)sum);
}

void reference_set_split(void *high, void *low, int64_t i, float x) {
  const uint32_t bits = bits_of(x);
  const uint16_t above = (uint16_t)(bits / 65536), below = (uint16_t)(bits % 65536);
  ((uint16_t *)high)[i] = below >= 32768 ? (uint16_t)(above + 1) : above;
  ((int16_t *)low)[i] = (int16_t)(below >= 32768 ? (int)below - 65536 : (int)below);
}

static float *scale_of(const void *array, int64_t n, int64_t i) {
  const int64_t codes = n % 4 == 0 ? n : n + 4 - n % 4;
  return (float *)(void *)((unsigned char *)array + codes) + i / SPD4J_SCALE_GROUP;
}

float reference_get_8bit(bool second, const void *array, int64_t n, int64_t i) {
  const float scale = *scale_of(array, n, i);
  const int code = ((const uint8_t *)array)[i];
  if (second) return float_of(bits_of(scale) - (uint32_t)code * 524288);
  return (float)(code < 128 ? code : code - 256) * scale;
}

void reference_set_group(bool second, void *array, int64_t n, int64_t begin, int64_t end, const float *values,
                         uint32_t word) {
  uint8_t *codes = array;
  float *scale = scale_of(array, n, begin), largest = 0;
  bool finite = true;
  for (int64_t i = begin; i < end; i++) {
    const float magnitude = fabsf(values[i - begin]);
    finite = finite && isfinite(magnitude);
    if (magnitude > largest) largest = magnitude;
  }
  if (second) {
    *scale = largest > 0 && largest < ldexpf(1, -111) ? ldexpf(1, -111) : largest;
  } else {
    *scale = largest * (1.0f / 127);
    if (*scale < ldexpf(1, -100)) *scale = ldexpf(1, -100);
  }
  if (!finite) *scale = float_of(0x7fc00000);
  const float inverse = 1 / *scale;
  for (int64_t i = begin; i < end; i++) {
    const float x = values[i - begin];
    int64_t code = 0;
    if (finite && second) {
      code = ((int64_t)bits_of(*scale) - (int64_t)bits_of(x) + word / 8192) / 524288;
      if (code > 255) code = 255;
    } else if (finite) {
      const float quotient = x * inverse;
      code = (int64_t)rint((double)quotient);
      if (code < 0) code += 256;
    }
    codes[i] = (uint8_t)code;
  }
}

static uint64_t mixed(uint64_t x) {
  x ^= x >> 30;
  x *= 13787848793156543929u;
  x ^= x >> 27;
  x *= 10723151780598845931u;
  x ^= x >> 31;
  return x;
}

uint32_t reference_word(uint64_t key, int64_t step, int64_t i, int use) {
  const uint64_t block = (uint64_t)(i / SPD4J_BLOCK), index = (uint64_t)(i % SPD4J_BLOCK), range = (uint64_t)1 << 32;
  const uint64_t of_step = mixed(key + (uint64_t)step * 11400714819323198485u);
  const uint64_t of_block = mixed(of_step + block * 4 + (uint64_t)use);
  uint64_t x = index ^ of_block % range;
  x = (x ^ x / 65536) * 2146121005u % range;
  x = ((x ^ x / 32768) + of_block / range) % range;
  x = x * 2221713035u % range;
  return (uint32_t)(x ^ x / 65536);
}

static float param_of(const spd4j_tensor *t, int64_t i) {
  return t->param_low ? reference_get_split(t->param, t->param_low, i) : reference_get(t->param_type, t->param, i);
}

static void set_param(const spd4j_tensor *t, int64_t i, float x, int64_t step, int use) {
  if (t->param_low)
    reference_set_split(t->param, t->param_low, i, x);
  else if (t->param_type == SPD4J_TYPE_FLOAT32)
    ((float *)t->param)[i] = x;
  else
    reference_set(t->param_type, t->param, i, x, reference_word(t->key, step, t->offset + i, use));
}

static float anchor_of(const spd4j_tensor *t, int64_t i) {
  return t->anchor ? reference_get(t->anchor_type, t->anchor, i) : 0.0f;
}

static float moment_of(const spd4j_tensor *t, bool second, const void *array, int64_t i) {
  if (t->moment_type == SPD4J_MOMENTS_8BIT) return reference_get_8bit(second, array, t->numel, i);
  return reference_get(t->moment_type == SPD4J_MOMENTS_BFLOAT16 ? SPD4J_TYPE_BFLOAT16 : SPD4J_TYPE_FLOAT32, array, i);
}

/* Stores a block of a moment. Half of an element's word rounds it; in 8 bits the word of a group's first element does. */
static void set_moments(const spd4j_tensor *t, bool second, void *array, const spd4j_block *b, const float *values,
                        int64_t step) {
  for (int64_t i = b->begin; i < b->end; i++) {
    if (t->moment_type == SPD4J_MOMENTS_FLOAT32) {
      ((float *)array)[i] = values[i - b->begin];
      continue;
    }
    const uint32_t word = reference_word(t->key, step, t->offset + i, 2);
    if (t->moment_type == SPD4J_MOMENTS_8BIT) {
      if (i % SPD4J_SCALE_GROUP != 0) continue;
      const int64_t end = i + SPD4J_SCALE_GROUP < b->end ? i + SPD4J_SCALE_GROUP : b->end;
      reference_set_group(second, array, t->numel, i, end, &values[i - b->begin], word);
    } else {
      reference_set(SPD4J_TYPE_BFLOAT16, array, i, values[i - b->begin], second ? word / 65536 : word % 65536);
    }
  }
}

static float fold(float *lanes) {
  for (int width = SPD4J_LANES / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) lanes[l] = lanes[l] + lanes[l + width];
  return lanes[0];
}

static void add_product(float *lane, float a, float b) {
  const float product = a * b;
  *lane = *lane + product;
}

static void update_block(const spd4j_tensor *t, const spd4j_scalars *k, const spd4j_block *b, spd4j_sums *sums) {
  float exp_avg[SPD4J_BLOCK], exp_avg_sq[SPD4J_BLOCK], max_exp_avg_sq[SPD4J_BLOCK];
  float grad_dot[SPD4J_LANES] = {0}, dev_sq[SPD4J_LANES] = {0}, new_dev_sq[SPD4J_LANES] = {0};

  for (int64_t i = b->begin; i < b->end; i++) {
    const int64_t lane = (i - b->begin) % SPD4J_LANES;
    const float param = param_of(t, i), origin = anchor_of(t, i);
    const float dev = param - origin;
    float g = reference_get(t->grad_type, t->grad, i) * k->grad_scale;
    if (k->rule == SPD4J_RULE_SPD) {
      add_product(&grad_dot[lane], g, dev);
      add_product(&dev_sq[lane], dev, dev);
    }
    if (k->rule == SPD4J_RULE_L2SP_COUPLED) {
      const float pull = k->decay * dev;
      g = g + pull;
    }

    const float old_m = k->beta1 * moment_of(t, false, t->exp_avg, i);
    const float new_m = k->one_minus_beta1 * g;
    const float m = old_m + new_m;
    const float old_v = k->beta2 * moment_of(t, true, t->exp_avg_sq, i);
    const float half_v = k->one_minus_beta2 * g;
    const float new_v = half_v * g;
    const float v = old_v + new_v;
    exp_avg[i - b->begin] = m;
    exp_avg_sq[i - b->begin] = v;

    float s = v;
    if (t->max_exp_avg_sq) {
      const float max = moment_of(t, true, t->max_exp_avg_sq, i);
      if (isnan(max) || isnan(v))
        s = NAN;
      else
        s = max < v ? v : max;
      max_exp_avg_sq[i - b->begin] = s;
    }

    const float root = sqrtf(s);
    const float corrected = root * k->inv_sqrt_bias2;
    const float denominator = corrected + k->eps;
    const float numerator = k->step_size * m;
    const float u = numerator / denominator;

    float updated = param;
    if (k->rule == SPD4J_RULE_ADAMW) updated = updated * k->decay;
    if (k->rule == SPD4J_RULE_L2SP) {
      const float pull = k->decay * dev;
      updated = updated - pull;
    }
    if (k->rule == SPD4J_RULE_CAUTIOUS) {
      const float pull = k->decay * dev;
      if (!(u > 0 && dev < 0) && !(u < 0 && dev > 0)) updated = updated - pull;
    }
    updated = updated - u;
    set_param(t, i, updated, k->step, 0);

    if (k->rule == SPD4J_RULE_SPD) {
      const float new_dev = updated - origin;
      add_product(&new_dev_sq[lane], new_dev, new_dev);
    }
  }

  set_moments(t, false, t->exp_avg, b, exp_avg, k->step);
  set_moments(t, true, t->exp_avg_sq, b, exp_avg_sq, k->step);
  if (t->max_exp_avg_sq) set_moments(t, true, t->max_exp_avg_sq, b, max_exp_avg_sq, k->step);
  if (k->rule == SPD4J_RULE_SPD) {
    sums->grad_dot = (double)fold(grad_dot);
    sums->dev_sq = (double)fold(dev_sq);
    sums->new_dev_sq = (double)fold(new_dev_sq);
  }
}

void reference_update(const spd4j_table *table, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    const spd4j_tensor *t = &table->tensors[table->blocks[i].tensor];
    if (t->scalars != -1) update_block(t, &table->scalars[t->scalars], &table->blocks[i], &table->sums[i]);
  }
}

static void project_block(const spd4j_tensor *t, const spd4j_block *b, float shrink, int64_t step) {
  if (!(shrink > 0)) return;
  for (int64_t j = b->begin; j < b->end; j++) {
    const float param = param_of(t, j);
    const float dev = param - anchor_of(t, j);
    const float pull = shrink * dev;
    set_param(t, j, param - pull, step, 1);
  }
}

void reference_project(const spd4j_table *table, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    const spd4j_block *b = &table->blocks[i];
    const spd4j_tensor *t = &table->tensors[b->tensor];
    if (t->scalars != -1) project_block(t, b, t->shrink, table->scalars[t->scalars].step);
  }
}

/* The sum over a tensor's blocks of the field at this offset in spd4j_sums. */
static double sum_of(const spd4j_sums *sums, int64_t count, size_t offset) {
  double lanes[SPD4J_TENSOR_LANES] = {0};
  for (int64_t b = 0; b < count; b++)
    lanes[b % SPD4J_TENSOR_LANES] += *(const double *)(const void *)((const char *)&sums[b] + offset);
  for (int width = SPD4J_TENSOR_LANES / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) lanes[l] = lanes[l] + lanes[l + width];
  return lanes[0];
}

static void decide(const spd4j_sums *sums, int64_t count, const spd4j_scalars *k, spd4j_decision *d) {
  d->step = k->step;
  d->checked += 1;
  d->grad_dot = sum_of(sums, count, offsetof(spd4j_sums, grad_dot));
  d->dev_sq = sum_of(sums, count, offsetof(spd4j_sums, dev_sq));
  d->new_dev_sq = sum_of(sums, count, offsetof(spd4j_sums, new_dev_sq));
  d->shrink = 0;
  if (!(d->grad_dot > 0)) return;
  const double before = sqrt(d->dev_sq), updated = sqrt(d->new_dev_sq);
  double r = updated > 0 ? (updated - before) / updated : 0;
  if (r < 0) r = 0;
  if (r > 1) r = 1;
  d->selected += 1;
  d->ratio_sum += r;
  d->shrink = (float)(k->lambda * r);
}

void reference_complete(const spd4j_table *table, int64_t begin, int64_t end) {
  for (int64_t tensor = 0; tensor < table->tensor_count; tensor++) {
    const spd4j_tensor *t = &table->tensors[tensor];
    if (t->scalars == -1 || table->scalars[t->scalars].rule != SPD4J_RULE_SPD) continue;
    int64_t first = 0, count = 0;
    while (first < table->block_count && table->blocks[first].tensor != tensor) first++;
    while (first + count < table->block_count && table->blocks[first + count].tensor == tensor) count++;
    if (first < begin || first + count > end) continue;
    const spd4j_scalars *k = &table->scalars[t->scalars];
    decide(&table->sums[first], count, k, &table->decisions[tensor]);
    for (int64_t i = 0; i < count; i++)
      project_block(t, &table->blocks[first + i], table->decisions[tensor].shrink, k->step);
  }
}

void reference_grad_sq(const spd4j_table *table, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    const spd4j_block *b = &table->blocks[i];
    const spd4j_tensor *t = &table->tensors[b->tensor];
    if (t->scalars == -1) continue;
    double lanes[SPD4J_LANES] = {0};
    for (int64_t j = b->begin; j < b->end; j++) {
      const double g = (double)reference_get(t->grad_type, t->grad, j);
      const double square = g * g;
      lanes[(j - b->begin) % SPD4J_LANES] += square;
    }
    for (int width = SPD4J_LANES / 2; width > 0; width /= 2)
      for (int l = 0; l < width; l++) lanes[l] = lanes[l] + lanes[l + width];
    table->sums[i].grad_sq = lanes[0];
  }
}

/* In double, products of floats are exact, and a sum that is rounded to double and then to float is rounded once. */
float reference_interpolate(double alpha, float from, float to) {
  if (alpha == 0) return from;
  if (alpha == 1) return to;
  const float from_weight = (float)(1 - alpha), to_weight = (float)alpha;
  const float from_part = (float)((double)from_weight * (double)from);
  const float to_part = (float)((double)to_weight * (double)to);
  return (float)((double)from_part + (double)to_part);
}
