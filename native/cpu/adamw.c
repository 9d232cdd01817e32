/*
 * AdamW: theta' = theta (1 - lr lambda) - u. Loshchilov, Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
 * Without decay the factor is 1, which changes no bit.
 */
#include "kernels.h"

SPD4J_INLINE void row(bool anchored, bool amsgrad, spd4j_arrays a, spd4j_scalars k, int64_t n) {
  (void)anchored;
  spd4j_prefetch(false, amsgrad, &a);
  SPD4J_INDEPENDENT
  for (int64_t i = 0; i < n; i++) {
    const float u = spd4j_adam(amsgrad, &a, &k, i, spd4j_mul(a.grad[i], k.grad_scale));
    a.param[i] = spd4j_adamw_param(&k, a.param[i], u);
  }
}

SPD4J_ROW_KERNEL(adamw, row)
