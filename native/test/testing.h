/* Counts tests; a test fails when one of its checks does. */
#ifndef SPD4J_TESTING_H
#define SPD4J_TESTING_H

#include <stdbool.h>
#include <stdio.h>

static int passed, failed, failed_checks;

#define CHECK(condition, ...)                                                                \
  do {                                                                                       \
    if (!(condition) && failed_checks++ < 10) {                                              \
      fprintf(stderr, "%s:%d: %s is false: ", __FILE__, __LINE__, #condition);              \
      fprintf(stderr, __VA_ARGS__);                                                          \
      fputc('\n', stderr);                                                                   \
    }                                                                                        \
  } while (0)

static inline void test(const char *name, void (*body)(void)) {
  failed_checks = 0;
  body();
  if (failed_checks == 0) {
    passed++;
  } else {
    failed++;
    printf("FAILED %s: %d checks\n", name, failed_checks);
  }
}

static inline int finish(void) {
  printf("%d passed, %d failed\n", passed, failed);
  return failed > 0;
}

#endif
