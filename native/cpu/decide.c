/*
 * SPD's decision on a tensor. The equations and the paper are in decision.h. The sums of a tensor: block b goes to lane
 * b mod TENSOR_LANES, each lane adds in index order, and the lanes are added in halves (native/NUMERICS.md).
 */
#include "decision.h"
#include "kernels.h"

static spd4j_sums total(const spd4j_sums *sums, int64_t blocks) {
  spd4j_sums lanes[SPD4J_TENSOR_LANES] = {0};
  for (int64_t b = 0; b < blocks; b++) {
    spd4j_sums *lane = &lanes[b % SPD4J_TENSOR_LANES];
    lane->grad_dot += sums[b].grad_dot;
    lane->dev_sq += sums[b].dev_sq;
    lane->new_dev_sq += sums[b].new_dev_sq;
  }
  for (int width = SPD4J_TENSOR_LANES / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) {
      lanes[l].grad_dot += lanes[l + width].grad_dot;
      lanes[l].dev_sq += lanes[l + width].dev_sq;
      lanes[l].new_dev_sq += lanes[l + width].new_dev_sq;
    }
  return lanes[0];
}

float spd4j_decide(const spd4j_sums *sums, int64_t blocks, const spd4j_scalars *k, spd4j_decision *decision) {
  const spd4j_sums s = blocks == 1 ? *sums : total(sums, blocks);
  decision->grad_dot = s.grad_dot;
  decision->dev_sq = s.dev_sq;
  decision->new_dev_sq = s.new_dev_sq;
  decision->step = k->step;
  decision->checked++;
  float shrink = 0;
  if (spd4j_selects(s.grad_dot)) {
    const double ratio = spd4j_ratio(s.dev_sq, s.new_dev_sq);
    shrink = spd4j_shrink(k->lambda, ratio);
    decision->selected++;
    decision->ratio_sum += ratio;
  }
  decision->shrink = shrink;
  return shrink;
}
