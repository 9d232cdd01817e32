/*
 * L2-SP. Li, Grandvalet, Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", ICML 2018.
 *
 *   decoupled:  theta' = (theta - lr lambda (theta - theta0)) - u
 *   coupled:    g + lambda (theta - theta0) takes the place of g, theta' = theta - u   (the penalty inside the loss)
 */
#include "kernels.h"

SPD4J_INLINE void decoupled(bool anchored, bool amsgrad, spd4j_arrays a, spd4j_scalars k, int64_t n) {
  spd4j_prefetch(anchored, amsgrad, &a);
  SPD4J_INDEPENDENT
  for (int64_t i = 0; i < n; i++) {
    const float dev = anchored ? spd4j_sub(a.param[i], a.anchor[i]) : a.param[i];
    const float u = spd4j_adam(amsgrad, &a, &k, i, spd4j_mul(a.grad[i], k.grad_scale));
    a.param[i] = spd4j_l2sp_param(&k, a.param[i], dev, u);
  }
}

SPD4J_INLINE void coupled(bool anchored, bool amsgrad, spd4j_arrays a, spd4j_scalars k, int64_t n) {
  spd4j_prefetch(anchored, amsgrad, &a);
  SPD4J_INDEPENDENT
  for (int64_t i = 0; i < n; i++) {
    const float dev = anchored ? spd4j_sub(a.param[i], a.anchor[i]) : a.param[i];
    const float g = spd4j_l2sp_coupled_grad(&k, spd4j_mul(a.grad[i], k.grad_scale), dev);
    a.param[i] = spd4j_sub(a.param[i], spd4j_adam(amsgrad, &a, &k, i, g));
  }
}

SPD4J_ROW_KERNEL(l2sp, decoupled)
SPD4J_ROW_KERNEL(l2sp_coupled, coupled)
