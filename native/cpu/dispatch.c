/* Checks a run of blocks, or arrays to interpolate, and hands them to the kernels of one tier. */
#include "kernels.h"

/*
 * Projects 32 blocks at a time: the newest stretch first, as it is still cached; forwards inside it, so that
 * prefetching works.
 */
enum { STRETCH = 32 };

/* Small tensors are updated in batches of this many elements and then decided on, so that no decision is waited for. */
enum { BATCH = SPD4J_BLOCK };

typedef struct kernels {
  spd4j_update_kernel *const (*update)[2]; /* indexed by spd4j_rule, and by whether all arrays are float32 */
  spd4j_project_kernel *project;
  spd4j_grad_sq_kernel *grad_sq;
  spd4j_interpolate_kernel *interpolate;
} kernels;

#define KERNELS(tier) {spd4j_update_##tier, spd4j_project_##tier, spd4j_grad_sq_##tier, spd4j_interpolate_##tier}

/* Indexed by spd4j_isa. */
static const kernels tiers[] = {
    KERNELS(baseline),
#if defined(__x86_64__)
    KERNELS(v3),
    KERNELS(v4),
#endif
};

static const int32_t tier_count = sizeof tiers / sizeof tiers[0];

int32_t spd4j_abi_version(void) { return SPD4J_ABI_VERSION; }

const char *spd4j_rule_name(int32_t rule) { return spd4j_name_of_rule(rule); }

/* What a pass uses besides the blocks and the tensors. */
enum { PARAM = 1, GRAD = 2, MOMENTS = 4, SCALARS = 8, SUMS = 16 };

static bool is_type(int32_t type) { return type >= SPD4J_TYPE_FLOAT32 && type <= SPD4J_TYPE_FLOAT16; }

/*
 * Checks the types of a tensor that is not all float32, and what only such a tensor needs. Not inlined: it would slow
 * down the checks of many small float32 tensors.
 */
static __attribute__((noinline)) int32_t check_types(const spd4j_table *table, const spd4j_tensor *t,
                                                     const spd4j_block *b, int uses) {
  if (!is_type(t->param_type) || !is_type(t->grad_type) || !is_type(t->anchor_type) ||
      (t->param_low && t->param_type != SPD4J_TYPE_BFLOAT16) ||
      t->moment_type < SPD4J_MOMENTS_FLOAT32 || t->moment_type > SPD4J_MOMENTS_8BIT ||
      (t->moment_type == SPD4J_MOMENTS_8BIT && t->max_exp_avg_sq))
    return SPD4J_ERROR_TYPE;
  /* Random bits and groups of moments are counted from whole blocks on; random bits need the step. */
  const int64_t end = t->numel - b->begin > SPD4J_BLOCK ? b->begin + SPD4J_BLOCK : t->numel;
  if (t->offset < 0 || t->offset % SPD4J_BLOCK != 0 || b->begin % SPD4J_BLOCK != 0 || b->end != end)
    return SPD4J_ERROR_RANGE;
  return (uses & PARAM) && !table->scalars ? SPD4J_ERROR_NULL : SPD4J_OK;
}

