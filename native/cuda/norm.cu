/*
 * The global norm of the gradients, norm = grad_scale sqrt(sum g^2), and the factor that clips it, as in torch's
 * clip_grad_norm_: min(1, max_norm / (norm + 1e-6)). Squares of floats are exact in double, and no tensor is large
 * enough for their sum to overflow, so the norm is finite exactly when every gradient is. A step is skipped unless the
 * norm of what it takes in is below 2^63: then the gradients are finite in float, and so are their squares, which the
 * second moment adds up, with room for its roundings.
 */
#include "block.cuh"
#include "launch.h"
#include "typed.cuh"

/* Sums a block: element i goes to double lane i mod 64, each lane adds in index order, lanes are added in halves. */
template <typename ARRAYS>
static __global__ void __launch_bounds__(THREADS) block_norms(spd4j_cuda_table table, const spd4j_cuda_item *items) {
  alignas(16) __shared__ float grad[TILE];
  __shared__ double lanes[SPD4J_LANES];
  const spd4j_cuda_item item = items[blockIdx.x];
  if (item.project) return;
  const spd4j_block b = table.blocks[item.block];
  const spd4j_tensor &t = table.tensors[b.tensor];
  if (t.scalars < 0) return;
  const ARRAYS a = ARRAYS::of(t, b, 0); /* a step needs random bits, gradients do not */
  double lane = 0;
  for (int tile = 0; tile < a.n; tile += TILE) {
    *(float4 *)&grad[quad_at()] = float4_of(read_grad(a, tile + quad_at()));
    __syncthreads();
    if (threadIdx.x < SPD4J_LANES) {
      const int rows = rows_of(a.n, tile);
      for (int row = 0; row < rows; row++) {
        const double g = (double)grad[row * SPD4J_LANES + threadIdx.x];
        lane = spd4j_dadd(lane, spd4j_dmul(g, g));
      }
    }
    __syncthreads();
  }
  if (threadIdx.x < SPD4J_LANES) lanes[threadIdx.x] = lane;
  __syncthreads();
  if (threadIdx.x < WARP) {
    const double sum = fold(spd4j_dadd(lanes[threadIdx.x], lanes[threadIdx.x + WARP]));
    if (threadIdx.x == 0) table.sums[item.block].grad_sq = sum;
  }
}

enum { WARPS = THREADS / WARP };

/* Each warp sums one tensor. */
static __global__ void __launch_bounds__(THREADS) tensor_norms(spd4j_cuda_table table, int64_t first, int64_t end) {
  const int64_t i = first + (int64_t)blockIdx.x * WARPS + threadIdx.x / WARP;
  if (i >= end || table.tensors[i].scalars < 0) return;
  spd4j_cuda_state &state = table.states[i];
  const double sum = tensor_sum(&table.sums[state.first_block].grad_sq, block_count(table.tensors[i].numel));
  if (threadIdx.x % WARP == 0) state.grad_sq = sum;
}

/* Adds up the tensors in order. Runs as one thread block. */
static __global__ void __launch_bounds__(THREADS)
    global_norm(spd4j_cuda_table table, int64_t first, int64_t end, double grad_scale, double max_norm) {
  __shared__ double tensors[THREADS];
  double sum = 0;
  for (int64_t begin = first; begin < end; begin += THREADS) {
    const int64_t i = begin + threadIdx.x;
    tensors[threadIdx.x] = i < end && table.tensors[i].scalars >= 0 ? table.states[i].grad_sq : 0;
    __syncthreads();
    if (threadIdx.x == 0)
      for (int j = 0; j < THREADS; j++) sum = spd4j_dadd(sum, tensors[j]);
    __syncthreads();
  }
  if (threadIdx.x > 0) return;
  const double root = spd4j_dsqrt(sum), norm = spd4j_dmul(root, grad_scale);
  const double ratio = spd4j_ddiv(max_norm, spd4j_dadd(norm, 1e-6));
  const double factor = spd4j_dmul(grad_scale, ratio < 1 ? ratio : 1);
  table.control->norm = norm;
  table.control->grad_scale = factor;
  table.control->skip = !(spd4j_dmul(root, (double)spd4j_round(factor)) < 0x1p63);
}

int32_t spd4j_cuda_norm(const spd4j_cuda_table *table, const spd4j_cuda_run *run, double grad_scale, double max_norm,
                        void *stream) {
  const int64_t first = run->first_tensor, end = run->end_tensor;
  int32_t error = 0;
  if (run->item_count > 0)
    error = launch(run->typed ? block_norms<typed_arrays> : block_norms<float_arrays>, run->item_count, THREADS, stream,
                   *table, run->items);
  if (!error && end > first)
    error = launch(tensor_norms, (end - first + WARPS - 1) / WARPS, THREADS, stream, *table, first, end);
  if (!error) error = launch(global_norm, 1, THREADS, stream, *table, first, end, grad_scale, max_norm);
  return error;
}
