/*
 * How a thread block steps a block of a tensor; the equations and the papers are in element.h and rules.h. Each of its
 * 256 threads takes four consecutive elements, with 16-byte accesses where the arrays are aligned to them, and all
 * loads before the first use. Arrays that only the next step needs again stream through the L2 cache (the .cs hints);
 * parameters and anchors stay in it, for a projection that may follow.
 *
 * Each kernel is compiled twice: for float_arrays and for typed_arrays (typed.cuh). A run says which of the two it
 * needs, so other types cost float32 nothing, not even registers.
 */
#ifndef SPD4J_BLOCK_CUH
#define SPD4J_BLOCK_CUH

#include <cuda_runtime.h>

#include "element.h"
#include "spd4j_cuda.h"

#if defined(__CUDACC__)
#define SPD4J_UNROLL _Pragma("unroll")
#else
#define SPD4J_UNROLL
#endif

/* TILE: the elements that a thread block works on at a time, 16 rows of 64 lanes. */
enum { THREADS = 256, WARP = 32, TILE = THREADS * 4 };

/* Four consecutive elements. */
struct quad {
  float x[4];
};

/* The arrays of a tensor from a block's first element on, all of float32; NULL as in spd4j_tensor. */
struct float_arrays {
  float *param;
  const float *grad;
  const float *anchor;
  float *exp_avg;
  float *exp_avg_sq;
  float *max_exp_avg_sq;
  int n;          /* elements of the block */
  bool by_quads;  /* every array starts at a multiple of 16 bytes */

  /* The arrays at the tensor's step t, on which float32 does not depend. */
  static __device__ inline float_arrays of(const spd4j_tensor &t, const spd4j_block &b, int64_t step);
};

__device__ inline float_arrays float_arrays::of(const spd4j_tensor &t, const spd4j_block &b, int64_t) {
  float_arrays a;
  a.param = (float *)t.param + b.begin;
  a.grad = (const float *)t.grad + b.begin;
  a.anchor = t.anchor ? (const float *)t.anchor + b.begin : NULL;
  a.exp_avg = (float *)t.exp_avg + b.begin;
  a.exp_avg_sq = (float *)t.exp_avg_sq + b.begin;
  a.max_exp_avg_sq = t.max_exp_avg_sq ? (float *)t.max_exp_avg_sq + b.begin : NULL;
  a.n = (int)(b.end - b.begin);
  const uintptr_t any = (uintptr_t)t.param | (uintptr_t)t.grad | (uintptr_t)t.anchor | (uintptr_t)t.exp_avg |
                        (uintptr_t)t.exp_avg_sq | (uintptr_t)t.max_exp_avg_sq;
  a.by_quads = any % sizeof(quad) == 0; /* and blocks begin at multiples of SPD4J_BLOCK elements */
  return a;
}

template <typename ARRAYS>
static __device__ inline bool whole_quad(const ARRAYS &a, int i) {
  return a.by_quads && i + 4 <= a.n;
}

/* How an array is read: only once, again soon, or from the L2 because other thread blocks have just written it. */
enum reading { ONCE, AGAIN, WRITTEN };

template <reading HOW, typename T>
static __device__ inline T read(const T *p) {
  return HOW == ONCE ? __ldcs(p) : HOW == WRITTEN ? __ldcg(p) : __ldca(p);
}

/* Loads elements i to i + 3; those beyond the block are 0. */
template <reading HOW>
static __device__ inline quad load(const float_arrays &a, const float *array, int i) {
  quad q;
  if (whole_quad(a, i)) {
    const float4 f = read<HOW>((const float4 *)(array + i));
    q.x[0] = f.x, q.x[1] = f.y, q.x[2] = f.z, q.x[3] = f.w;
  } else {
    SPD4J_UNROLL
    for (int c = 0; c < 4; c++) q.x[c] = i + c < a.n ? read<HOW>(array + i + c) : 0.0f;
  }
  return q;
}

static __device__ inline float4 float4_of(const quad &q) { return make_float4(q.x[0], q.x[1], q.x[2], q.x[3]); }

/* Stores elements i to i + 3, except those beyond the block. */
template <reading HOW>
static __device__ inline void store(const float_arrays &a, float *array, int i, const quad &q) {
  if (whole_quad(a, i)) {
    if (HOW == ONCE)
      __stcs((float4 *)(array + i), float4_of(q));
    else
      __stwb((float4 *)(array + i), float4_of(q));
  } else {
    SPD4J_UNROLL
    for (int c = 0; c < 4; c++)
      if (i + c < a.n) __stwb(array + i + c, q.x[c]);
  }
}

/* The quads that a step reads. */
struct quad_in {
  quad param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq;
  quad anchor; /* 0 without an anchor */
};

static __device__ inline bool has_anchor(const float_arrays &a) { return a.anchor != NULL; }
static __device__ inline bool has_max(const float_arrays &a) { return a.max_exp_avg_sq != NULL; }
static __device__ inline void drop_anchor(float_arrays &a) { a.anchor = NULL; }

static __device__ inline quad read_grad(const float_arrays &a, int i) { return load<ONCE>(a, a.grad, i); }

