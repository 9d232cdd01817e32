/* Tests which tier CPUID and XCR0 give, against the x86-64 psABI's lists, bit by bit. */
#include "isa.h"
#include "testing.h"

enum word { LEAF1_ECX, LEAF7_EBX, EXTENDED1_ECX, XCR0 };

typedef struct feature {
  const char *name;
  enum word word;
  int bit;
  spd4j_isa needed_from; /* the lowest tier that needs it */
} feature;

static const feature features[] = {
    {"SSE3", LEAF1_ECX, 0, SPD4J_ISA_X86_64_V3},      {"SSSE3", LEAF1_ECX, 9, SPD4J_ISA_X86_64_V3},
    {"FMA", LEAF1_ECX, 12, SPD4J_ISA_X86_64_V3},      {"CMPXCHG16B", LEAF1_ECX, 13, SPD4J_ISA_X86_64_V3},
    {"SSE4.1", LEAF1_ECX, 19, SPD4J_ISA_X86_64_V3},   {"SSE4.2", LEAF1_ECX, 20, SPD4J_ISA_X86_64_V3},
    {"MOVBE", LEAF1_ECX, 22, SPD4J_ISA_X86_64_V3},    {"POPCNT", LEAF1_ECX, 23, SPD4J_ISA_X86_64_V3},
    {"OSXSAVE", LEAF1_ECX, 27, SPD4J_ISA_X86_64_V3},  {"AVX", LEAF1_ECX, 28, SPD4J_ISA_X86_64_V3},
    {"F16C", LEAF1_ECX, 29, SPD4J_ISA_X86_64_V3},     {"BMI1", LEAF7_EBX, 3, SPD4J_ISA_X86_64_V3},
    {"AVX2", LEAF7_EBX, 5, SPD4J_ISA_X86_64_V3},      {"BMI2", LEAF7_EBX, 8, SPD4J_ISA_X86_64_V3},
    {"LAHF", EXTENDED1_ECX, 0, SPD4J_ISA_X86_64_V3},  {"LZCNT", EXTENDED1_ECX, 5, SPD4J_ISA_X86_64_V3},
    {"XMM state", XCR0, 1, SPD4J_ISA_X86_64_V3},      {"YMM state", XCR0, 2, SPD4J_ISA_X86_64_V3},
    {"AVX512F", LEAF7_EBX, 16, SPD4J_ISA_X86_64_V4},  {"AVX512DQ", LEAF7_EBX, 17, SPD4J_ISA_X86_64_V4},
    {"AVX512CD", LEAF7_EBX, 28, SPD4J_ISA_X86_64_V4}, {"AVX512BW", LEAF7_EBX, 30, SPD4J_ISA_X86_64_V4},
    {"AVX512VL", LEAF7_EBX, 31, SPD4J_ISA_X86_64_V4}, {"opmask state", XCR0, 5, SPD4J_ISA_X86_64_V4},
    {"ZMM_Hi256 state", XCR0, 6, SPD4J_ISA_X86_64_V4}, {"Hi16_ZMM state", XCR0, 7, SPD4J_ISA_X86_64_V4},
};
enum { FEATURES = sizeof features / sizeof features[0] };

static spd4j_cpuid with(spd4j_cpuid cpu, const feature *f, bool present) {
  const uint64_t bit = (uint64_t)1 << f->bit;
  uint64_t words[] = {cpu.leaf1_ecx, cpu.leaf7_ebx, cpu.extended1_ecx, cpu.xcr0};
  words[f->word] = present ? words[f->word] | bit : words[f->word] & ~bit;
  return (spd4j_cpuid){(uint32_t)words[0], (uint32_t)words[1], (uint32_t)words[2], words[3]};
}

static spd4j_cpuid all_up_to(spd4j_isa isa) {
  spd4j_cpuid cpu = {0, 0, 0, 0};
  for (int i = 0; i < FEATURES; i++)
    if (features[i].needed_from <= isa) cpu = with(cpu, &features[i], true);
  return cpu;
}

