/*
 * SPD's projection of a selected tensor: theta' = theta~ - (lambda r) (theta~ - theta0), with r from decision.h.
 * Tian, Huang, Kira, NeurIPS 2024.
 */
#include "compact.h"
#include "element.h"
#include "tile.h"

SPD4J_INLINE void project(bool anchored, float *param, const float *anchor, float shrink, int64_t n) {
  SPD4J_INDEPENDENT
  for (int64_t i = 0; i < n; i++) param[i] = spd4j_project_element(shrink, param[i], anchored ? anchor[i] : 0.0f);
}

/* Projects at most a block, of any types. */
static void block(const spd4j_tensor *t, int64_t step, float shrink, int64_t begin, int64_t end) {
  spd4j_floats params, anchors;
  const spd4j_words words = spd4j_words_at(t, step, begin, SPD4J_USE_PROJECT);
  for (int64_t at = begin + spd4j_compact_project(t, shrink, begin, end), n; at < end; at += n) {
    n = end - at < SPD4J_TILE ? end - at : SPD4J_TILE;
    float *param = spd4j_read_param(t, at, n, &params);
    if (t->anchor)
      project(true, param, spd4j_read(t->anchor_type, t->anchor, at, n, &anchors), shrink, n);
    else
      project(false, param, NULL, shrink, n);
    spd4j_write_param(t, at, n, &params, words, at - begin);
  }
}

void SPD4J_KERNEL(project)(const spd4j_tensor *t, int64_t step, float shrink, int64_t begin, int64_t end) {
  if (!spd4j_is_float32(t)) {
    for (int64_t at = begin; at < end; at += SPD4J_BLOCK)
      block(t, step, shrink, at, at + SPD4J_BLOCK < end ? at + SPD4J_BLOCK : end);
    return;
  }
  float *param = (float *)t->param + begin;
  if (t->anchor)
    project(true, param, (const float *)t->anchor + begin, shrink, end - begin);
  else
    project(false, param, NULL, shrink, end - begin);
}
