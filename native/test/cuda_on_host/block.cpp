/* Runs thread blocks. CUDA threads are fibers that switch where they wait, in a random order. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "cuda_runtime.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

#ifdef SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif

/* Saves the callee-saved registers on the stack and the stack pointer in *from, and resumes where `to` was saved. */
extern "C" __attribute__((visibility("hidden"))) void cuda_on_host_switch(void **from, void *to);

#if defined(__x86_64__)
asm(R"(
.text
.hidden cuda_on_host_switch
.globl cuda_on_host_switch
.type cuda_on_host_switch, @function
cuda_on_host_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size cuda_on_host_switch, . - cuda_on_host_switch
)");
/* In words from the saved stack pointer: where the return address is; how many words are saved. */
enum { RESUME = 6, SAVED = 8 };
#elif defined(__aarch64__)
asm(R"(
.text
.hidden cuda_on_host_switch
.globl cuda_on_host_switch
.type cuda_on_host_switch, %function
cuda_on_host_switch:
  stp x29, x30, [sp, #-160]!
  stp x19, x20, [sp, #16];  stp x21, x22, [sp, #32];   stp x23, x24, [sp, #48]
  stp x25, x26, [sp, #64];  stp x27, x28, [sp, #80];   stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]; stp d12, d13, [sp, #128];  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #16];  ldp x21, x22, [sp, #32];   ldp x23, x24, [sp, #48]
  ldp x25, x26, [sp, #64];  ldp x27, x28, [sp, #80];   ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]; ldp d12, d13, [sp, #128];  ldp d14, d15, [sp, #144]
  ldp x29, x30, [sp], #160
  ret
.size cuda_on_host_switch, . - cuda_on_host_switch
)");
enum { RESUME = 1, SAVED = 20 };
#else
#error "CUDA on the host runs on x86-64 and aarch64 only"
#endif

__thread uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_on_host {
namespace {

enum { WORKERS = 3, WARP = 32, STACK = 128 << 10 };

[[noreturn]] void die(const char *what) {
  fprintf(stderr, "CUDA on the host: %s in thread %u of block %u\n", what, threadIdx.x, blockIdx.x);
  abort();
}

struct Fiber {
  unsigned index = 0; /* of the CUDA thread */
  void *stack = nullptr, *stack_pointer = nullptr, *fake_stack = nullptr;
  size_t stack_size = STACK;
  /* What the thread passes to warp_exchange, and gets from it. */
  unsigned mask, source;
  uint64_t sent, received;
};

struct Warp {
  unsigned alive, arrived; /* one bit per lane */
};

/* The thread block that a worker runs. */
class Block {
public:
  void run(unsigned threads, const std::function<void()> &kernel_, uint64_t seed) {
    kernel = &kernel_;
    random = seed;
    alive = threads;
    warps.assign((alive + WARP - 1) / WARP, Warp{});
    while (fibers.size() < alive) fibers.push_back(new_fiber());
    for (unsigned i = 0; i < alive; i++) {
      fibers[i]->index = i;
      warps[i / WARP].alive |= 1u << i % WARP;
      ready.push_back(fibers[i].get());
    }
    switch_to(next());
  }

  void barrier() {
    waiting.push_back(current);
    release_block();
    switch_to(next());
  }

  uint64_t exchange(unsigned mask, uint64_t bits, unsigned source) {
    const unsigned lane = current->index % WARP;
    if (!(mask >> lane & 1)) die("a mask lacks the thread's own lane");
    current->mask = mask;
    current->source = source;
    current->sent = bits;
    const unsigned warp = current->index / WARP;
    warps[warp].arrived |= 1u << lane;
    release_warp(warp, mask);
    switch_to(next());
    return current->received;
  }

  void pause() {
    ready.push_back(current);
    switch_to(next());
  }

  uint64_t draw() {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    return random;
  }

private:
  const std::function<void()> *kernel = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<Warp> warps;
  std::vector<Fiber *> ready, waiting; /* able to run; at the block's barrier */
  unsigned alive = 0;
  uint64_t random = 0;
  Fiber worker, *current = &worker, *previous = nullptr;

  std::unique_ptr<Fiber> new_fiber() {
    auto fiber = std::make_unique<Fiber>();
    fiber->stack = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fiber->stack == MAP_FAILED || mprotect(fiber->stack, 4096, PROT_NONE)) abort();
    /* Stacks begin at different offsets in their pages, or all would compete for the same cache lines. */
    char *const end = static_cast<char *>(fiber->stack) + STACK - fibers.size() * 64 % 4096;
    void **const top = reinterpret_cast<void **>(end) - SAVED;
    top[RESUME] = reinterpret_cast<void *>(&enter);
    fiber->stack_pointer = top;
    return fiber;
  }

  /* Where a fiber begins. It runs one CUDA thread after another. */
  static void enter();

  void serve() {
    switched();
    for (;;) {
      (*kernel)();
      const unsigned index = current->index;
      alive--;
      warps[index / WARP].alive &= ~(1u << index % WARP);
      release_block();
      /* The warp no longer waits for a thread that has ended. */
      const unsigned arrived = warps[index / WARP].arrived;
      for (unsigned l = 0; l < WARP; l++)
        if (arrived >> l & 1) release_warp(index / WARP, fibers[index / WARP * WARP + l]->mask);
      switch_to(alive > 0 ? next() : &worker);
    }
  }

  void release_block() {
    if (waiting.empty() || waiting.size() < alive) return;
    ready.insert(ready.end(), waiting.begin(), waiting.end());
    waiting.clear();
  }

  void release_warp(unsigned index, unsigned mask) {
    Warp &warp = warps[index];
    const unsigned lanes = mask & warp.alive;
    if ((warp.arrived & mask) != lanes) return;
    for (unsigned l = 0; l < WARP; l++) {
      if (!(lanes >> l & 1)) continue;
      Fiber *fiber = fibers[index * WARP + l].get();
      if (fiber->mask != mask) die("lanes of a warp wait with different masks");
      /* The value of a lane that takes no part is undefined. */
      fiber->received = lanes >> fiber->source & 1 ? fibers[index * WARP + fiber->source]->sent : 0xa5a5a5a5a5a5a5a5u;
      ready.push_back(fiber);
    }
    warp.arrived &= ~lanes;
  }

  Fiber *next() {
    if (ready.empty()) die("not all threads reach a barrier");
    std::swap(ready[draw() % ready.size()], ready.back());
    Fiber *fiber = ready.back();
    ready.pop_back();
    return fiber;
  }

  void switch_to(Fiber *to) {
    Fiber *from = current;
    if (from == to) return;
    previous = from;
    current = to;
    threadIdx = {to->index, 0, 0};
#ifdef SANITIZED
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_size);
#endif
    cuda_on_host_switch(&from->stack_pointer, to->stack_pointer);
    switched();
  }

  /* Called first on the stack that was switched to. */
  void switched() {
#ifdef SANITIZED
    const void *stack;
    size_t size;
    __sanitizer_finish_switch_fiber(current->fake_stack, &stack, &size);
    previous->stack = const_cast<void *>(stack); /* the worker's stack is known only now */
    previous->stack_size = size;
#endif
  }
};

__thread Block *running;

void Block::enter() { running->serve(); }

/* --- Workers. Each takes one thread block after another, from the grids in launch order. -------------------------- */

struct Grid {
  unsigned blocks, threads;
  const std::function<void()> *kernel;
  uint64_t seed;
  unsigned started, finished;
};

struct Pool {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Grid *> grids; /* grids with blocks left to start */
  uint64_t seed = 0;
  bool started = false;
};

Pool &pool = *new Pool; /* never freed: workers outlive static objects */

uint64_t mix(uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return (z ^ z >> 31) | 1;
}

void work() {
  Block block;
  running = &block;
  std::unique_lock<std::mutex> lock(pool.mutex);
  for (;;) {
    pool.changed.wait(lock, [] { return !pool.grids.empty(); });
    Grid *grid = pool.grids.front();
    const unsigned taken = grid->started++;
    if (grid->started == grid->blocks) pool.grids.pop_front();
    lock.unlock();
    /* CUDA starts blocks in any order: here upwards or downwards, from a random block. */
    const unsigned at = static_cast<unsigned>(((grid->seed >> 8) + taken) % grid->blocks);
    gridDim = {grid->blocks, 1, 1};
    blockDim = {grid->threads, 1, 1};
    blockIdx = {grid->seed & 2 ? at : grid->blocks - 1 - at, 0, 0};
    block.run(grid->threads, *grid->kernel, mix(grid->seed + taken));
    lock.lock();
    if (++grid->finished == grid->blocks) pool.changed.notify_all();
  }
}

} // namespace

void block_barrier() { running->barrier(); }

uint64_t warp_exchange(unsigned mask, uint64_t bits, unsigned source) { return running->exchange(mask, bits, source); }

void yield() {
  running->pause();
  std::this_thread::yield();
}

void linger() {
  if (running->draw() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(50));
}

void run_grid(unsigned blocks, unsigned threads, const std::function<void()> &kernel) {
  std::unique_lock<std::mutex> lock(pool.mutex);
  if (!pool.started) {
    const char *seed = getenv("SPD4J_CUDA_ON_HOST_SEED");
    pool.seed = seed ? strtoull(seed, nullptr, 10) : 0;
    for (int i = 0; i < WORKERS; i++) std::thread(work).detach();
    pool.started = true;
  }
  Grid grid = {blocks, threads, &kernel, mix(pool.seed += 0x9e3779b97f4a7c15u), 0, 0};
  pool.grids.push_back(&grid);
  pool.changed.notify_all();
  pool.changed.wait(lock, [&] { return grid.finished == blocks; });
}

} // namespace cuda_on_host
