/* Tensors for tests, with all their arrays and the table over them. Every array lies between guard zones. */
#ifndef SPD4J_MODEL_H
#define SPD4J_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "guard.h"
#include "rules.h"

enum { PARAM, GRAD, ANCHOR, EXP_AVG, EXP_AVG_SQ, MAX_EXP_AVG_SQ, PARAM_LOW, ARRAYS };

/* A row of scalars for each rule: row r holds rule r. */
enum { ROWS = SPD4J_RULE_COUNT };

/* The hold arguments of a pass, with no array to keep open. */
#define NO_HOLDS NULL, NULL, NULL, NULL, NULL, NULL, NULL

/* spd4j_update, spd4j_project or spd4j_grad_sq. */
typedef int32_t pass_function(const spd4j_table *, int32_t, int64_t, int64_t, const void *, const void *, const void *,
                              const void *, const void *, const void *, const void *);

typedef struct spec {
  int64_t numel, scalars;
  bool anchored, amsgrad;
} spec;

/* Element types: of parameters with or without low halves, gradients, anchors and moments. */
typedef struct types {
  int32_t param;
  bool low;
  int32_t grad, anchor, moments;
} types;

typedef struct model {
  spd4j_table table;
  int32_t isa; /* the tier that a test runs */
  spd4j_scalars scalars[ROWS];
  int64_t tensor_count; /* the true count; a test may change the one in the table */
  spd4j_tensor *tensors;
  spd4j_block *blocks;
  spd4j_sums *sums;
  spd4j_decision *decisions; /* not in the table unless a test puts them there */
  guarded (*arrays)[ARRAYS]; /* of each tensor; the base of a missing array is NULL */
  guarded guarded_sums, guarded_decisions;
} model;

/*
 * With skew 0 every array starts at a 64-byte boundary; above, each starts at a different multiple of its elements' size.
 * PAGE_BEHIND or PAGE_BEFORE: each array, sums and decisions too, touches a page that nobody may access.
 */
model *model_new(const spec *specs, int64_t tensor_count, int skew, uint64_t seed);
/* Likewise; tensor i has the types at i % type_count. Offsets and keys of the tensors differ. */
model *model_new_typed(const spec *specs, int64_t tensor_count, const types *types, int type_count, int skew,
                       uint64_t seed);
model *model_copy(const model *m);
void model_free(model *m);

/* Sets random gradients; the same seed gives the same gradients. */
void model_gradients(model *m, uint64_t seed);

/* Sets the scalars of all rows for step t. */
void model_scalars(model *m, int t, float grad_scale);

/* Whether arrays, sums and decisions have the same bytes; with nan_ok all NaNs are equal. Prints what differs. */
bool model_same(const model *a, const model *b, bool nan_ok);

/* Whether no guard zone was written to. */
bool model_guards_intact(const model *m);

/* The array; NULL if the tensor lacks it. Only of float32 arrays the elements are floats. */
float *model_data(const model *m, int64_t tensor, int array);

/*
 * An element as a float; sets one, rounded to about the nearest number. Of parameters both halves; with an
 * 8-bit moment its group is rounded again.
 */
float model_get(const model *m, int64_t tensor, int array, int64_t i);
void model_set(model *m, int64_t tensor, int array, int64_t i, float x);

uint64_t next_random(uint64_t *state);
/* A number in (-1, 1), never 0, from several orders of magnitude. */
float random_float(uint64_t *state);

#endif
