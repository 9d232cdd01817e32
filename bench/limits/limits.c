/*
 * The limits of this machine as a contestant of `compare`: limits copy|rmw|adamw. It speaks the protocol of
 * io.spd4j.bench.contest.Server, but reads only JSON as the Java side writes it: no spaces, no escapes.
 */
#define _POSIX_C_SOURCE 200809L

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "isa.h"
#include "loops.h"

enum { CACHE_LINE = 64, LINE_FLOATS = CACHE_LINE / sizeof(float), MAX_THREADS = 1024 };

typedef enum loop { COPY, RMW, ADAMW } loop;
static const char *const loop_names[] = {"copy", "rmw", "adamw"};

/* One loop for each ISA, indexed by its number in isa.h. */
#ifdef __x86_64__
#define TIERS(loop) {loop##_baseline, loop##_v3, loop##_v4}
#else
#define TIERS(loop) {loop##_baseline}
#endif
static rmw_loop *const rmw_loops[] = TIERS(rmw);
static adamw_loop *const adamw_loops[] = TIERS(adamw);

typedef struct contest {
  loop loop;
  int isa;
  /* set by set_up */
  int64_t *begins; /* where tensors begin in the arrays, each on its own cache line; then the end */
  int64_t *numels;
  int64_t tensor_count;
  float *memory; /* all arrays */
  arrays arrays;
  int64_t array_count;
  int threads;
  double lr, beta1, beta2, eps, lambda;
  int64_t step;
} contest;

/* --- The JSON that the Java side writes. --- */

static const char *field(const char *line, const char *name) {
  char key[32];
  snprintf(key, sizeof key, "\"%s\":", name);
  const char *found = strstr(line, key);
  if (!found) {
    fprintf(stderr, "limits: the request has no %s\n", name);
    exit(2);
  }
  return found + strlen(key);
}

static bool is(const char *line, const char *name, const char *value) {
  const char *text = field(line, name);
  const size_t length = strlen(value);
  return text[0] == '"' && !strncmp(text + 1, value, length) && text[1 + length] == '"';
}

static int64_t integer(const char *line, const char *name) { return strtoll(field(line, name), NULL, 10); }

static double number(const char *line, const char *name) { return strtod(field(line, name), NULL); }

/* --- The start values of all contestants. --- */

enum { DEVIATION, GRADIENT, ANCHOR, EXP_AVG };

static uint32_t hash(uint32_t seed, uint32_t array, uint32_t tensor, uint32_t i) {
  uint32_t h = seed * 0x9E3779B1u + array * 0x85EBCA77u + tensor * 0xC2B2AE3Du + i * 0x27D4EB2Fu;
  h = (h ^ h >> 15) * 0x2C1B3C6Du;
  h = (h ^ h >> 12) * 0x297A2D39u;
  return h ^ h >> 15;
}

static float magnitude(uint32_t h, float scale) { return scale * (1 + (float)(h >> 8) * 0x1p-24f); }

static float value(uint32_t h, float scale) { return h & 1 ? -magnitude(h, scale) : magnitude(h, scale); }

static void fill(contest *c, uint32_t seed, uint32_t tensor, bool anchored, bool spd, bool all) {
  const arrays a = c->arrays;
  for (int64_t i = 0; i < c->numels[tensor]; i++) {
    const int64_t at = c->begins[tensor] + i;
    const float deviation = value(hash(seed, DEVIATION, tensor, (uint32_t)i), 1e-2f);
    float gradient = value(hash(seed, GRADIENT, tensor, (uint32_t)i), 1e-3f);
    float exp_avg = value(hash(seed, EXP_AVG, tensor, (uint32_t)i), 1e-2f);
    if (spd) {
      gradient = copysignf(gradient, all ? deviation : -deviation);
      exp_avg = copysignf(exp_avg, -deviation);
    }
    const float anchor = anchored ? value(hash(seed, ANCHOR, tensor, (uint32_t)i), 3e-2f) : 0;
    if (a.anchor) a.anchor[at] = anchor;
    a.data[at] = anchored ? anchor + deviation : deviation;
    a.grad[at] = gradient;
    a.exp_avg[at] = exp_avg;
    a.exp_avg_sq[at] = gradient * gradient;
  }
}

/* --- Set-up. --- */

