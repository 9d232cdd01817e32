/*
 * The ABI of libspd4j_cuda: the steps of spd4j.h on a CUDA device, with the same bits (native/NUMERICS.md). The library
 * also exports those functions of the CUDA runtime that it was linked with and Java calls.
 *
 * Everything that a step reads and writes lies in device memory: the arrays, the tables, the groups' settings, the step
 * counts and SPD's decisions. A step enqueues kernels onto a stream and returns; it waits for nothing, so that it can be
 * captured in a CUDA graph. Each function returns a cudaError, 0 for success. No two steps over one table may run at once.
 */
#ifndef SPD4J_CUDA_H
#define SPD4J_CUDA_H

#include "spd4j.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SPD4J_CUDA_ABI_VERSION 2

/* Blocks that one item of the projection covers at the most. */
#define SPD4J_CUDA_PROJECT_BLOCKS 8

/* The settings of a group, in device memory: a graph that is replayed reads what they are then. */
typedef struct spd4j_cuda_group {
  double lr;
  double beta1;
  double beta2;
  double eps;
  double lambda;
  int32_t rule;     /* spd4j_rule */
  int32_t maximize; /* not 0: gradients are negated */
} spd4j_cuda_group;

/* What a tensor carries from step to step. */
typedef struct spd4j_cuda_state {
  int64_t group;        /* row of spd4j_cuda_table.groups */
  int64_t first_block;  /* row of spd4j_cuda_table.blocks and sums */
  int64_t step;         /* steps taken */
  int64_t spd_step;     /* step at the last step with SPD */
  int64_t checked;      /* steps with SPD */
  int64_t selected;     /* those that selected the tensor */
  double ratio_sum;     /* of r, over those */
  double grad_dot;      /* the tensor's sums in the last step with SPD, as in spd4j_sums */
  double dev_sq;
  double new_dev_sq;
  double grad_sq;       /* in the last spd4j_cuda_norm */
  int64_t pending;      /* blocks of the step under way whose sums are missing; the decision has been taken once it is -1 */
  float shrink;         /* lambda times r if the tensor was selected, else 0 */
  int32_t reserved;
} spd4j_cuda_state;

/* What all tensors of a step share. */
typedef struct spd4j_cuda_control {
  double norm;       /* of all gradients, times grad_scale as given, before clipping */
  double grad_scale; /* what the step multiplies every gradient by */
  int64_t ticket;    /* the next item that a thread block of the SPD kernel takes */
  int64_t skip;      /* not 0: the norm was not finite, the step leaves everything as it is */
} spd4j_cuda_control;

/* Work for one thread block: the update of block `block`, or (project) the projection of `count` blocks up to it. */
typedef struct spd4j_cuda_item {
  int64_t block;   /* project: the last one; they are gone through downwards */
  int32_t count;   /* 1; project: up to SPD4J_CUDA_PROJECT_BLOCKS */
  int32_t project; /* 0 or 1 */
} spd4j_cuda_item;

/*
 * The tables of an optimizer; every pointer is a device pointer. spd4j_tensor.scalars is the tensor's own index if it is
 * stepped, else -1; its shrink is not used. There are as many scalars and states as tensors, as many sums as blocks.
 */
typedef struct spd4j_cuda_table {
  const spd4j_block *blocks;
  const spd4j_tensor *tensors;
  spd4j_scalars *scalars; /* written by each step */
  spd4j_sums *sums;       /* written by each step */
  const spd4j_cuda_group *groups;
  spd4j_cuda_state *states;
  spd4j_cuda_control *control;
} spd4j_cuda_table;

/*
 * What a step goes through: the tensors [first_tensor, end_tensor), and as items (in device memory) the blocks of those
 * that are stepped, each once. With SPD also the projections of the blocks of SPD's tensors, each behind all updates of
 * its tensor: thread blocks take items in order, and one that projects waits for the tensor's decision.
 */
typedef struct spd4j_cuda_run {
  const spd4j_cuda_item *items;
  int64_t item_count;
  int64_t first_tensor;
  int64_t end_tensor;
  int64_t spd;      /* not 0: some tensor's rule is SPD */
  int64_t resident; /* with SPD: thread blocks to start, as spd4j_cuda_resident says */
} spd4j_cuda_run;

SPD4J_API int32_t spd4j_cuda_abi_version(void);

/* As spd4j_rule_name. */
SPD4J_API const char *spd4j_cuda_rule_name(int32_t rule);

/*
 * As spd4j_layout: the sizes and offsets of spd4j_cuda_group, spd4j_cuda_state, spd4j_cuda_control, spd4j_cuda_item,
 * spd4j_cuda_table and spd4j_cuda_run.
 */
SPD4J_API int64_t spd4j_cuda_layout(int64_t *values, int64_t capacity);

/* The name of a device, cut to capacity bytes with the 0 that ends it. */
SPD4J_API int32_t spd4j_cuda_device_name(int32_t device, char *name, int64_t capacity);

/*
 * Copies (kind is a cudaMemcpyKind) and waits for the stream: for memory of the host that is not page-locked. CUDA may
 * still read it when cudaMemcpyAsync has returned, and Java's FFM keeps it alive during one call.
 */
SPD4J_API int32_t spd4j_cuda_copy(void *to, const void *from, int64_t bytes, int32_t kind, void *stream);

/* How many thread blocks of the SPD kernel the current device runs at once. */
SPD4J_API int32_t spd4j_cuda_resident(int64_t *thread_blocks);

/*
 * The norm of the gradients of the run's tensors, times grad_scale, into control. For a step that follows with clip:
 * its factor, grad_scale times min(1, max_norm / (norm + 1e-6)), and whether it is skipped.
 */
SPD4J_API int32_t spd4j_cuda_norm(const spd4j_cuda_table *table, const spd4j_cuda_run *run, double grad_scale,
                                  double max_norm, void *stream);

/*
 * A step of the run's tensors. clip: gradients are multiplied by what spd4j_cuda_norm found, and not at all if the norm
 * was not finite; otherwise by grad_scale.
 */
SPD4J_API int32_t spd4j_cuda_step(const spd4j_cuda_table *table, const spd4j_cuda_run *run, double grad_scale, int32_t clip,
                                  void *stream);

#ifdef __cplusplus
}
#endif

#endif
