/*
 * Arrays of any types. A quad is loaded as it is stored, with one access to each array where the arrays are aligned to
 * that, and all loads before the first use; then it is converted (codec.h). The types are those of the whole tensor, so
 * the threads of a warp never diverge.
 */
#ifndef SPD4J_TYPED_CUH
#define SPD4J_TYPED_CUH

#include "block.cuh"
#include "codec.h"
#include "random.h"

/* How an array is stored. The first three are the values of spd4j_type. */
enum storage { FLOAT32, BFLOAT16, FLOAT16, SPLIT, CODES };

/* The arrays of a tensor from a block's first element on; NULL as in spd4j_tensor. */
struct typed_arrays {
  void *param;
  int16_t *param_low; /* used if the parameters are SPLIT */
  const void *grad;
  const void *anchor;
  void *exp_avg;
  void *exp_avg_sq;
  void *max_exp_avg_sq;
  int32_t param_type, grad_type, anchor_type, moment_type; /* storage */
  spd4j_words update, project, moments; /* of the block; 0 for a use that needs none */
  int64_t scales; /* of CODES: bytes from the block's first code to its first scale */
  int n;          /* elements of the block */
  bool by_quads;  /* every array starts at a multiple of the bytes of a quad */

  /* The arrays at the tensor's step t. */
  static __device__ inline typed_arrays of(const spd4j_tensor &t, const spd4j_block &b, int64_t step);
};

static __device__ inline int64_t bytes_of(int32_t storage, int64_t elements) {
  return storage == FLOAT32 ? elements * 4 : storage == CODES ? elements : elements * 2;
}

static __device__ inline void *at(const void *array, int32_t storage, int64_t element) {
  return array ? (char *)array + bytes_of(storage, element) : NULL;
}

static __device__ inline bool aligned(const void *array, int32_t storage) {
  return (uintptr_t)array % (uintptr_t)bytes_of(storage, 4) == 0;
}

__device__ inline typed_arrays typed_arrays::of(const spd4j_tensor &t, const spd4j_block &b, int64_t step) {
  typed_arrays a;
  a.param_type = t.param_low ? (int32_t)SPLIT : t.param_type;
  a.grad_type = t.grad_type;
  a.anchor_type = t.anchor_type;
  a.moment_type = t.moment_type == SPD4J_MOMENTS_8BIT       ? CODES
                  : t.moment_type == SPD4J_MOMENTS_BFLOAT16 ? BFLOAT16
                                                            : FLOAT32;
  a.param = at(t.param, a.param_type, b.begin);
  a.param_low = (int16_t *)at(t.param_low, SPLIT, b.begin);
  a.grad = at(t.grad, a.grad_type, b.begin);
  a.anchor = at(t.anchor, a.anchor_type, b.begin);
  a.exp_avg = at(t.exp_avg, a.moment_type, b.begin);
  a.exp_avg_sq = at(t.exp_avg_sq, a.moment_type, b.begin);
  a.max_exp_avg_sq = at(t.max_exp_avg_sq, a.moment_type, b.begin);
  const int64_t block = (t.offset + b.begin) / SPD4J_BLOCK;
  const bool rounded = a.param_type == BFLOAT16 || a.param_type == FLOAT16;
  const spd4j_words none = {0, 0};
  a.update = rounded ? spd4j_words_of(t.key, step, block, SPD4J_USE_UPDATE) : none;
  a.project = rounded ? spd4j_words_of(t.key, step, block, SPD4J_USE_PROJECT) : none;
  a.moments = a.moment_type != FLOAT32 ? spd4j_words_of(t.key, step, block, SPD4J_USE_MOMENTS) : none;
  a.scales = (t.numel + 3) / 4 * 4 + b.begin / SPD4J_SCALE_GROUP * (int64_t)sizeof(float) - b.begin;
  a.n = (int)(b.end - b.begin);
  a.by_quads = aligned(t.param, a.param_type) && aligned(t.param_low, SPLIT) && aligned(t.grad, a.grad_type) &&
               aligned(t.anchor, a.anchor_type) && aligned(t.exp_avg, a.moment_type) &&
               aligned(t.exp_avg_sq, a.moment_type) && aligned(t.max_exp_avg_sq, a.moment_type);
  return a;
}

static __device__ inline bool has_anchor(const typed_arrays &a) { return a.anchor != NULL; }
static __device__ inline bool has_max(const typed_arrays &a) { return a.max_exp_avg_sq != NULL; }
static __device__ inline void drop_anchor(typed_arrays &a) { a.anchor = NULL; }

/* --- A quad as it is stored. -------------------------------------------------------------------------------------- */

