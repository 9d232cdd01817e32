/*
 * The sum of g^2 over a block, for the global norm. The square of a float is exact in double and no sum of such squares
 * overflows, so the sum is finite exactly when every gradient is.
 */
#include "tile.h"

SPD4J_INLINE void row(const float *grad, int64_t n, double *lanes) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) {
    const double g = (double)grad[l];
    lanes[l] += g * g;
  }
}

SPD4J_FOLD(fold, double)

SPD4J_INLINE void rows(const float *grad, int64_t n, double *lanes) {
  for (; n >= SPD4J_LANES; n -= SPD4J_LANES, grad += SPD4J_LANES) row(grad, SPD4J_LANES, lanes);
  if (n > 0) row(grad, n, lanes);
}

double SPD4J_KERNEL(grad_sq)(const spd4j_tensor *t, int64_t begin, int64_t end) {
  double lanes[SPD4J_LANES] = {0};
  if (t->grad_type == SPD4J_TYPE_FLOAT32) {
    rows((const float *)t->grad + begin, end - begin, lanes);
  } else {
    spd4j_floats grads;
    for (int64_t at = begin, n; at < end; at += n) {
      n = end - at < SPD4J_TILE ? end - at : SPD4J_TILE;
      rows(spd4j_read(t->grad_type, t->grad, at, n, &grads), n, lanes);
    }
  }
  return fold(lanes);
}