static void exactly_the_required_bits_suffice(void) {
  CHECK(spd4j_isa_of(all_up_to(SPD4J_ISA_X86_64_V4)) == SPD4J_ISA_X86_64_V4, "all bits of v4");
  CHECK(spd4j_isa_of(all_up_to(SPD4J_ISA_X86_64_V3)) == SPD4J_ISA_X86_64_V3, "all bits of v3");
  CHECK(spd4j_isa_of((spd4j_cpuid){0, 0, 0, 0}) == SPD4J_ISA_BASELINE, "no bits");
  CHECK(spd4j_isa_of((spd4j_cpuid){~0u, ~0u, ~0u, ~(uint64_t)0}) == SPD4J_ISA_X86_64_V4, "all bits");
}

static void every_required_bit_is_required(void) {
  for (spd4j_isa isa = SPD4J_ISA_X86_64_V3; isa <= SPD4J_ISA_X86_64_V4; isa++)
    for (int i = 0; i < FEATURES; i++) {
      if (features[i].needed_from > isa) continue;
      const spd4j_cpuid every = {~0u, ~0u, ~0u, ~(uint64_t)0};
      const spd4j_cpuid cpu = isa == SPD4J_ISA_X86_64_V4 ? every : all_up_to(isa);
      const spd4j_isa found = spd4j_isa_of(with(cpu, &features[i], false)), right = features[i].needed_from - 1;
      CHECK(found == right, "tier %d without %s: tier %d", isa, features[i].name, found);
    }
}

static void registers_that_the_system_does_not_save_are_not_used(void) {
  static const struct {
    uint64_t xcr0;
    spd4j_isa isa;
  } cases[] = {
      {0x00, SPD4J_ISA_BASELINE}, {0x01, SPD4J_ISA_BASELINE},  {0x03, SPD4J_ISA_BASELINE},  {0x05, SPD4J_ISA_BASELINE},
      {0xe1, SPD4J_ISA_BASELINE}, {0x07, SPD4J_ISA_X86_64_V3}, {0x27, SPD4J_ISA_X86_64_V3}, {0xc7, SPD4J_ISA_X86_64_V3},
      {0x1f, SPD4J_ISA_X86_64_V3}, {0xe7, SPD4J_ISA_X86_64_V4}, {0x602e7, SPD4J_ISA_X86_64_V4},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    spd4j_cpuid cpu = all_up_to(SPD4J_ISA_X86_64_V4);
    cpu.xcr0 = cases[i].xcr0;
    CHECK(spd4j_isa_of(cpu) == cases[i].isa, "XCR0 %#llx", (unsigned long long)cases[i].xcr0);
  }
}

static void the_best_tier_of_this_machine(void) {
  const int32_t best = spd4j_best_isa();
#if defined(__x86_64__)
  CHECK(best >= SPD4J_ISA_BASELINE && best <= SPD4J_ISA_X86_64_V4, "tier %d", best);
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2")) CHECK(best == SPD4J_ISA_BASELINE, "tier %d", best);
  if (!__builtin_cpu_supports("avx512f")) CHECK(best <= SPD4J_ISA_X86_64_V3, "tier %d", best);
  /* What the psABI requires, as far as every compiler's run-time check knows it. */
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("bmi2") &&
      __builtin_cpu_supports("fma"))
    CHECK(best == SPD4J_ISA_X86_64_V4, "tier %d", best);
#else
  CHECK(best == SPD4J_ISA_BASELINE, "tier %d", best);
#endif
  printf("this machine: tier %d\n", best);
}

int main(void) {
  test("exactly the required bits suffice", exactly_the_required_bits_suffice);
  test("every required bit is required", every_required_bit_is_required);
  test("registers that the system does not save are not used", registers_that_the_system_does_not_save_are_not_used);
  test("the best tier of this machine", the_best_tier_of_this_machine);
  return finish();
}
