/*
 * The ABI of libspd4j: fused AdamW, L2-SP and Selective Projection Decay steps over a table of blocks, and interpolation.
 *
 * A parameter tensor is cut into blocks of SPD4J_BLOCK elements; the last block may be shorter. The caller owns the
 * table and every array. A pass works on a run of the table's blocks, [begin, end). It allocates nothing, keeps no
 * state and starts no thread. Many threads may call it at once for runs that do not overlap. Sizes and indices are
 * int64_t. native/NUMERICS.md says what is computed, in which order and with which rounding.
 */
#ifndef SPD4J_H
#define SPD4J_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SPD4J_API __attribute__((visibility("default")))
#else
#define SPD4J_API
#endif

#define SPD4J_ABI_VERSION 4

/* Part of the numerics contract: float lanes in a block, elements of a block, double lanes across a tensor's blocks. */
#define SPD4J_LANES 64
#define SPD4J_BLOCK 4096
#define SPD4J_TENSOR_LANES 32

/* Elements that share a scale in 8-bit moments. */
#define SPD4J_SCALE_GROUP 64

typedef enum spd4j_status {
  SPD4J_OK = 0,
  SPD4J_ERROR_NULL = 1,  /* a required pointer is NULL */
  SPD4J_ERROR_RANGE = 2, /* a run, block, tensor or scalars index is outside its table */
  SPD4J_ERROR_TYPE = 3,  /* an unknown element type, or types that do not go together */
  SPD4J_ERROR_RULE = 4,  /* an unknown rule */
  SPD4J_ERROR_ISA = 5    /* a tier that this library does not hold */
} spd4j_status;

/* The instruction sets that the kernels are compiled for. A library holds the tiers of one architecture only. */
typedef enum spd4j_isa {
  SPD4J_ISA_BASELINE = 0, /* x86-64 with SSE2, or armv8-a with Advanced SIMD */
  SPD4J_ISA_X86_64_V3 = 1,
  SPD4J_ISA_X86_64_V4 = 2
} spd4j_isa;

/* Element types of parameters, gradients and anchors. */
typedef enum spd4j_type {
  SPD4J_TYPE_FLOAT32 = 0,
  SPD4J_TYPE_BFLOAT16 = 1, /* of a parameter: exact float32 with param_low, else rounded stochastically */
  SPD4J_TYPE_FLOAT16 = 2   /* of a parameter: rounded stochastically */
} spd4j_type;

/* How moments are stored. */
typedef enum spd4j_moment_type {
  SPD4J_MOMENTS_FLOAT32 = 0,
  SPD4J_MOMENTS_BFLOAT16 = 1, /* rounded stochastically */
  SPD4J_MOMENTS_8BIT = 2      /* codes of one byte, with a scale for each SPD4J_SCALE_GROUP elements; not with AMSGrad */
} spd4j_moment_type;

/*
 * One parameter tensor, or one shard of it, with at most seven arrays. In a table for CUDA these are device pointers.
 *
 * An array of 8-bit moments holds numel codes, padding to a multiple of 4 bytes, and then the scales as floats, one for
 * each SPD4J_SCALE_GROUP elements and one for a rest. AMSGrad's maximum has the type of the second moment.
 *
 * A tensor that is not all float32 is passed in whole blocks: each begins at a multiple of SPD4J_BLOCK and ends there, or
 * at numel. spd4j_project then needs spd4j_table.scalars, for the step.
 */
typedef struct spd4j_tensor {
  void *param;
  void *param_low; /* int16: the low halves of float32 parameters, whose high halves param has as bfloat16; else NULL */
  const void *grad;
  const void *anchor; /* NULL: every anchor is 0 */
  void *exp_avg;
  void *exp_avg_sq;
  void *max_exp_avg_sq; /* NULL without AMSGrad */
  int64_t numel;
  int64_t offset;  /* of a shard: index of its first element in the whole tensor, a multiple of SPD4J_BLOCK */
  int64_t scalars; /* row of spd4j_table.scalars; -1: the tensor is not stepped, and its blocks are skipped */
  int32_t param_type; /* spd4j_type */
  int32_t grad_type;
  int32_t anchor_type;
  int32_t moment_type; /* spd4j_moment_type */
  float shrink; /* lambda times r, set by the caller; spd4j_project skips the tensor unless this is above 0 */
  int32_t reserved;
  uint64_t key; /* of the tensor's random bits, for stochastic rounding (random.h) */
} spd4j_tensor;

/* The scalars of one group at its step t: computed in double, each rounded once to float. */
typedef struct spd4j_scalars {
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float eps;
  float step_size;      /* lr / (1 - beta1^t) */
  float inv_sqrt_bias2; /* 1 / sqrt(1 - beta2^t) */
  float decay;          /* spd4j_rule_decay in rules.h computes it from lr and lambda */
  float grad_scale;     /* multiplies every gradient; negative to maximize */
  int32_t rule;         /* spd4j_rule, in rules.h */
  double lambda;        /* SPD's strength, for its decision */
  int64_t step;         /* t */
  int32_t reserved[2];
} spd4j_scalars;

