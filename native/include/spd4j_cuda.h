/*
 * The ABI of libspd4j_cuda: the steps of spd4j.h on a CUDA device, with the same bits (native/NUMERICS.md). The library
 * contains the CUDA runtime and exports those of its functions that Java calls.
 *
 * Everything that a step reads or writes is in device memory: the arrays, the tables, the groups' settings, the step
 * counts and SPD's decisions. A step enqueues kernels on a stream and returns. It never waits, so it can be captured in
 * a CUDA graph. Functions that can fail return a cudaError, 0 for success. Two steps over one table must not run at
 * once.
 */
#ifndef SPD4J_CUDA_H
#define SPD4J_CUDA_H

#include "spd4j.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SPD4J_CUDA_ABI_VERSION 3

/* The largest number of blocks that one item projects. */
#define SPD4J_CUDA_PROJECT_BLOCKS 8

/* The settings of a group. They are in device memory, so that a replayed graph reads the current values. */
typedef struct spd4j_cuda_group {
  double lr;
  double beta1;
  double beta2;
  double eps;
  double lambda;
  int32_t rule;     /* spd4j_rule */
  int32_t maximize; /* not 0: gradients are negated */
} spd4j_cuda_group;

/* The state that a tensor keeps from step to step. */
typedef struct spd4j_cuda_state {
  int64_t group;        /* row of spd4j_cuda_table.groups */
  int64_t first_block;  /* row of spd4j_cuda_table.blocks and sums */
  int64_t step;         /* steps taken */
  int64_t spd_step;     /* value of step at the last step with SPD */
  int64_t checked;      /* steps with SPD */
  int64_t selected;     /* steps that selected the tensor */
  double ratio_sum;     /* sum of r over the steps that selected the tensor */
  double grad_dot;      /* the tensor's sums in the last step with SPD, as in spd4j_sums */
  double dev_sq;
  double new_dev_sq;
  double grad_sq;       /* sum of g^2, from the last spd4j_cuda_norm */
  int64_t pending;      /* blocks of the current step whose sums are missing; -1 once the tensor is decided on */
  float shrink;         /* lambda times r if the tensor was selected, else 0 */
  int32_t reserved;
} spd4j_cuda_state;

/* What all tensors of a step share. */
typedef struct spd4j_cuda_control {
  double norm;       /* of all gradients, times the caller's grad_scale, before clipping */
  double grad_scale; /* factor of every gradient in a step with clip */
  int64_t ticket;    /* the next item that a thread block of the SPD kernel takes */
  int64_t skip;      /* not 0: a step with clip changes nothing (spd4j_cuda_norm) */
} spd4j_cuda_control;

/* Work for one thread block: the update of one block, or the projection of several consecutive blocks. */
typedef struct spd4j_cuda_item {
  int64_t block;   /* the block to update, or the last block to project; projection goes downwards from it */
  int32_t count;   /* of blocks: 1 to update, up to SPD4J_CUDA_PROJECT_BLOCKS to project */
  int32_t project; /* 0: update, 1: projection */
} spd4j_cuda_item;

/*
 * The tables of an optimizer. Every pointer is a device pointer. spd4j_tensor.scalars is the tensor's own index if the
 * tensor is stepped, else -1; spd4j_tensor.shrink is not used. There are as many scalars and states as tensors, and as
 * many sums as blocks.
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
 * The work of a step: the tensors [first_tensor, end_tensor), and items in device memory that update each block of the
 * stepped tensors once. With SPD, items also project the blocks of SPD tensors. They come after all updates of the
 * tensor: thread blocks take items in order, and a thread block that projects waits for the decision on the tensor.
 */
typedef struct spd4j_cuda_run {
  const spd4j_cuda_item *items;
  int64_t item_count;
  int64_t first_tensor;
  int64_t end_tensor;
  int64_t spd;      /* not 0: some tensor's rule is SPD */
  int64_t resident; /* with SPD: number of thread blocks to start, from spd4j_cuda_resident */
  int64_t typed;    /* not 0: some tensor has an array that is not float32 */
} spd4j_cuda_run;

SPD4J_API int32_t spd4j_cuda_abi_version(void);

/* Returns the name of a rule; NULL if this library does not know the rule. */
SPD4J_API const char *spd4j_cuda_rule_name(int32_t rule);

/*
 * Writes the layout of spd4j_cuda_group, spd4j_cuda_state, spd4j_cuda_control, spd4j_cuda_item, spd4j_cuda_table and
 * spd4j_cuda_run in the form of spd4j_layout.
 */
SPD4J_API int64_t spd4j_cuda_layout(int64_t *values, int64_t capacity);

/* Copies a device's name to name, cut to capacity bytes including the final 0. */
SPD4J_API int32_t spd4j_cuda_device_name(int32_t device, char *name, int64_t capacity);

/*
 * Copies and waits for the stream; kind is a cudaMemcpyKind. It is for host memory that is not page-locked: CUDA may
 * read such memory even after cudaMemcpyAsync has returned, but Java's FFM keeps it alive only during a call.
 */
SPD4J_API int32_t spd4j_cuda_copy(void *to, const void *from, int64_t bytes, int32_t kind, void *stream);

/* Sets *thread_blocks to the number of thread blocks of the SPD kernel that the current device runs at once. */
SPD4J_API int32_t spd4j_cuda_resident(int64_t *thread_blocks);

/*
 * Writes to control the norm of the gradients of the run's tensors, times grad_scale. It also writes what a later step
 * with clip needs: its factor, grad_scale times min(1, max_norm / (norm + 1e-6)), and whether it is skipped: unless the
 * norm of the gradients times the factor, rounded to float, is below 2^63.
 */
SPD4J_API int32_t spd4j_cuda_norm(const spd4j_cuda_table *table, const spd4j_cuda_run *run, double grad_scale,
                                  double max_norm, void *stream);

/*
 * Steps the run's tensors. Without clip, gradients are multiplied by grad_scale. With clip, they are multiplied by the
 * factor that spd4j_cuda_norm wrote, and the step changes nothing if that decided to skip it.
 */
SPD4J_API int32_t spd4j_cuda_step(const spd4j_cuda_table *table, const spd4j_cuda_run *run, double grad_scale, int32_t clip,
                                  void *stream);

/*
 * Enqueues what spd4j_interpolate does, over device memory. Arguments are not checked; numel is at most 2^41 - 1024.
 */
SPD4J_API int32_t spd4j_cuda_interpolate(const void *from, int32_t from_type, const void *to, int32_t to_type,
                                         double alpha, void *dst, int32_t dst_type, int64_t numel, void *stream);

#ifdef __cplusplus
}
#endif

#endif
