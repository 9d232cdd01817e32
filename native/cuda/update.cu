/*
 * Adam's step with the rules that do not decide. The equations and the papers are in element.h and rules.h. It runs if
 * no tensor is stepped with SPD. Each thread block has one item.
 */
#include "block.cuh"
#include "launch.h"
#include "typed.cuh"

template <typename ARRAYS>
static __global__ void __launch_bounds__(THREADS, 4)
    update(spd4j_cuda_table table, const spd4j_cuda_item *items, bool clip) {
  if (clip && table.control->skip) return;
  const spd4j_block b = table.blocks[items[blockIdx.x].block];
  const spd4j_tensor &t = table.tensors[b.tensor];
  if (t.scalars < 0) return;
  const spd4j_scalars k = table.scalars[t.scalars];
  update_block(ARRAYS::of(t, b, k.step), k);
}

int32_t launch_update(const spd4j_cuda_table *table, const spd4j_cuda_run *run, bool clip, void *stream) {
  return launch(run->typed ? update<typed_arrays> : update<float_arrays>, run->item_count, THREADS, stream, *table,
                run->items, clip);
}
