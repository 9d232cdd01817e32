/*
 * The decay rules. To add one, add a line to SPD4J_RULES and a case to each function whose default does not fit it.
 *
 * theta parameter, theta0 anchor, dev = theta - theta0, g gradient, u Adam's update, all float32; lr and lambda double.
 *
 *   ADAMW          theta' = theta (1 - lr lambda) - u                 Loshchilov, Hutter, ICLR 2019
 *   L2SP           theta' = (theta - lr lambda dev) - u               Li, Grandvalet, Davoine, ICML 2018
 *   L2SP_COUPLED   g + lambda dev replaces g; theta' = theta - u
 *   SPD            theta~ = theta - u; sums decide if it is projected   Tian, Huang, Kira, NeurIPS 2024
 *   CAUTIOUS       theta' = theta - u if the signs of u and dev are opposed,
 *                  else (theta - lr lambda dev) - u                   Chen et al., arXiv 2510.12402
 */
#ifndef SPD4J_RULES_H
#define SPD4J_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "rounding.h"
#include "spd4j.h"

/* The rules in the order of their numbers, which are part of the ABI. Java's list of them is io.spd4j.kernel.Rule. */
#define SPD4J_RULES(RULE) \
  RULE(ADAMW)             \
  RULE(L2SP)              \
  RULE(L2SP_COUPLED)      \
  RULE(SPD)               \
  RULE(CAUTIOUS)

#define SPD4J_RULE_NUMBER(name) SPD4J_RULE_##name,
typedef enum spd4j_rule { SPD4J_RULES(SPD4J_RULE_NUMBER) SPD4J_RULE_COUNT } spd4j_rule;

/* The name of a rule; NULL if there is no such rule. */
SPD4J_FN const char *spd4j_name_of_rule(int32_t rule) {
#define SPD4J_RULE_NAME(name) case SPD4J_RULE_##name: return #name;
  switch (rule) {
    SPD4J_RULES(SPD4J_RULE_NAME)
    default: return NULL;
  }
}

/* Whether a rule reads the anchor. */
SPD4J_FN bool spd4j_rule_is_anchored(int32_t rule) { return rule != SPD4J_RULE_ADAMW; }

/* Whether a rule decides on each tensor, by sums over its elements. */
SPD4J_FN bool spd4j_rule_decides(int32_t rule) { return rule == SPD4J_RULE_SPD; }

/* spd4j_scalars.decay before rounding. */
SPD4J_FN double spd4j_rule_decay(int32_t rule, double lr, double lambda) {
  switch (rule) {
    case SPD4J_RULE_ADAMW: return spd4j_dsub(1, spd4j_dmul(lr, lambda));
    case SPD4J_RULE_L2SP:
    case SPD4J_RULE_CAUTIOUS: return spd4j_dmul(lr, lambda);
    case SPD4J_RULE_L2SP_COUPLED: return lambda;
    default: return 0;
  }
}

/* The gradient that the moments take in. */
SPD4J_FN float spd4j_rule_grad(int32_t rule, float decay, float dev, float g) {
  return rule == SPD4J_RULE_L2SP_COUPLED ? spd4j_add(g, spd4j_mul(decay, dev)) : g;
}

/* The parameter after the update. */
SPD4J_FN float spd4j_rule_param(int32_t rule, float decay, float theta, float dev, float u) {
  switch (rule) {
    case SPD4J_RULE_ADAMW: return spd4j_sub(spd4j_mul(theta, decay), u);
    case SPD4J_RULE_L2SP: return spd4j_sub(spd4j_sub(theta, spd4j_mul(decay, dev)), u);
    case SPD4J_RULE_CAUTIOUS: {
      /* Selections, not one condition: compilers vectorize these for every tier. */
      const float pull = spd4j_mul(decay, dev), up = dev < 0 ? 0.0f : pull, down = dev > 0 ? 0.0f : pull;
      const float not_up = u < 0 ? down : pull;
      return spd4j_sub(spd4j_sub(theta, u > 0 ? up : not_up), u);
    }
    default: return spd4j_sub(theta, u);
  }
}

#endif
