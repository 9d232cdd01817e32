/*
 * The ABI of libspd4j: fused AdamW, L2-SP and Selective Projection Decay steps over a table of blocks.
 *
 * A parameter tensor is cut into blocks of SPD4J_BLOCK elements (the last one shorter). The caller owns every array and
 * the table; a function works on the run [begin, end) of the table's blocks, allocates nothing, keeps nothing, starts no
 * thread, and may be called from many threads at once for runs that do not overlap. Sizes and indices are int64_t.
 * What is computed, in which order and with which rounding: native/NUMERICS.md.
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

#define SPD4J_ABI_VERSION 3

/* The numerics contract: float lanes within a block, elements of a block, double lanes across the blocks of a tensor. */
#define SPD4J_LANES 64
#define SPD4J_BLOCK 4096
#define SPD4J_TENSOR_LANES 32

typedef enum spd4j_status {
  SPD4J_OK = 0,
  SPD4J_ERROR_NULL = 1,  /* a pointer that is needed is NULL */
  SPD4J_ERROR_RANGE = 2, /* a run, block, tensor or scalars index lies outside its table */
  SPD4J_ERROR_TYPE = 3,  /* an element type that this version does not step */
  SPD4J_ERROR_RULE = 4,  /* an unknown rule */
  SPD4J_ERROR_ISA = 5    /* a tier that this library was not built with */
} spd4j_status;

/* Tiers of one source. Values of different architectures never meet in one library. */
typedef enum spd4j_isa {
  SPD4J_ISA_BASELINE = 0, /* x86-64 with SSE2, or armv8-a with Advanced SIMD */
  SPD4J_ISA_X86_64_V3 = 1,
  SPD4J_ISA_X86_64_V4 = 2
} spd4j_isa;

typedef enum spd4j_type {
  SPD4J_TYPE_FLOAT32 = 0 /* every other value is refused with SPD4J_ERROR_TYPE */
} spd4j_type;

/*
 * One parameter tensor, or one shard of it. In a device's table the pointers are device pointers.
 *
 * Seven arrays at the most. A moment that needs scales keeps them in its own array, behind the elements; AMSGrad's
 * maximum has the type and the layout of the second moment.
 */
typedef struct spd4j_tensor {
  void *param;
  void *param_low; /* the lower halves of parameters that are kept in two; NULL for the types of this version */
  const void *grad;
  const void *anchor; /* NULL: the origin */
  void *exp_avg;
  void *exp_avg_sq;
  void *max_exp_avg_sq; /* NULL: not AMSGrad */
  int64_t numel;
  int64_t offset;  /* a shard's place: the index of its first element in the whole tensor, a multiple of SPD4J_BLOCK */
  int64_t scalars; /* row of spd4j_table.scalars; -1: this tensor is not stepped, its blocks are passed over */
  int32_t param_type; /* spd4j_type */
  int32_t grad_type;
  int32_t anchor_type;
  int32_t moment_type;
  float shrink; /* lambda times r, set by who decides; spd4j_project leaves the tensor alone unless it is above 0 */
  int32_t reserved[3];
} spd4j_tensor;

/* The scalars of one group at one step count t: computed in double, each rounded once to float. */
typedef struct spd4j_scalars {
  float beta1;
  float one_minus_beta1;
  float beta2;
  float one_minus_beta2;
  float eps;
  float step_size;      /* lr / (1 - beta1^t) */
  float inv_sqrt_bias2; /* 1 / sqrt(1 - beta2^t) */
  float decay;          /* what the rule makes of lr and lambda: spd4j_rule_decay in rules.h */
  float grad_scale;     /* multiplies every gradient; negative to maximize */
  int32_t rule;         /* spd4j_rule, in rules.h */
  double lambda;        /* SPD: its strength, for the decision */
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
  double grad_sq;    /* sum of g^2 of the gradients as they are stored */
} spd4j_sums;

/* What SPD decided on a tensor in its last step, and how often it did what. */
typedef struct spd4j_decision {
  int64_t step;     /* of the tensor's last step with SPD */
  int64_t checked;  /* steps with SPD */
  int64_t selected; /* those that selected the tensor */
  double ratio_sum; /* of r, over those */
  double grad_dot;  /* the tensor's sums, as in spd4j_sums */
  double dev_sq;
  double new_dev_sq;
  float shrink; /* lambda times r if it was selected, else 0 */
  int32_t reserved;
} spd4j_decision;

typedef struct spd4j_table {
  const spd4j_block *blocks;
  const spd4j_tensor *tensors;
  const spd4j_scalars *scalars;
  spd4j_sums *sums; /* one for each block */
  spd4j_decision *decisions; /* one for each tensor; NULL: the caller decides on all, as it must on shards */
  int64_t block_count;
  int64_t tensor_count;
  int64_t scalars_count;
} spd4j_table;

SPD4J_API int32_t spd4j_abi_version(void);

/*
 * The layout this library was compiled with: for spd4j_tensor, spd4j_scalars, spd4j_block, spd4j_sums, spd4j_decision
 * and spd4j_table in turn, its size and then the offset of each field in the order of its declaration. Writes up to
 * capacity values, returns how many there are.
 */
SPD4J_API int64_t spd4j_layout(int64_t *values, int64_t capacity);

/* The best tier that this library holds and this machine, CPU and operating system, can run. */
SPD4J_API int32_t spd4j_best_isa(void);

/* The name of a rule, as the library knows it; NULL if it does not. */
SPD4J_API const char *spd4j_rule_name(int32_t rule);

/*
 * The three passes. Each returns a spd4j_status; after anything but SPD4J_OK nothing has been written.
 * isa is a spd4j_isa, not above spd4j_best_isa().
 *
 * hold0 to hold6 are never read: Java's FFM keeps an arena open during a call only for segments among the call's
 * arguments, and a table of addresses is not one. A tensor has seven arrays at the most, so seven arguments suffice.
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
 * Moments and parameters of the run's blocks; for SPD also their sums. If the table has decisions, a tensor that the
 * run holds whole, its blocks one after the other in order, is also decided on and projected; on any other the caller
 * decides, sets its shrink and calls spd4j_project for its blocks.
 */
SPD4J_API int32_t spd4j_update(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, SPD4J_HOLDS);

/* SPD's projection of the tensors whose shrink is above 0, the last ones first: the newest are still in cache. */
SPD4J_API int32_t spd4j_project(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, SPD4J_HOLDS);

/* The sum of squares of the gradients; it is finite exactly when all of them are. */
SPD4J_API int32_t spd4j_grad_sq(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, SPD4J_HOLDS);

#ifdef __cplusplus
}
#endif

#endif
