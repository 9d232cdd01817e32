/*
 * Selective Projection Decay. Tian, Huang, Kira, "Rethinking Weight Decay for Robust Fine-Tuning of Foundation Models",
 * NeurIPS 2024 (arXiv 2411.01713).
 *
 *   theta~ = theta - u,   c = -sum g (theta - theta0),   r = (|theta~ - theta0| - |theta - theta0|) / |theta~ - theta0|
 *   c < 0:  theta' = theta~ - lambda r (theta~ - theta0)
 *
 * This is one launch, so that a tensor is projected while the L2 cache still holds it. Thread blocks take tickets,
 * which give them items in order. The thread block that updates the last block of a tensor decides on the tensor. A
 * thread block that projects waits for that decision. There is no deadlock, however few thread blocks run at once: the
 * updates that a projection waits for have smaller tickets, so they have been taken, and the thread block with the
 * smallest unfinished ticket waits for no other.
 */
#include "block.cuh"
#include "decision.h"
#include "launch.h"
#include "typed.cuh"

enum { SUMS = 3 };

/* What the threads of a thread block share. */
struct workspace {
  alignas(16) float terms[SUMS][TILE]; /* of one tile; at the end of a block its lanes */
  double totals[SUMS];
  int64_t ticket;
  bool last;
};

static __device__ inline int64_t take_ticket(spd4j_cuda_control *control) {
  return (int64_t)atomicAdd((unsigned long long *)&control->ticket, 1ull);
}

/* Loads a value published by another thread block. What it wrote before is then visible, too. */
static __device__ inline int64_t load_acquire(const int64_t *p) {
#if defined(__CUDA_ARCH__)
  int64_t x;
  asm volatile("ld.acquire.gpu.global.s64 %0, [%1];" : "=l"(x) : "l"(p) : "memory");
  return x;
#else
  return __atomic_load_n(p, __ATOMIC_ACQUIRE);
#endif
}

/* Stores a value, and with it publishes all earlier writes. */
static __device__ inline void store_release(int64_t *p, int64_t x) {
#if defined(__CUDA_ARCH__)
  asm volatile("st.release.gpu.global.s64 [%0], %1;" ::"l"(p), "l"(x) : "memory");
#else
  __atomic_store_n(p, x, __ATOMIC_RELEASE);
#endif
}

/* Adds and returns the old value. Publishes all earlier writes, and sees what others published in this way. */
static __device__ inline int64_t fetch_add_acq_rel(int64_t *p, int64_t x) {
#if defined(__CUDA_ARCH__)
  int64_t old;
  asm volatile("atom.acq_rel.gpu.global.add.u64 %0, [%1], %2;" : "=l"(old) : "l"(p), "l"(x) : "memory");
  return old;
#else
  return __atomic_fetch_add(p, x, __ATOMIC_ACQ_REL);
#endif
}

/* Steps a block and takes its three sums: element i goes to lane i mod 64, and each lane adds in index order. */
template <typename ARRAYS>
static __device__ inline void spd_block(const ARRAYS &a, const spd4j_scalars &k, spd4j_sums *sums, workspace &w) {
  const int s = threadIdx.x / SPD4J_LANES, l = threadIdx.x % SPD4J_LANES;
  float lane = 0;
  for (int tile = 0; tile < a.n; tile += TILE) {
    quad_in q = read_quad(a, tile + quad_at());
    quad_sums terms;
    step_quad<true>(a, k, tile + quad_at(), q, &terms);
    *(float4 *)&w.terms[0][quad_at()] = float4_of(terms.grad_dot);
    *(float4 *)&w.terms[1][quad_at()] = float4_of(terms.dev_sq);
    *(float4 *)&w.terms[2][quad_at()] = float4_of(terms.new_dev_sq);
    __syncthreads();
    if (s < SUMS) {
      const int rows = rows_of(a.n, tile);
      for (int row = 0; row < rows; row++) lane = spd4j_add(lane, w.terms[s][row * SPD4J_LANES + l]);
    }
    __syncthreads();
  }
  if (s < SUMS) w.terms[s][l] = lane;
  __syncthreads();
  const int warp = threadIdx.x / WARP;
  if (warp < SUMS) {
    const float sum = fold(spd4j_add(w.terms[warp][threadIdx.x % WARP], w.terms[warp][threadIdx.x % WARP + WARP]));
    if (threadIdx.x % WARP == 0) (warp == 0 ? sums->grad_dot : warp == 1 ? sums->dev_sq : sums->new_dev_sq) = sum;
  }
}