/*
 * Four elements: 4 words of float32; 2 words of 16 bits each, then, if SPLIT, 2 of low halves; 1 word of CODES, then the
 * bits of their scale.
 */
struct stored {
  uint32_t word[4];
};

static __device__ inline uint16_t half_of(const stored &s, int c) { return (uint16_t)(s.word[c / 2] >> 16 * (c % 2)); }

/* Sets a half that is 0. */
static __device__ inline void put_half(stored &s, int c, uint16_t half) { s.word[c / 2] |= (uint32_t)half << 16 * (c % 2); }

/* Loads four elements of 16 bits to the words from `word` on; those beyond the block are 0. */
template <reading HOW>
static __device__ inline void load_halves(const typed_arrays &a, const void *array, int i, stored &s, int word) {
  const uint16_t *p = (const uint16_t *)array + i;
  if (whole_quad(a, i)) {
    const uint2 u = read<HOW>((const uint2 *)p);
    s.word[word] = u.x, s.word[word + 1] = u.y;
  } else {
    SPD4J_UNROLL
    for (int c = 0; c < 4; c++) put_half(s, 2 * word + c, i + c < a.n ? read<HOW>(p + c) : (uint16_t)0);
  }
}

/* Every thread of a group loads the group's scale. */
static __device__ inline stored load_codes(const typed_arrays &a, const void *array, int i) {
  stored s = {};
  const uint8_t *p = (const uint8_t *)array + i;
  if (whole_quad(a, i)) {
    s.word[0] = read<ONCE>((const uint32_t *)p);
  } else {
    SPD4J_UNROLL
    for (int c = 0; c < 4; c++) s.word[0] |= (i + c < a.n ? (uint32_t)read<ONCE>(p + c) : 0u) << 8 * c;
  }
  if (i < a.n) s.word[1] = read<ONCE>((const uint32_t *)((const char *)array + a.scales) + i / SPD4J_SCALE_GROUP);
  return s;
}

template <reading HOW>
static __device__ inline stored load_stored(const typed_arrays &a, const void *array, int32_t storage, int i) {
  stored s = {};
  if (storage == FLOAT32) {
    const uint32_t *p = (const uint32_t *)array + i;
    if (whole_quad(a, i)) {
      const uint4 u = read<HOW>((const uint4 *)p);
      s.word[0] = u.x, s.word[1] = u.y, s.word[2] = u.z, s.word[3] = u.w;
    } else {
      SPD4J_UNROLL
      for (int c = 0; c < 4; c++) s.word[c] = i + c < a.n ? read<HOW>(p + c) : 0;
    }
  } else {
    load_halves<HOW>(a, array, i, s, 0);
  }
  return s;
}

template <reading HOW>
static __device__ inline stored load_param(const typed_arrays &a, int i) {
  stored s = load_stored<HOW>(a, a.param, a.param_type, i);
  if (a.param_type == SPLIT) load_halves<HOW>(a, a.param_low, i, s, 2);
  return s;
}

static __device__ inline stored load_moment(const typed_arrays &a, const void *array, int i) {
  return a.moment_type == CODES ? load_codes(a, array, i) : load_stored<ONCE>(a, array, a.moment_type, i);
}

template <reading HOW, typename T>
static __device__ inline void write(T *p, T x) {
  if (HOW == ONCE)
    __stcs(p, x);
  else
    __stwb(p, x);
}

template <reading HOW>
static __device__ inline void store_halves(const typed_arrays &a, void *array, int i, const stored &s, int word) {
  uint16_t *p = (uint16_t *)array + i;
  if (whole_quad(a, i)) {
    write<HOW>((uint2 *)p, make_uint2(s.word[word], s.word[word + 1]));
  } else {
    SPD4J_UNROLL
    for (int c = 0; c < 4; c++)
      if (i + c < a.n) __stwb(p + c, half_of(s, 2 * word + c));
  }
}

/* The first thread of a group stores the group's scale. */
static __device__ inline void store_codes(const typed_arrays &a, void *array, int i, const stored &s) {
  uint8_t *p = (uint8_t *)array + i;
  if (whole_quad(a, i)) {
    write<ONCE>((uint32_t *)p, s.word[0]);
  } else {
    SPD4J_UNROLL
    for (int c = 0; c < 4; c++)
      if (i + c < a.n) __stwb(p + c, (uint8_t)(s.word[0] >> 8 * c));
  }
  if (i < a.n && i % SPD4J_SCALE_GROUP == 0)
    write<ONCE>((uint32_t *)((char *)array + a.scales) + i / SPD4J_SCALE_GROUP, s.word[1]);
}

