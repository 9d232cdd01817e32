/*
 * The sum of g^2 over a block, for the global norm. The square of a float is exact in double and no sum of such squares
 * overflows, so the sum is finite exactly when every gradient is.
 */
#include "kernels.h"

SPD4J_INLINE void row(const float *grad, int64_t n, double *lanes) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) {
    const double g = (double)grad[l];
    lanes[l] += g * g;
  }
}

SPD4J_FOLD(fold, double)

double SPD4J_KERNEL(grad_sq)(const spd4j_tensor *t, int64_t begin, int64_t end) {
  const float *grad = (const float *)t->grad + begin;
  int64_t n = end - begin;
  double lanes[SPD4J_LANES] = {0};
  for (; n >= SPD4J_LANES; n -= SPD4J_LANES, grad += SPD4J_LANES) row(grad, SPD4J_LANES, lanes);
  if (n > 0) row(grad, n, lanes);
  return fold(lanes);
}
