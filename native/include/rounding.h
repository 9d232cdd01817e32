/*
 * Arithmetic in which each operation is rounded once. Compilers may fuse a product and a sum into one rounding: the C
 * code is compiled with that turned off, and CUDA's intrinsics are never fused.
 */
#ifndef SPD4J_ROUNDING_H
#define SPD4J_ROUNDING_H

#include <math.h>

#if defined(__CUDACC__)
#define SPD4J_FN static __host__ __device__ __forceinline__
#else
#define SPD4J_FN static inline __attribute__((always_inline, unused))
#endif

#if defined(__CUDA_ARCH__)
SPD4J_FN float spd4j_mul(float a, float b) { return __fmul_rn(a, b); }
SPD4J_FN float spd4j_add(float a, float b) { return __fadd_rn(a, b); }
SPD4J_FN float spd4j_sub(float a, float b) { return __fsub_rn(a, b); }
SPD4J_FN float spd4j_div(float a, float b) { return __fdiv_rn(a, b); }
SPD4J_FN float spd4j_sqrt(float a) { return __fsqrt_rn(a); }
SPD4J_FN float spd4j_round(double a) { return __double2float_rn(a); }
SPD4J_FN double spd4j_dmul(double a, double b) { return __dmul_rn(a, b); }
SPD4J_FN double spd4j_dadd(double a, double b) { return __dadd_rn(a, b); }
SPD4J_FN double spd4j_dsub(double a, double b) { return __dsub_rn(a, b); }
SPD4J_FN double spd4j_ddiv(double a, double b) { return __ddiv_rn(a, b); }
SPD4J_FN double spd4j_dsqrt(double a) { return __dsqrt_rn(a); }
#else
SPD4J_FN float spd4j_mul(float a, float b) { return a * b; }
SPD4J_FN float spd4j_add(float a, float b) { return a + b; }
SPD4J_FN float spd4j_sub(float a, float b) { return a - b; }
SPD4J_FN float spd4j_div(float a, float b) { return a / b; }
SPD4J_FN float spd4j_sqrt(float a) { return sqrtf(a); }
SPD4J_FN float spd4j_round(double a) { return (float)a; }
SPD4J_FN double spd4j_dmul(double a, double b) { return a * b; }
SPD4J_FN double spd4j_dadd(double a, double b) { return a + b; }
SPD4J_FN double spd4j_dsub(double a, double b) { return a - b; }
SPD4J_FN double spd4j_ddiv(double a, double b) { return a / b; }
SPD4J_FN double spd4j_dsqrt(double a) { return sqrt(a); }
#endif

#endif