static __device__ inline quad_in read_quad(const float_arrays &a, int i) {
  quad_in q;
  q.param = load<AGAIN>(a, a.param, i);
  q.grad = read_grad(a, i);
  q.exp_avg = load<ONCE>(a, a.exp_avg, i);
  q.exp_avg_sq = load<ONCE>(a, a.exp_avg_sq, i);
  if (a.anchor) {
    q.anchor = load<AGAIN>(a, a.anchor, i);
  } else {
    SPD4J_UNROLL
    for (int c = 0; c < 4; c++) q.anchor.x[c] = 0.0f;
  }
  if (a.max_exp_avg_sq) q.max_exp_avg_sq = load<ONCE>(a, a.max_exp_avg_sq, i);
  return q;
}

/* Stores what a step has changed. */
static __device__ inline void write_quad(const float_arrays &a, int i, const quad_in &q) {
  store<AGAIN>(a, a.param, i, q.param);
  store<ONCE>(a, a.exp_avg, i, q.exp_avg);
  store<ONCE>(a, a.exp_avg_sq, i, q.exp_avg_sq);
  if (a.max_exp_avg_sq) store<ONCE>(a, a.max_exp_avg_sq, i, q.max_exp_avg_sq);
}

/* The same for a projection, which follows the update of the whole tensor. */
static __device__ inline void read_updated(const float_arrays &a, int i, quad *param, quad *anchor) {
  *param = load<WRITTEN>(a, a.param, i);
  if (a.anchor) *anchor = load<AGAIN>(a, a.anchor, i);
}

static __device__ inline void write_projected(const float_arrays &a, int i, const quad &param) {
  store<AGAIN>(a, a.param, i, param);
}

/* What a quad adds to the sums, element by element. */
struct quad_sums {
  quad grad_dot, dev_sq, new_dev_sq;
};

/* Steps the quad at i. Elements beyond the block are computed, but not stored or summed. sums is used if DECIDES. */
template <bool DECIDES, typename ARRAYS>
static __device__ inline void step_quad(const ARRAYS &a, const spd4j_scalars &k, int i, quad_in &q, quad_sums *sums) {
  const int32_t rule = DECIDES ? SPD4J_RULE_SPD : k.rule;
  SPD4J_UNROLL
  for (int c = 0; c < 4; c++) {
    spd4j_element e = {q.param.x[c],   q.grad.x[c],       q.anchor.x[c],
                       q.exp_avg.x[c], q.exp_avg_sq.x[c], has_max(a) ? q.max_exp_avg_sq.x[c] : 0.0f};
    const spd4j_terms terms = spd4j_step_element(rule, has_max(a), &k, &e);
    q.param.x[c] = e.param;
    q.exp_avg.x[c] = e.exp_avg;
    q.exp_avg_sq.x[c] = e.exp_avg_sq;
    if (has_max(a)) q.max_exp_avg_sq.x[c] = e.max_exp_avg_sq;
    if (DECIDES) {
      const bool there = i + c < a.n;
      sums->grad_dot.x[c] = there ? terms.grad_dot : 0.0f;
      sums->dev_sq.x[c] = there ? terms.dev_sq : 0.0f;
      sums->new_dev_sq.x[c] = there ? terms.new_dev_sq : 0.0f;
    }
  }
  write_quad(a, i, q);
}

/* Where in a tile a thread's quad begins. */
static __device__ inline int quad_at() { return (int)threadIdx.x * 4; }

/* The number of rows of 64 lanes in the tile that starts at element `tile` of a block of n elements. */
static __device__ inline int rows_of(int n, int tile) {
  const int left = n - tile;
  return ((left < TILE ? left : (int)TILE) + SPD4J_LANES - 1) / SPD4J_LANES;
}

/* Steps a block with a rule that does not decide. */
template <typename ARRAYS>
static __device__ inline void update_block(ARRAYS a, const spd4j_scalars &k) {
  if (!spd4j_rule_is_anchored(k.rule)) drop_anchor(a);
  for (int tile = 0; tile < a.n; tile += TILE) {
    quad_in q = read_quad(a, tile + quad_at());
    step_quad<false>(a, k, tile + quad_at(), q, NULL);
  }
}

/* Gives lane 0 of a warp the sum of all lanes, added in halves: lane l adds lane l + width. */
static __device__ inline float fold(float x) {
  for (int width = 16; width > 0; width /= 2) x = spd4j_add(x, __shfl_down_sync(0xffffffffu, x, width));
  return x;
}

static __device__ inline double fold(double x) {
  for (int width = 16; width > 0; width /= 2) x = spd4j_dadd(x, __shfl_down_sync(0xffffffffu, x, width));
  return x;
}

/*
 * One warp sums a field over a tensor's blocks, and its lane 0 gets the sum: block b goes to lane b mod 32, and each
 * lane adds in index order. Values are read from the L2, because other thread blocks have just written them.
 */
static __device__ inline double tensor_sum(const double *field, int64_t blocks) {
  enum { IN_FLIGHT = 8, ROW = sizeof(spd4j_sums) / sizeof(double) };
  double sum = 0;
  for (int64_t b = threadIdx.x % WARP; b < blocks; b += WARP * IN_FLIGHT) {
    double x[IN_FLIGHT];
    SPD4J_UNROLL
    for (int u = 0; u < IN_FLIGHT; u++) x[u] = b + u * WARP < blocks ? __ldcg(field + (b + u * WARP) * ROW) : 0;
    SPD4J_UNROLL
    for (int u = 0; u < IN_FLIGHT; u++) sum = spd4j_dadd(sum, x[u]);
  }
  return fold(sum);
}

static __device__ inline int64_t block_count(int64_t numel) { return (numel + SPD4J_BLOCK - 1) / SPD4J_BLOCK; }

#endif
