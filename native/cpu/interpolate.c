/*
 * dst = (1 - alpha) from + alpha to, element by element; interpolation.h has the details and the paper. A tile at a time is
 * converted to float32 and back.
 */
#include "interpolation.h"
#include "tile.h"

static void mix(spd4j_weights weights, const float *from, const float *to, int64_t n, float *dst) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) dst[l] = spd4j_interpolate_element(weights, from[l], to[l]);
}

static void write_nearest_bfloat16(const float *from, int64_t n, uint16_t *to) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = spd4j_nearest_bfloat16(from[l]);
}

static void write_nearest_float16(const float *from, int64_t n, uint16_t *to) {
  SPD4J_INDEPENDENT
  for (int64_t l = 0; l < n; l++) to[l] = spd4j_nearest_float16(from[l]);
}

void SPD4J_KERNEL(interpolate)(spd4j_weights weights, const void *from, int32_t from_type, const void *to,
                               int32_t to_type, void *dst, int32_t dst_type, int64_t numel) {
  spd4j_floats from_tile, to_tile, dst_tile;
  for (int64_t at = 0, n; at < numel; at += n) {
    n = numel - at < SPD4J_TILE ? numel - at : SPD4J_TILE;
    const float *x = spd4j_read(from_type, from, at, n, &from_tile), *y = spd4j_read(to_type, to, at, n, &to_tile);
    if (dst_type == SPD4J_TYPE_FLOAT32) {
      mix(weights, x, y, n, (float *)dst + at);
      continue;
    }
    mix(weights, x, y, n, dst_tile.values);
    if (dst_type == SPD4J_TYPE_BFLOAT16)
      write_nearest_bfloat16(dst_tile.values, n, (uint16_t *)dst + at);
    else
      write_nearest_float16(dst_tile.values, n, (uint16_t *)dst + at);
  }
}
