/* The numerics contract in plain loops. The kernels of every tier must give the same bits. */
#ifndef SPD4J_REFERENCE_H
#define SPD4J_REFERENCE_H

#include "spd4j.h"

/* spd4j_scalars.decay before rounding. */
double reference_decay(int32_t rule, double lr, double lambda);

void reference_update(const spd4j_table *table, int64_t begin, int64_t end);
/* Decides on each SPD tensor whose blocks are all in the run, and projects it if it is selected. */
void reference_complete(const spd4j_table *table, int64_t begin, int64_t end);
void reference_project(const spd4j_table *table, int64_t begin, int64_t end);
void reference_grad_sq(const spd4j_table *table, int64_t begin, int64_t end);

#endif