/* Checks everything that can be wrong with a run, before anything is written, and sees if all its arrays are float32. */
static int32_t check(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, int uses, bool *all_float32) {
  *all_float32 = true;
  if (!table || !table->blocks || !table->tensors || ((uses & SCALARS) && !table->scalars) ||
      ((uses & SUMS) && !table->sums))
    return SPD4J_ERROR_NULL;
  if (isa < 0 || isa >= tier_count) return SPD4J_ERROR_ISA;
  if (begin < 0 || begin > end || end > table->block_count) return SPD4J_ERROR_RANGE;
  for (int64_t i = begin; i < end; i++) {
    const spd4j_block *b = &table->blocks[i];
    if (b->tensor < 0 || b->tensor >= table->tensor_count) return SPD4J_ERROR_RANGE;
    const spd4j_tensor *t = &table->tensors[b->tensor];
    if (t->scalars == -1) continue;
    if (b->begin < 0 || b->begin > b->end || b->end > t->numel || t->scalars < 0 || t->scalars >= table->scalars_count)
      return SPD4J_ERROR_RANGE;
    if (((uses & PARAM) && !t->param) || ((uses & GRAD) && !t->grad) ||
        ((uses & MOMENTS) && (!t->exp_avg || !t->exp_avg_sq)))
      return SPD4J_ERROR_NULL;
    if ((!spd4j_is_float32(t)) | (t->param_low != NULL)) {
      *all_float32 = false;
      const int32_t status = check_types(table, t, b, uses);
      if (status != SPD4J_OK) return status;
    }
    if ((uses & SCALARS) && (uint32_t)table->scalars[t->scalars].rule >= SPD4J_RULE_COUNT) return SPD4J_ERROR_RULE;
  }
  return SPD4J_OK;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static const spd4j_tensor *tensor_of(const spd4j_table *table, int64_t block) {
  return &table->tensors[table->blocks[block].tensor];
}

/* The end of the blocks from i on that belong to one tensor. */
static int64_t tensor_end(const spd4j_table *table, int64_t i, int64_t end) {
  const int64_t tensor = table->blocks[i].tensor;
  do i++;
  while (i < end && table->blocks[i].tensor == tensor);
  return i;
}

/* The end of the blocks from i on whose tensors share a row of scalars. */
static int64_t row_end(const spd4j_table *table, int64_t i, int64_t end) {
  const int64_t row = tensor_of(table, i)->scalars;
  do i++;
  while (i < end && tensor_of(table, i)->scalars == row);
  return i;
}

/* The end of the blocks from i on that are all float32, or all not. */
static int64_t types_end(const spd4j_table *table, int64_t i, int64_t end) {
  const bool is_float32 = spd4j_is_float32(tensor_of(table, i));
  do i++;
  while (i < end && spd4j_is_float32(tensor_of(table, i)) == is_float32);
  return i;
}

/* Decides on each tensor whose blocks are all in [begin, end), and projects it if it is selected. */
static void complete(const kernels *tier, const spd4j_table *table, int64_t begin, int64_t end) {
  for (int64_t first = begin, last; first < end; first = last) {
    last = tensor_end(table, first, end);
    const spd4j_block *b = &table->blocks[first];
    const spd4j_tensor *t = &table->tensors[b->tensor];
    if (b->begin != 0 || table->blocks[last - 1].end != t->numel) continue;
    const spd4j_scalars *k = &table->scalars[t->scalars];
    const float shrink = spd4j_decide(&table->sums[first], last - first, k, &table->decisions[b->tensor]);
    if (!(shrink > 0.0f)) continue;
    for (int64_t stop = last; stop > first; stop -= STRETCH)
      tier->project(t, k->step, shrink, table->blocks[larger(first, stop - STRETCH)].begin, table->blocks[stop - 1].end);
  }
}

/* Updates blocks that share a row of scalars, and decides after every few tensors: they are projected while cached. */
static void update_and_decide(const kernels *tier, spd4j_update_kernel *update, const spd4j_table *table, int64_t begin,
                              int64_t end) {
  for (int64_t first = begin, last; first < end; first = last) {
    int64_t numel = 0;
    for (last = first; last < end && numel < BATCH; last = tensor_end(table, last, end))
      numel += tensor_of(table, last)->numel;
    update(table, first, last);
    complete(tier, table, first, last);
  }
}

int32_t spd4j_update(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, SPD4J_HOLDS) {
  bool all_float32;
  const int32_t status = check(table, isa, begin, end, PARAM | GRAD | MOMENTS | SCALARS | SUMS, &all_float32);
  if (status != SPD4J_OK) return status;
  const kernels *tier = &tiers[isa];
  for (int64_t first = begin, last; first < end; first = last) {
    last = row_end(table, first, end);
    if (!all_float32) last = types_end(table, first, last);
    const spd4j_tensor *t = tensor_of(table, first);
    if (t->scalars < 0) continue;
    const int32_t rule = table->scalars[t->scalars].rule;
    spd4j_update_kernel *update = tier->update[rule][spd4j_is_float32(t)];
    if (table->decisions && spd4j_rule_decides(rule))
      update_and_decide(tier, update, table, first, last);
    else
      update(table, first, last);
  }
  return SPD4J_OK;
}

int32_t spd4j_project(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, SPD4J_HOLDS) {
  bool all_float32;
  const int32_t status = check(table, isa, begin, end, PARAM, &all_float32);
  if (status != SPD4J_OK) return status;
  for (int64_t stop = end; stop > begin; stop -= STRETCH)
    for (int64_t i = larger(begin, stop - STRETCH); i < stop; i++) {
      const spd4j_block *b = &table->blocks[i];
      const spd4j_tensor *t = tensor_of(table, i);
      if (t->scalars < 0 || !(t->shrink > 0.0f)) continue;
      const int64_t step = table->scalars ? table->scalars[t->scalars].step : 0; /* float32 tensors do not need it */
      tiers[isa].project(t, step, t->shrink, b->begin, b->end);
    }
  return SPD4J_OK;
}

int32_t spd4j_grad_sq(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, SPD4J_HOLDS) {
  bool all_float32;
  const int32_t status = check(table, isa, begin, end, GRAD | SUMS, &all_float32);
  if (status != SPD4J_OK) return status;
  for (int64_t i = begin; i < end; i++) {
    const spd4j_block *b = &table->blocks[i];
    const spd4j_tensor *t = &table->tensors[b->tensor];
    if (t->scalars >= 0) table->sums[i].grad_sq = tiers[isa].grad_sq(t, b->begin, b->end);
  }
  return SPD4J_OK;
}

int32_t spd4j_interpolate(int32_t isa, const void *from, int32_t from_type, const void *to, int32_t to_type, double alpha,
                          void *dst, int32_t dst_type, int64_t numel) {
  if (isa < 0 || isa >= tier_count) return SPD4J_ERROR_ISA;
  if (!(alpha >= 0 && alpha <= 1) || numel < 0) return SPD4J_ERROR_RANGE;
  if (!is_type(from_type) || !is_type(to_type) || !is_type(dst_type)) return SPD4J_ERROR_TYPE;
  if (numel > 0 && (!from || !to || !dst)) return SPD4J_ERROR_NULL;
  tiers[isa].interpolate(spd4j_weights_of(alpha), from, from_type, to, to_type, dst, dst_type, numel);
  return SPD4J_OK;
}
