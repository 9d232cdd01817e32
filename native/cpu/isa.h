/* Which tier a machine can run: CPUID says what the CPU has, XCR0 which registers the OS saves. A tier needs both. */
#ifndef SPD4J_ISA_H
#define SPD4J_ISA_H

#include "spd4j.h"

typedef struct spd4j_cpuid {
  uint32_t leaf1_ecx;
  uint32_t leaf7_ebx;
  uint32_t extended1_ecx; /* leaf 0x80000001 */
  uint64_t xcr0;          /* 0 if the OS does not use XSAVE */
} spd4j_cpuid;

spd4j_isa spd4j_isa_of(spd4j_cpuid cpu);

#endif
