#include "loops.h"

#include <math.h>

/*
 * Reads and writes the same arrays as a step, with almost no arithmetic. The values do not change because zero is 0, which
 * the compiler cannot know.
 */
void LOOPS(rmw)(arrays a, float zero, int64_t begin, int64_t end) {
  float *restrict x = a.data, *restrict m = a.exp_avg, *restrict v = a.exp_avg_sq;
  const float *restrict g = a.grad, *restrict anchor = a.anchor;
  if (anchor) {
    for (int64_t i = begin; i < end; i++) {
      const float nothing = (g[i] + anchor[i]) * zero;
      x[i] += nothing;
      m[i] += nothing;
      v[i] += nothing;
    }
  } else {
    for (int64_t i = begin; i < end; i++) {
      const float nothing = g[i] * zero;
      x[i] += nothing;
      m[i] += nothing;
      v[i] += nothing;
    }
  }
}

/* AdamW as written by hand. */
void LOOPS(adamw)(arrays a, scalars k, int64_t begin, int64_t end) {
  float *restrict x = a.data, *restrict m = a.exp_avg, *restrict v = a.exp_avg_sq;
  const float *restrict g = a.grad;
  for (int64_t i = begin; i < end; i++) {
    m[i] = k.beta1 * m[i] + k.one_minus_beta1 * g[i];
    v[i] = k.beta2 * v[i] + k.one_minus_beta2 * g[i] * g[i];
    x[i] = x[i] * k.decay - k.step_size * m[i] / (sqrtf(v[i]) * k.inv_sqrt_bias2 + k.eps);
  }
}