/* Elements [begin, end) of one tensor. */
typedef struct spd4j_block {
  int64_t tensor;
  int64_t begin;
  int64_t end;
} spd4j_block;

/* What a block contributes to its tensor's sums. */
typedef struct spd4j_sums {
  double grad_dot;   /* sum of g (theta - theta0), before the update */
  double dev_sq;     /* sum of (theta - theta0)^2, before the update */
  double new_dev_sq; /* sum of (theta~ - theta0)^2, after the update and before the projection */
  double grad_sq;    /* sum of g^2, with the gradients as stored, not scaled */
} spd4j_sums;

/* SPD's decision on a tensor in the tensor's last step, and totals over all its steps with SPD. */
typedef struct spd4j_decision {
  int64_t step;     /* t of the tensor's last step with SPD */
  int64_t checked;  /* steps with SPD */
  int64_t selected; /* steps that selected the tensor */
  double ratio_sum; /* sum of r over the steps that selected the tensor */
  double grad_dot;  /* the tensor's sums in its last step, as in spd4j_sums */
  double dev_sq;
  double new_dev_sq;
  float shrink; /* lambda times r if the tensor was selected, else 0 */
  int32_t reserved;
} spd4j_decision;

typedef struct spd4j_table {
  const spd4j_block *blocks;
  const spd4j_tensor *tensors;
  const spd4j_scalars *scalars;
  spd4j_sums *sums; /* one for each block */
  spd4j_decision *decisions; /* one for each tensor; NULL: the caller decides, as it must for shards */
  int64_t block_count;
  int64_t tensor_count;
  int64_t scalars_count;
} spd4j_table;

SPD4J_API int32_t spd4j_abi_version(void);

/*
 * Writes the layout that this library was compiled with: for spd4j_tensor, spd4j_scalars, spd4j_block, spd4j_sums,
 * spd4j_decision and spd4j_table in turn, the size and then the offset of each field in declaration order. Writes at
 * most capacity values and returns how many there are.
 */
SPD4J_API int64_t spd4j_layout(int64_t *values, int64_t capacity);

/* Returns the best tier that this library holds and this machine (CPU and operating system) can run. */
SPD4J_API int32_t spd4j_best_isa(void);

/* Returns the name of a rule; NULL if this library does not know the rule. */
SPD4J_API const char *spd4j_rule_name(int32_t rule);

/*
 * The three passes. Each returns a spd4j_status, and writes nothing unless that is SPD4J_OK. isa is a spd4j_isa, at
 * most spd4j_best_isa().
 *
 * hold0 to hold6 are never read. Java's FFM keeps an arena open during a call only if one of its segments is an
 * argument; an address in the table does not count. A tensor has at most seven arrays, so seven arguments suffice.
 */
#if defined(__GNUC__)
#define SPD4J_HOLD __attribute__((unused)) const void
#else
#define SPD4J_HOLD const void
#endif
#define SPD4J_HOLDS                                                                                      \
  SPD4J_HOLD *hold0, SPD4J_HOLD *hold1, SPD4J_HOLD *hold2, SPD4J_HOLD *hold3, SPD4J_HOLD *hold4, SPD4J_HOLD *hold5, \
      SPD4J_HOLD *hold6

/*
 * Updates the moments and parameters of the run's blocks; with SPD it also writes their sums. If the table has
 * decisions, it also decides on each SPD tensor that the run holds whole, with its blocks adjacent and in order, and
 * projects it if it is selected. For other SPD tensors the caller decides, sets shrink and calls spd4j_project.
 */
SPD4J_API int32_t spd4j_update(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, SPD4J_HOLDS);

/* SPD's projection of the run's tensors whose shrink is above 0: the last blocks first, while they are cached. */
SPD4J_API int32_t spd4j_project(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, SPD4J_HOLDS);

/* Writes each block's sum of squared gradients. It is finite exactly when all gradients of the block are. */
SPD4J_API int32_t spd4j_grad_sq(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, SPD4J_HOLDS);

/*
 * Interpolates between two arrays, dst = (1 - alpha) from + alpha to, for alpha from 0 to 1 (interpolation.h). Each array
 * has numel elements and a spd4j_type; dst is rounded to nearest. dst may be from or to, with the same type; otherwise it
 * overlaps neither. isa and the result are as those of the passes.
 */
SPD4J_API int32_t spd4j_interpolate(int32_t isa, const void *from, int32_t from_type, const void *to, int32_t to_type,
                                    double alpha, void *dst, int32_t dst_type, int64_t numel);

#ifdef __cplusplus
}
#endif

#endif
