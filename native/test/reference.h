/* The contract once more, in plain loops: what the kernels of every tier must equal bit for bit. */
#ifndef SPD4J_REFERENCE_H
#define SPD4J_REFERENCE_H

#include "spd4j.h"

/* spd4j_scalars.decay, before it is rounded. */
double reference_decay(int32_t rule, double lr, double lambda);

void reference_update(const spd4j_table *table, int64_t begin, int64_t end);
/* Decides on the tensors all of whose blocks are in the run, and projects them. */
void reference_complete(const spd4j_table *table, int64_t begin, int64_t end);
void reference_project(const spd4j_table *table, int64_t begin, int64_t end);
void reference_grad_sq(const spd4j_table *table, int64_t begin, int64_t end);

#endif
