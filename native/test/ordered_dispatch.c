/*
 * dispatch.c for a JVM with ThreadSanitizer, which does not see how Java's threads wait for each other. A call comes after
 * every call that has returned. So what is looked for is races between calls that overlap, such as those of one pass.
 */
#define spd4j_update unordered_update
#define spd4j_project unordered_project
#define spd4j_grad_sq unordered_grad_sq
#define spd4j_interpolate unordered_interpolate
#include "dispatch.c"
#undef spd4j_update
#undef spd4j_project
#undef spd4j_grad_sq
#undef spd4j_interpolate

/* sanitizer/tsan_interface.h, which only a compiler with ThreadSanitizer has */
void __tsan_acquire(void *address);
void __tsan_release(void *address);

static char returned;

static void begin_call(void) { __tsan_acquire(&returned); }

static int32_t end_call(int32_t status) {
  __tsan_release(&returned);
  return status;
}

#define PASS(name)                                                                                                    \
  SPD4J_API int32_t spd4j_##name(const spd4j_table *table, int32_t isa, int64_t begin, int64_t end, SPD4J_HOLDS) {      \
    begin_call();                                                                                                     \
    return end_call(unordered_##name(table, isa, begin, end, hold0, hold1, hold2, hold3, hold4, hold5, hold6));       \
  }

PASS(update)
PASS(project)
PASS(grad_sq)

SPD4J_API int32_t spd4j_interpolate(int32_t isa, const void *from, int32_t from_type, const void *to, int32_t to_type,
                                    double alpha, void *dst, int32_t dst_type, int64_t numel) {
  begin_call();
  return end_call(unordered_interpolate(isa, from, from_type, to, to_type, alpha, dst, dst_type, numel));
}