/* Decides on a tensor if its last block has just been updated. */
static __device__ inline void decide(const spd4j_cuda_table &table, int64_t tensor, workspace &w) {
  spd4j_cuda_state &state = table.states[tensor];
  __syncthreads(); /* all threads have written the block's parameters and sums */
  if (threadIdx.x == 0) w.last = fetch_add_acq_rel(&state.pending, -1) == 1;
  __syncthreads();
  if (!w.last) return;
  const int warp = threadIdx.x / WARP;
  if (warp < SUMS) {
    const spd4j_sums *rows = table.sums + state.first_block;
    const double *field = warp == 0 ? &rows->grad_dot : warp == 1 ? &rows->dev_sq : &rows->new_dev_sq;
    const double sum = tensor_sum(field, block_count(table.tensors[tensor].numel));
    if (threadIdx.x % WARP == 0) w.totals[warp] = sum;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    state.grad_dot = w.totals[0];
    state.dev_sq = w.totals[1];
    state.new_dev_sq = w.totals[2];
    if (spd4j_selects(state.grad_dot)) {
      const double ratio = spd4j_ratio(state.dev_sq, state.new_dev_sq);
      state.shrink = spd4j_shrink(table.groups[state.group].lambda, ratio);
      state.selected++;
      state.ratio_sum = spd4j_dadd(state.ratio_sum, ratio);
    }
    store_release(&state.pending, -1);
  }
}

template <typename ARRAYS>
static __device__ inline void update_item(const spd4j_cuda_table &table, int64_t block, workspace &w) {
  const spd4j_block b = table.blocks[block];
  const spd4j_tensor &t = table.tensors[b.tensor];
  if (t.scalars < 0) return;
  const spd4j_scalars k = table.scalars[t.scalars];
  const ARRAYS a = ARRAYS::of(t, b, k.step);
  if (spd4j_rule_decides(k.rule)) {
    spd_block(a, k, &table.sums[block], w);
    decide(table, b.tensor, w);
  } else {
    update_block(a, k);
  }
}

template <typename ARRAYS>
static __device__ inline void project_block(const ARRAYS &a, float shrink) {
  for (int tile = 0; tile < a.n; tile += TILE) {
    const int i = tile + quad_at();
    quad param, anchor;
    read_updated(a, i, &param, &anchor);
    SPD4J_UNROLL
    for (int c = 0; c < 4; c++) {
      param.x[c] = spd4j_project_element(shrink, param.x[c], has_anchor(a) ? anchor.x[c] : 0.0f);
    }
    write_projected(a, i, param);
  }
}

template <typename ARRAYS>
static __device__ inline void project_item(const spd4j_cuda_table &table, const spd4j_cuda_item &item) {
  int64_t decided = -1;
  for (int i = 0; i < item.count; i++) {
    const spd4j_block b = table.blocks[item.block - i];
    const spd4j_tensor &t = table.tensors[b.tensor];
    if (t.scalars < 0 || !spd4j_rule_decides(table.scalars[t.scalars].rule)) continue;
    const spd4j_cuda_state &state = table.states[b.tensor];
    if (decided != b.tensor) {
      if (threadIdx.x == 0)
        while (load_acquire(&state.pending) != -1) __nanosleep(64);
      __syncthreads();
      decided = b.tensor;
    }
    const float shrink = __ldcg(&state.shrink);
    if (shrink > 0) project_block(ARRAYS::of(t, b, table.scalars[t.scalars].step), shrink);
  }
}

template <typename ARRAYS>
static __global__ void __launch_bounds__(THREADS, 4)
    spd(spd4j_cuda_table table, const spd4j_cuda_item *items, int64_t item_count, bool clip) {
  __shared__ workspace w;
  if (clip && table.control->skip) return;
  if (threadIdx.x == 0) w.ticket = take_ticket(table.control);
  __syncthreads();
  while (w.ticket < item_count) {
    const spd4j_cuda_item item = items[w.ticket];
    const int64_t ahead = threadIdx.x == 0 ? take_ticket(table.control) : 0; /* arrives while the item is processed */
    if (item.project)
      project_item<ARRAYS>(table, item);
    else
      update_item<ARRAYS>(table, item.block, w);
    __syncthreads();
    if (threadIdx.x == 0) w.ticket = ahead;
    __syncthreads();
  }
}

int32_t launch_spd(const spd4j_cuda_table *table, const spd4j_cuda_run *run, bool clip, void *stream) {
  const int64_t thread_blocks = run->resident < run->item_count ? run->resident : run->item_count;
  return launch(run->typed ? spd<typed_arrays> : spd<float_arrays>, thread_blocks, THREADS, stream, *table, run->items, run->item_count, clip);
}

/* It is the same number for both kernels, as they may use the same number of registers. */
int32_t spd_resident(int64_t *thread_blocks) {
  int device = 0, processors = 0, each = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) error = cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device);
  if (error == cudaSuccess) error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, spd<float_arrays>, THREADS, 0);
  *thread_blocks = (int64_t)processors * each;
  return (int32_t)error;
}