template <reading HOW>
static __device__ inline void store_stored(const typed_arrays &a, void *array, int32_t storage, int i, const stored &s) {
  if (storage == FLOAT32) {
    uint32_t *p = (uint32_t *)array + i;
    if (whole_quad(a, i)) {
      write<HOW>((uint4 *)p, make_uint4(s.word[0], s.word[1], s.word[2], s.word[3]));
    } else {
      SPD4J_UNROLL
      for (int c = 0; c < 4; c++)
        if (i + c < a.n) __stwb(p + c, s.word[c]);
    }
  } else {
    store_halves<HOW>(a, array, i, s, 0);
  }
}

static __device__ inline void store_param(const typed_arrays &a, int i, const stored &s) {
  store_stored<AGAIN>(a, a.param, a.param_type, i, s);
  if (a.param_type == SPLIT) store_halves<AGAIN>(a, a.param_low, i, s, 2);
}

/* --- Conversions. ------------------------------------------------------------------------------------------------- */

template <storage AS>
static __device__ inline quad decode_as(const stored &s) {
  quad q;
  SPD4J_UNROLL
  for (int c = 0; c < 4; c++)
    q.x[c] = AS == FLOAT32    ? spd4j_float(s.word[c])
             : AS == BFLOAT16 ? spd4j_from_bfloat16(half_of(s, c))
             : AS == FLOAT16  ? spd4j_from_float16(half_of(s, c))
                              : spd4j_join(half_of(s, c), (int16_t)half_of(s, c + 4));
  return q;
}

static __device__ inline quad decode(const stored &s, int32_t storage) {
  return storage == FLOAT32    ? decode_as<FLOAT32>(s)
         : storage == BFLOAT16 ? decode_as<BFLOAT16>(s)
                               : decode_as<FLOAT16>(s);
}

static __device__ inline quad decode_param(const stored &s, int32_t storage) {
  return storage == SPLIT ? decode_as<SPLIT>(s) : decode(s, storage);
}

/* Moments, the first or the second, as their codes differ. */
static __device__ inline quad decode_moment(const stored &s, int32_t storage, bool second) {
  if (storage != CODES) return storage == FLOAT32 ? decode_as<FLOAT32>(s) : decode_as<BFLOAT16>(s);
  quad q;
  SPD4J_UNROLL
  for (int c = 0; c < 4; c++) {
    const uint8_t code = (uint8_t)(s.word[0] >> 8 * c);
    q.x[c] = second ? spd4j_from_second(s.word[1], code) : spd4j_from_first(spd4j_float(s.word[1]), code);
  }
  return q;
}

/* Words of random bits for four elements. */
struct random_quad {
  uint32_t word[4];
};

static __device__ inline random_quad random_at(spd4j_words words, int i) {
  random_quad r;
  SPD4J_UNROLL
  for (int c = 0; c < 4; c++) r.word[c] = spd4j_word(words, (uint32_t)(i + c));
  return r;
}

template <storage AS>
static __device__ inline stored encode_as(const quad &q, const random_quad &random, int shift) {
  stored s = {};
  SPD4J_UNROLL
  for (int c = 0; c < 4; c++) {
    const uint32_t r = random.word[c] >> shift;
    if (AS == FLOAT32) {
      s.word[c] = spd4j_bits(q.x[c]);
    } else if (AS == SPLIT) {
      put_half(s, c, spd4j_high(q.x[c]));
      put_half(s, c + 4, (uint16_t)spd4j_low(q.x[c]));
    } else {
      put_half(s, c, AS == BFLOAT16 ? spd4j_to_bfloat16(q.x[c], r) : spd4j_to_float16(q.x[c], r));
    }
  }
  return s;
}

/* Rounds with the random words of the block, if the storage needs them. */
static __device__ inline stored encode_param(const typed_arrays &a, const quad &q, spd4j_words words, int i) {
  const random_quad none = {};
  switch (a.param_type) {
    case FLOAT32: return encode_as<FLOAT32>(q, none, 0);
    case BFLOAT16: return encode_as<BFLOAT16>(q, random_at(words, i), 0);
    case FLOAT16: return encode_as<FLOAT16>(q, random_at(words, i), 0);
    default: return encode_as<SPLIT>(q, none, 0);
  }
}

enum { GROUP_THREADS = SPD4J_SCALE_GROUP / 4 };

/*
 * The largest bits without sign in a group of elements, which is what GROUP_THREADS threads hold, except elements beyond
 * the block. All threads of a warp take part. A thread gets the result after every thread of the group has used the
 * group's old scale, which may then be overwritten.
 */
