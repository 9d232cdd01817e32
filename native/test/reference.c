/* Written from native/NUMERICS.md and spd4j.h, with one operation per statement. Shares no code with the kernels. */
#include "reference.h"

#include <math.h>
#include <stddef.h>

#include "rules.h"

double reference_decay(int32_t rule, double lr, double lambda) {
  const double product = lr * lambda;
  if (rule == SPD4J_RULE_ADAMW) return 1 - product;
  if (rule == SPD4J_RULE_L2SP || rule == SPD4J_RULE_CAUTIOUS) return product;
  if (rule == SPD4J_RULE_L2SP_COUPLED) return lambda;
  return 0;
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
  float *param = t->param, *exp_avg = t->exp_avg, *exp_avg_sq = t->exp_avg_sq, *max_exp_avg_sq = t->max_exp_avg_sq;
  const float *grad = t->grad, *anchor = t->anchor;
  float grad_dot[SPD4J_LANES] = {0}, dev_sq[SPD4J_LANES] = {0}, new_dev_sq[SPD4J_LANES] = {0};

  for (int64_t i = b->begin; i < b->end; i++) {
    const int64_t lane = (i - b->begin) % SPD4J_LANES;
    const float origin = anchor ? anchor[i] : 0.0f;
    const float dev = param[i] - origin;
    float g = grad[i] * k->grad_scale;
    if (k->rule == SPD4J_RULE_SPD) {
      add_product(&grad_dot[lane], g, dev);
      add_product(&dev_sq[lane], dev, dev);
    }
    if (k->rule == SPD4J_RULE_L2SP_COUPLED) {
      const float pull = k->decay * dev;
      g = g + pull;
    }

    const float old_m = k->beta1 * exp_avg[i];
    const float new_m = k->one_minus_beta1 * g;
    const float m = old_m + new_m;
    const float old_v = k->beta2 * exp_avg_sq[i];
    const float half_v = k->one_minus_beta2 * g;
    const float new_v = half_v * g;
    const float v = old_v + new_v;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;

    float s = v;
    if (max_exp_avg_sq) {
      const float max = max_exp_avg_sq[i];
      if (isnan(max) || isnan(v))
        s = NAN;
      else
        s = max < v ? v : max;
      max_exp_avg_sq[i] = s;
    }

    const float root = sqrtf(s);
    const float corrected = root * k->inv_sqrt_bias2;
    const float denominator = corrected + k->eps;
    const float numerator = k->step_size * m;
    const float u = numerator / denominator;

    float updated = param[i];
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
    param[i] = updated;

    if (k->rule == SPD4J_RULE_SPD) {
      const float new_dev = updated - origin;
      add_product(&new_dev_sq[lane], new_dev, new_dev);
    }
  }

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

static void project_block(const spd4j_tensor *t, const spd4j_block *b, float shrink) {
  if (!(shrink > 0)) return;
  float *param = t->param;
  const float *anchor = t->anchor;
  for (int64_t j = b->begin; j < b->end; j++) {
    const float dev = param[j] - (anchor ? anchor[j] : 0.0f);
    const float pull = shrink * dev;
    param[j] = param[j] - pull;
  }
}

void reference_project(const spd4j_table *table, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    const spd4j_block *b = &table->blocks[i];
    const spd4j_tensor *t = &table->tensors[b->tensor];
    if (t->scalars != -1) project_block(t, b, t->shrink);
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
    decide(&table->sums[first], count, &table->scalars[t->scalars], &table->decisions[tensor]);
    for (int64_t i = 0; i < count; i++) project_block(t, &table->blocks[first + i], table->decisions[tensor].shrink);
  }
}

void reference_grad_sq(const spd4j_table *table, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i++) {
    const spd4j_block *b = &table->blocks[i];
    const spd4j_tensor *t = &table->tensors[b->tensor];
    if (t->scalars == -1) continue;
    const float *grad = t->grad;
    double lanes[SPD4J_LANES] = {0};
    for (int64_t j = b->begin; j < b->end; j++) {
      const double g = (double)grad[j];
      const double square = g * g;
      lanes[(j - b->begin) % SPD4J_LANES] += square;
    }
    for (int width = SPD4J_LANES / 2; width > 0; width /= 2)
      for (int l = 0; l < width; l++) lanes[l] = lanes[l] + lanes[l + width];
    table->sums[i].grad_sq = lanes[0];
  }
}
