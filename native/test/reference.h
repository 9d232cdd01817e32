/* The numerics contract in plain loops. The kernels of every tier must give the same bits. */
#ifndef SPD4J_REFERENCE_H
#define SPD4J_REFERENCE_H

#include <stdbool.h>

#include "spd4j.h"

/* spd4j_scalars.decay before rounding. */
double reference_decay(int32_t rule, double lr, double lambda);

/* Conversions. type: a spd4j_type of an array without low halves; random: what is added to the bits that are cut off. */
float reference_get(int32_t type, const void *array, int64_t i);
void reference_set(int32_t type, void *array, int64_t i, float x, uint32_t random);
/* Likewise, rounded to nearest, ties to even. */
void reference_set_nearest(int32_t type, void *array, int64_t i, float x);
/* Whether element i of two arrays has the same bits. In float32 any NaN is like any other. */
bool reference_same(int32_t type, const void *a, const void *b, int64_t i);
/* Parameters with low halves. */
float reference_get_split(const void *high, const void *low, int64_t i);
void reference_set_split(void *high, void *low, int64_t i, float x);
/* Moments in 8 bits of a tensor of n elements; second: the second moment, whose group a random word rounds. */
float reference_get_8bit(bool second, const void *array, int64_t n, int64_t i);
void reference_set_group(bool second, void *array, int64_t n, int64_t begin, int64_t end, const float *values,
                         uint32_t word);
/* The random word of an element; i: its index in the whole tensor. */
uint32_t reference_word(uint64_t key, int64_t step, int64_t i, int use);

void reference_update(const spd4j_table *table, int64_t begin, int64_t end);
/* Decides on each SPD tensor whose blocks are all in the run, and projects it if it is selected. */
void reference_complete(const spd4j_table *table, int64_t begin, int64_t end);
void reference_project(const spd4j_table *table, int64_t begin, int64_t end);
void reference_grad_sq(const spd4j_table *table, int64_t begin, int64_t end);

float reference_interpolate(double alpha, float from, float to);

#endif
