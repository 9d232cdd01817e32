/* The functions that libspd4j_cuda exports besides those of the CUDA runtime. */
#include <stddef.h>

#include "launch.h"
#include "rules.h"

int32_t spd4j_cuda_abi_version(void) { return SPD4J_CUDA_ABI_VERSION; }

const char *spd4j_cuda_rule_name(int32_t rule) { return spd4j_name_of_rule(rule); }

int32_t spd4j_cuda_device_name(int32_t device, char *name, int64_t capacity) {
  cudaDeviceProp properties;
  const cudaError_t error = cudaGetDeviceProperties(&properties, device);
  if (error != cudaSuccess || capacity < 1) return (int32_t)error;
  int64_t i = 0;
  for (; i + 1 < capacity && properties.name[i]; i++) name[i] = properties.name[i];
  name[i] = 0;
  return 0;
}

int32_t spd4j_cuda_copy(void *to, const void *from, int64_t bytes, int32_t kind, void *stream) {
  const cudaError_t error =
      cudaMemcpyAsync(to, from, (size_t)bytes, (cudaMemcpyKind)kind, (cudaStream_t)stream);
  return (int32_t)(error ? error : cudaStreamSynchronize((cudaStream_t)stream));
}

int32_t spd4j_cuda_resident(int64_t *thread_blocks) { return spd_resident(thread_blocks); }

int32_t spd4j_cuda_step(const spd4j_cuda_table *table, const spd4j_cuda_run *run, double grad_scale, int32_t clip,
                        void *stream) {
  int32_t error = launch_prepare(table, run, grad_scale, clip, stream);
  if (!error && run->item_count > 0) error = (run->spd ? launch_spd : launch_update)(table, run, clip, stream);
  return error;
}

#define AT(type, field) (int64_t)offsetof(spd4j_cuda_##type, field)

int64_t spd4j_cuda_layout(int64_t *values, int64_t capacity) {
  static const int64_t layout[] = {
      sizeof(spd4j_cuda_group), AT(group, lr), AT(group, beta1), AT(group, beta2), AT(group, eps), AT(group, lambda),
      AT(group, rule), AT(group, maximize),

      sizeof(spd4j_cuda_state), AT(state, group), AT(state, first_block), AT(state, step), AT(state, spd_step),
      AT(state, checked), AT(state, selected), AT(state, ratio_sum), AT(state, grad_dot), AT(state, dev_sq),
      AT(state, new_dev_sq), AT(state, grad_sq), AT(state, pending), AT(state, shrink), AT(state, reserved),

      sizeof(spd4j_cuda_control), AT(control, norm), AT(control, grad_scale), AT(control, ticket), AT(control, skip),

      sizeof(spd4j_cuda_item), AT(item, block), AT(item, count), AT(item, project),

      sizeof(spd4j_cuda_table), AT(table, blocks), AT(table, tensors), AT(table, scalars), AT(table, sums),
      AT(table, groups), AT(table, states), AT(table, control),

      sizeof(spd4j_cuda_run), AT(run, items), AT(run, item_count), AT(run, first_tensor), AT(run, end_tensor),
      AT(run, spd), AT(run, resident), AT(run, typed),
  };
  const int64_t count = sizeof layout / sizeof layout[0];
  for (int64_t i = 0; values && i < count && i < capacity; i++) values[i] = layout[i];
  return count;
}