static __device__ inline uint32_t group_largest(const typed_arrays &a, int i, const quad &q) {
  uint32_t largest = 0;
  SPD4J_UNROLL
  for (int c = 0; c < 4; c++) {
    const uint32_t bits = i + c < a.n ? spd4j_bits(q.x[c]) & SPD4J_ABSOLUTE : 0;
    largest = bits > largest ? bits : largest;
  }
  for (int width = GROUP_THREADS / 2; width > 0; width /= 2) {
    const uint32_t other = __shfl_xor_sync(0xffffffffu, largest, width);
    largest = other > largest ? other : largest;
  }
  return largest;
}

static __device__ inline stored encode_first(const typed_arrays &a, int i, const quad &q) {
  const spd4j_first_coder coder = spd4j_first_coder_of(group_largest(a, i, q));
  stored s = {};
  SPD4J_UNROLL
  for (int c = 0; c < 4; c++) s.word[0] |= (uint32_t)spd4j_to_first(coder, q.x[c]) << 8 * c;
  s.word[1] = spd4j_bits(coder.scale);
  return s;
}

static __device__ inline stored encode_second(const typed_arrays &a, int i, const quad &q) {
  const uint32_t word = spd4j_word(a.moments, (uint32_t)(i / SPD4J_SCALE_GROUP * SPD4J_SCALE_GROUP));
  const spd4j_second_coder coder = spd4j_second_coder_of(group_largest(a, i, q), word);
  stored s = {};
  SPD4J_UNROLL
  for (int c = 0; c < 4; c++) s.word[0] |= (uint32_t)spd4j_to_second(coder, q.x[c]) << 8 * c;
  s.word[1] = coder.scale;
  return s;
}

/* --- What block.cuh has for float_arrays. ------------------------------------------------------------------------- */

static __device__ inline quad read_grad(const typed_arrays &a, int i) {
  return decode(load_stored<ONCE>(a, a.grad, a.grad_type, i), a.grad_type);
}

static __device__ inline quad_in read_quad(const typed_arrays &a, int i) {
  stored anchor = {}, max_exp_avg_sq = {}; /* 0 is 0 in every storage */
  const stored param = load_param<AGAIN>(a, i);
  const stored grad = load_stored<ONCE>(a, a.grad, a.grad_type, i);
  const stored exp_avg = load_moment(a, a.exp_avg, i);
  const stored exp_avg_sq = load_moment(a, a.exp_avg_sq, i);
  if (a.anchor) anchor = load_stored<AGAIN>(a, a.anchor, a.anchor_type, i);
  if (a.max_exp_avg_sq) max_exp_avg_sq = load_moment(a, a.max_exp_avg_sq, i);
  quad_in q;
  q.param = decode_param(param, a.param_type);
  q.grad = decode(grad, a.grad_type);
  q.anchor = decode(anchor, a.anchor_type);
  q.exp_avg = decode_moment(exp_avg, a.moment_type, false);
  q.exp_avg_sq = decode_moment(exp_avg_sq, a.moment_type, true);
  if (a.max_exp_avg_sq) q.max_exp_avg_sq = decode_moment(max_exp_avg_sq, a.moment_type, true);
  return q;
}

template <storage AS>
static __device__ inline void write_moments(const typed_arrays &a, int i, const quad_in &q, const random_quad &random) {
  store_stored<ONCE>(a, a.exp_avg, AS, i, encode_as<AS>(q.exp_avg, random, 0));
  store_stored<ONCE>(a, a.exp_avg_sq, AS, i, encode_as<AS>(q.exp_avg_sq, random, 16));
  if (a.max_exp_avg_sq) store_stored<ONCE>(a, a.max_exp_avg_sq, AS, i, encode_as<AS>(q.max_exp_avg_sq, random, 16));
}

static __device__ inline void write_quad(const typed_arrays &a, int i, const quad_in &q) {
  store_param(a, i, encode_param(a, q.param, a.update, i));
  if (a.moment_type == FLOAT32) {
    write_moments<FLOAT32>(a, i, q, {});
  } else if (a.moment_type == BFLOAT16) {
    write_moments<BFLOAT16>(a, i, q, random_at(a.moments, i));
  } else {
    store_codes(a, a.exp_avg, i, encode_first(a, i, q.exp_avg));
    store_codes(a, a.exp_avg_sq, i, encode_second(a, i, q.exp_avg_sq));
  }
}

static __device__ inline void read_updated(const typed_arrays &a, int i, quad *param, quad *anchor) {
  const stored p = load_param<WRITTEN>(a, i);
  if (a.anchor) *anchor = decode(load_stored<AGAIN>(a, a.anchor, a.anchor_type, i), a.anchor_type);
  *param = decode_param(p, a.param_type);
}

static __device__ inline void write_projected(const typed_arrays &a, int i, const quad &param) {
  store_param(a, i, encode_param(a, param, a.project, i));
}

#endif
