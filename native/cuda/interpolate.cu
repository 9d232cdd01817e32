/*
 * dst = (1 - alpha) from + alpha to, element by element; interpolation.h has the details and the paper. Each thread takes
 * four consecutive elements.
 */
#include "interpolation.h"
#include "launch.h"
#include "typed.cuh"

static __device__ inline stored encode_nearest(const quad &q, int32_t storage) {
  stored s = {};
  SPD4J_UNROLL
  for (int c = 0; c < 4; c++) {
    if (storage == FLOAT32)
      s.word[c] = spd4j_bits(q.x[c]);
    else
      put_half(s, c, storage == BFLOAT16 ? spd4j_nearest_bfloat16(q.x[c]) : spd4j_nearest_float16(q.x[c]));
  }
  return s;
}

static __global__ void __launch_bounds__(THREADS)
    interpolate(spd4j_weights weights, const void *from, int32_t from_type, const void *to, int32_t to_type, void *dst,
                int32_t dst_type, int64_t numel) {
  const int64_t begin = (int64_t)blockIdx.x * TILE;
  typed_arrays a = {}; /* only tells how many elements there are, and how to access them */
  a.n = (int)(numel - begin < TILE ? numel - begin : (int64_t)TILE);
  a.by_quads = aligned(from, from_type) && aligned(to, to_type) && aligned(dst, dst_type);
  const stored x = load_stored<ONCE>(a, at(from, from_type, begin), from_type, quad_at());
  const stored y = load_stored<ONCE>(a, at(to, to_type, begin), to_type, quad_at());
  const quad p = decode(x, from_type), q = decode(y, to_type);
  quad mixed;
  SPD4J_UNROLL
  for (int c = 0; c < 4; c++) mixed.x[c] = spd4j_interpolate_element(weights, p.x[c], q.x[c]);
  store_stored<ONCE>(a, at(dst, dst_type, begin), dst_type, quad_at(), encode_nearest(mixed, dst_type));
}

int32_t spd4j_cuda_interpolate(const void *from, int32_t from_type, const void *to, int32_t to_type, double alpha,
                               void *dst, int32_t dst_type, int64_t numel, void *stream) {
  if (numel == 0) return 0;
  return launch(interpolate, (numel + TILE - 1) / TILE, THREADS, stream, spd4j_weights_of(alpha), from, from_type, to,
                to_type, dst, dst_type, numel);
}
