#include <stddef.h>

#include "spd4j.h"

#define AT(type, field) offsetof(struct spd4j_##type, field)

int64_t spd4j_layout(int64_t *values, int64_t capacity) {
  static const int64_t layout[] = {
      sizeof(spd4j_tensor), AT(tensor, param), AT(tensor, param_low), AT(tensor, grad), AT(tensor, anchor),
      AT(tensor, exp_avg), AT(tensor, exp_avg_sq), AT(tensor, max_exp_avg_sq), AT(tensor, numel), AT(tensor, offset),
      AT(tensor, scalars), AT(tensor, param_type), AT(tensor, grad_type), AT(tensor, anchor_type),
      AT(tensor, moment_type), AT(tensor, shrink), AT(tensor, reserved), AT(tensor, key),

      sizeof(spd4j_scalars), AT(scalars, beta1), AT(scalars, one_minus_beta1), AT(scalars, beta2),
      AT(scalars, one_minus_beta2), AT(scalars, eps), AT(scalars, step_size), AT(scalars, inv_sqrt_bias2),
      AT(scalars, decay), AT(scalars, grad_scale), AT(scalars, rule),
      AT(scalars, lambda), AT(scalars, step), AT(scalars, reserved),

      sizeof(spd4j_block), AT(block, tensor), AT(block, begin), AT(block, end),

      sizeof(spd4j_sums), AT(sums, grad_dot), AT(sums, dev_sq), AT(sums, new_dev_sq), AT(sums, grad_sq),

      sizeof(spd4j_decision), AT(decision, step), AT(decision, checked), AT(decision, selected),
      AT(decision, ratio_sum), AT(decision, grad_dot), AT(decision, dev_sq), AT(decision, new_dev_sq),
      AT(decision, shrink), AT(decision, reserved),

      sizeof(spd4j_table), AT(table, blocks), AT(table, tensors), AT(table, scalars), AT(table, sums),
      AT(table, decisions), AT(table, block_count), AT(table, tensor_count), AT(table, scalars_count),
  };
  const int64_t count = sizeof layout / sizeof layout[0];
  for (int64_t i = 0; values && i < count && i < capacity; i++) values[i] = layout[i];
  return count;
}
