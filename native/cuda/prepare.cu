/* Prepares tensors for a step: counts it and computes its scalars (scalars.h) from the group's current settings. */
#include "block.cuh"
#include "launch.h"
#include "scalars.h"

static __global__ void __launch_bounds__(THREADS)
    prepare(spd4j_cuda_table table, int64_t first, int64_t end, double grad_scale, bool clip, bool spd) {
  const int64_t i = first + (int64_t)blockIdx.x * THREADS + threadIdx.x;
  if (i == first) table.control->ticket = 0;
  if (i >= end || (clip && table.control->skip)) return;
  const spd4j_tensor &t = table.tensors[i];
  if (t.scalars < 0) return;
  spd4j_cuda_state &state = table.states[i];
  const spd4j_cuda_group &group = table.groups[state.group];
  const int64_t step = state.step + 1;
  state.step = step;
  spd4j_scalars_of(&group, clip ? table.control->grad_scale : grad_scale, step, &table.scalars[t.scalars]);
  if (!spd4j_rule_decides(group.rule) || !spd) return; /* without the SPD kernel there is no decision to report */
  state.spd_step = step;
  state.checked++;
  state.shrink = 0;
  state.pending = block_count(t.numel);
  if (state.pending == 0) { /* no thread block will decide on an empty tensor */
    state.grad_dot = state.dev_sq = state.new_dev_sq = 0;
    state.pending = -1;
  }
}

int32_t launch_prepare(const spd4j_cuda_table *table, const spd4j_cuda_run *run, double grad_scale, bool clip,
                       void *stream) {
  const int64_t tensors = run->end_tensor - run->first_tensor;
  if (tensors == 0) return 0;
  return launch(prepare, (tensors + THREADS - 1) / THREADS, THREADS, stream, *table, run->first_tensor, run->end_tensor,
                grad_scale, clip, run->spd != 0);
}
