#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#include "guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#endif

#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

enum { ALIGNMENT = 64, GUARD = 128, POISON = 0xa5 };

static guarded guarded_by_pages(size_t size, int64_t place) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), usable = (size + page - 1) / page * page;
  guarded g = {NULL, NULL, size, usable + 2 * page, place};
  g.base = mmap(NULL, g.mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (g.base == MAP_FAILED) abort();
  if (usable > 0 && mprotect(g.base + page, usable, PROT_READ | PROT_WRITE) != 0) abort();
  memset(g.base + page, POISON, usable);
  g.data = g.base + page + (place == PAGE_BEHIND ? usable - size : 0);
  return g;
}

guarded guarded_new(size_t size, int64_t offset) {
  if (offset < 0) return guarded_by_pages(size, offset);
  const size_t total = (GUARD + (size_t)offset + size + GUARD + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  guarded g = {aligned_alloc(ALIGNMENT, total), NULL, size, 0, offset};
  if (!g.base) abort();
  memset(g.base, POISON, total);
  g.data = g.base + GUARD + offset;
  ASAN_POISON_MEMORY_REGION(g.base, (size_t)(g.data - g.base));
  ASAN_POISON_MEMORY_REGION(g.data + size, GUARD);
  return g;
}

guarded guarded_copy(guarded g) {
  if (!g.base) return g;
  guarded copy = guarded_new(g.size, g.place);
  memcpy(copy.data, g.data, g.size);
  return copy;
}

void guarded_free(guarded g) {
  if (!g.base) return;
  if (g.mapped > 0) {
    munmap(g.base, g.mapped);
    return;
  }
  ASAN_UNPOISON_MEMORY_REGION(g.base, (size_t)(g.data - g.base) + g.size + GUARD);
  free(g.base);
}

static bool poisoned(const unsigned char *begin, const unsigned char *end) {
  bool intact = true;
  for (; begin < end; begin++) intact = intact && *begin == POISON;
  return intact;
}

static bool zone_intact(unsigned char *begin, size_t size) {
  ASAN_UNPOISON_MEMORY_REGION(begin, size);
  const bool intact = poisoned(begin, begin + size);
  ASAN_POISON_MEMORY_REGION(begin, size);
  return intact;
}

bool guards_intact(guarded g) {
  if (!g.base) return true;
  if (g.mapped > 0) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return poisoned(g.base + page, g.data) && poisoned(g.data + g.size, g.base + g.mapped - page);
  }
  return zone_intact(g.base, (size_t)(g.data - g.base)) && zone_intact(g.data + g.size, GUARD);
}
