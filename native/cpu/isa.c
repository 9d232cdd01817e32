#include "isa.h"

/* The bits are those that the System V psABI lists for x86-64-v3 and x86-64-v4. */
spd4j_isa spd4j_isa_of(spd4j_cpuid cpu) {
  const uint32_t v3_ecx = 1u << 0 | 1u << 9 | 1u << 12 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 22 | 1u << 23 |
                          1u << 27 | 1u << 28 | 1u << 29;          /* SSE3 SSSE3 FMA CX16 SSE4.1 SSE4.2 MOVBE POPCNT
                                                                      OSXSAVE AVX F16C */
  const uint32_t v3_ebx = 1u << 3 | 1u << 5 | 1u << 8;             /* BMI1 AVX2 BMI2 */
  const uint32_t v3_extended = 1u << 0 | 1u << 5;                  /* LAHF LZCNT */
  const uint32_t v4_ebx = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* AVX512 F DQ CD BW VL */
  const uint64_t ymm = 0x6, zmm = 0xe6;                            /* SSE AVX; also opmask ZMM_Hi256 Hi16_ZMM */
  if ((cpu.leaf1_ecx & v3_ecx) != v3_ecx || (cpu.leaf7_ebx & v3_ebx) != v3_ebx ||
      (cpu.extended1_ecx & v3_extended) != v3_extended || (cpu.xcr0 & ymm) != ymm)
    return SPD4J_ISA_BASELINE;
  if ((cpu.leaf7_ebx & v4_ebx) != v4_ebx || (cpu.xcr0 & zmm) != zmm) return SPD4J_ISA_X86_64_V3;
  return SPD4J_ISA_X86_64_V4;
}

#if defined(__x86_64__)
#include <cpuid.h>

int32_t spd4j_best_isa(void) {
  spd4j_cpuid cpu = {0, 0, 0, 0};
  unsigned a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d)) cpu.leaf1_ecx = c;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) cpu.leaf7_ebx = b;
  if (__get_cpuid(0x80000001u, &a, &b, &c, &d)) cpu.extended1_ecx = c;
  if (cpu.leaf1_ecx & 1u << 27) { /* OSXSAVE: XGETBV may be used */
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    cpu.xcr0 = (uint64_t)d << 32 | a;
  }
  return (int32_t)spd4j_isa_of(cpu);
}
#else
int32_t spd4j_best_isa(void) { return SPD4J_ISA_BASELINE; }
#endif