static void clear(contest *c) {
  free(c->begins);
  free(c->numels);
  free(c->memory);
  c->begins = c->numels = NULL;
  c->memory = NULL;
}

static void *allocate(size_t bytes) {
  return aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
}

static const char *set_up(contest *c, const char *line) {
  clear(c);
  const char *tensors = field(line, "tensors") + 1;
  c->tensor_count = 1;
  for (const char *t = tensors; *t && *t != ']'; t++) c->tensor_count += *t == ',';
  c->begins = allocate((size_t)(c->tensor_count + 1) * sizeof(int64_t));
  c->numels = allocate((size_t)c->tensor_count * sizeof(int64_t));
  if (!c->begins || !c->numels) return "there is not enough memory";
  int64_t at = 0;
  for (int64_t t = 0; t < c->tensor_count; t++) {
    char *end;
    c->begins[t] = at;
    c->numels[t] = strtoll(tensors, &end, 10);
    at += (c->numels[t] + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS;
    tensors = end + 1;
  }
  c->begins[c->tensor_count] = at;
  const bool anchored = !strncmp(field(line, "anchored"), "true", 4);
  const bool needs_anchor = anchored && !is(line, "rule", "adamw");
  c->array_count = needs_anchor ? 5 : 4;
  c->memory = allocate((size_t)(at * c->array_count) * sizeof(float));
  if (!c->memory) return "there is not enough memory";
  c->arrays = (arrays){.data = c->memory,
                       .grad = c->memory + at,
                       .exp_avg = c->memory + 2 * at,
                       .exp_avg_sq = c->memory + 3 * at,
                       .anchor = needs_anchor ? c->memory + 4 * at : NULL};
  const bool spd = is(line, "rule", "spd"), all = spd && is(line, "select", "all");
  const uint32_t seed = (uint32_t)integer(line, "seed");
  for (int64_t t = 0; t < c->tensor_count; t++) fill(c, seed, (uint32_t)t, anchored, spd, all);
  c->threads = (int)integer(line, "threads");
  if (c->threads < 1 || c->threads > MAX_THREADS) return "limits takes 1 to 1024 threads";
  c->lr = number(line, "lr");
  c->beta1 = number(line, "beta1");
  c->beta2 = number(line, "beta2");
  c->eps = number(line, "eps");
  c->lambda = number(line, "lambda");
  c->step = integer(line, "step");
  return NULL;
}

/* --- Steps. --- */

/* All threads take each step together. They spin while they wait for each other, which costs less than sleeping. */
typedef struct team {
  const contest *contest;
  int64_t count;
  int64_t *nanos;
  atomic_int_fast64_t arrived;
} team;

typedef struct member {
  team *team;
  int index;
} member;

static void meet(team *t, int64_t meeting) {
  const int64_t all = meeting * t->contest->threads;
  atomic_fetch_add(&t->arrived, 1);
  for (int spins = 0; atomic_load(&t->arrived) < all; spins++)
    if (spins > 10000) sched_yield(); /* there are fewer processors than threads */
}

static scalars scalars_of(const contest *c, int64_t step) {
  return (scalars){.beta1 = (float)c->beta1,
                   .one_minus_beta1 = (float)(1 - c->beta1),
                   .beta2 = (float)c->beta2,
                   .one_minus_beta2 = (float)(1 - c->beta2),
                   .eps = (float)c->eps,
                   .decay = (float)(1 - c->lr * c->lambda),
                   .step_size = (float)(c->lr / (1 - pow(c->beta1, (double)step))),
                   .inv_sqrt_bias2 = (float)(1 / sqrt(1 - pow(c->beta2, (double)step)))};
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static void take_step(const contest *c, int64_t step, int64_t index) {
  const int64_t size = c->begins[c->tensor_count];
  if (c->loop == COPY) { /* copies one half of all arrays to the other */
    const int64_t half = size * c->array_count / 2, begin = half * index / c->threads;
    memcpy(c->memory + half + begin, c->memory + begin,
           (size_t)(half * (index + 1) / c->threads - begin) * sizeof(float));
    return;
  }
  const int64_t begin = size * index / c->threads, end = size * (index + 1) / c->threads;
  if (c->loop == RMW) {
    rmw_loops[c->isa](c->arrays, 0, begin, end);
    return;
  }
  const scalars k = scalars_of(c, step);
  for (int64_t t = 0; t < c->tensor_count; t++) {
    const int64_t from = larger(begin, c->begins[t]), to = smaller(end, c->begins[t] + c->numels[t]);
    if (from < to) adamw_loops[c->isa](c->arrays, k, from, to);
  }
}

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void *work(void *argument) {
  const member *self = argument;
  team *t = self->team;
  for (int64_t i = 0; i < t->count; i++) {
    meet(t, 2 * i + 1);
    const int64_t begin = now();
    take_step(t->contest, t->contest->step + i + 1, self->index);
    meet(t, 2 * i + 2);
    if (self->index == 0) t->nanos[i] = now() - begin;
  }
  return NULL;
}

static void take_steps(contest *c, int64_t count, int64_t *nanos) {
  team t = {.contest = c, .count = count, .nanos = nanos};
  member members[MAX_THREADS];
  pthread_t threads[MAX_THREADS];
  for (int i = 0; i < c->threads; i++) members[i] = (member){&t, i};
  for (int i = 1; i < c->threads; i++)
    if (pthread_create(&threads[i], NULL, work, &members[i])) {
      fprintf(stderr, "limits: the system cannot create more threads\n");
      exit(1);
    }
  work(&members[0]);
  for (int i = 1; i < c->threads; i++) pthread_join(threads[i], NULL);
  c->step += count;
}

/* --- Answers. --- */

static void answer_steps(contest *c, int64_t count) {
  int64_t *nanos = allocate((size_t)count * sizeof(int64_t));
  if (!nanos) exit(1);
  take_steps(c, count, nanos);
  printf("{\"nanos\":[");
  for (int64_t i = 0; i < count; i++) printf("%s%lld", i ? "," : "", (long long)nanos[i]);
  printf("]}\n");
  free(nanos);
}

static void print_values(const char *name, const float *values, int64_t count) {
  printf("\"%s\":[", name);
  for (int64_t i = 0; i < count; i++) printf("%s%.9g", i ? "," : "", (double)values[i]);
  printf("]");
}

static void answer_values(const contest *c, const char *line) {
  const int64_t at = c->begins[integer(line, "tensor")] + integer(line, "from"), count = integer(line, "count");
  printf("{");
  print_values("data", c->arrays.data + at, count);
  printf(",");
  print_values("exp_avg", c->arrays.exp_avg + at, count);
  printf(",");
  print_values("exp_avg_sq", c->arrays.exp_avg_sq + at, count);
  printf("}\n");
}

static void answer_hello(const contest *c) {
  static const char *const tiers[] = {"baseline", "x86-64-v3", "x86-64-v4"};
  printf("{\"name\":\"c-%s\",\"version\":\"C compiler %s, %s\",\"rules\":[%s]}\n", loop_names[c->loop], __VERSION__, tiers[c->isa],
         c->loop == ADAMW ? "\"adamw\"" : "\"adamw\",\"l2sp\",\"spd\"");
}

int main(int argc, char **argv) {
  contest c = {.isa = spd4j_best_isa()};
  int known = -1;
  for (int l = COPY; l <= ADAMW; l++)
    if (argc == 2 && !strcmp(argv[1], loop_names[l])) known = l;
  if (known < 0) {
    fprintf(stderr, "usage: limits copy|rmw|adamw\n");
    return 2;
  }
  c.loop = (loop)known;
  char *line = NULL;
  size_t capacity = 0;
  while (getline(&line, &capacity, stdin) > 0 && !is(line, "cmd", "exit")) {
    if (is(line, "cmd", "hello")) {
      answer_hello(&c);
    } else if (is(line, "cmd", "setup")) {
      const char *reason = set_up(&c, line);
      if (reason)
        printf("{\"skip\":\"%s\"}\n", reason);
      else
        printf("{\"ok\":true}\n");
    } else if (is(line, "cmd", "step")) {
      answer_steps(&c, integer(line, "count"));
    } else if (is(line, "cmd", "values")) {
      answer_values(&c, line);
    } else if (is(line, "cmd", "close")) {
      clear(&c);
      printf("{\"ok\":true}\n");
    }
    fflush(stdout);
  }
  clear(&c);
  free(line);
  return 0;
}
