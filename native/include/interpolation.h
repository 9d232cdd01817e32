/*
 * Linear interpolation between two arrays, as WiSE-FT does it between the pre-trained and the fine-tuned weights of a
 * network. Defined here once for C and CUDA; each operation is rounded on its own (native/NUMERICS.md).
 *
 *   dst = (1 - alpha) from + alpha to
 *
 * An array whose weight is 0 is left out, so that alpha 0 gives exactly from and alpha 1 exactly to: otherwise an infinity
 * in the other array would become NaN, and -0 would become 0.
 *
 * Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022.
 */
#ifndef SPD4J_INTERPOLATION_H
#define SPD4J_INTERPOLATION_H

#include "rounding.h"

typedef struct spd4j_weights {
  float from;
  float to;
} spd4j_weights;

SPD4J_FN spd4j_weights spd4j_weights_of(double alpha) {
  const spd4j_weights weights = {spd4j_round(spd4j_dsub(1, alpha)), spd4j_round(alpha)};
  return weights;
}

SPD4J_FN float spd4j_interpolate_element(spd4j_weights weights, float from, float to) {
  const float sum = spd4j_add(spd4j_mul(weights.from, from), spd4j_mul(weights.to, to));
  return weights.to == 0 ? from : weights.from == 0 ? to : sum;
}

#endif
