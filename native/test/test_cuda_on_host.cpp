/* Tests that the emulated CUDA runtime keeps those promises of the real one that the other tests rely on. */
#include <cuda_runtime.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "testing.h"

namespace {

enum { THREADS = 256 };

#define CUDA(call) CHECK((call) == cudaSuccess, "%s", #call)
#define FAILS(error, call) CHECK((call) == (error), "%s", #call)

template <typename... P, typename... A>
cudaError_t launch(void (*kernel)(P...), unsigned blocks, unsigned threads, cudaStream_t stream, A... arguments) {
  cudaLaunchConfig_t config = {};
  config.gridDim.x = blocks;
  config.blockDim.x = threads;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, arguments...);
}

template <typename T>
T *device(size_t count) {
  void *p = nullptr;
  CUDA(cudaMalloc(&p, count * sizeof(T)));
  return static_cast<T *>(p);
}

template <typename T>
std::vector<T> fetch(const T *from, size_t count, cudaStream_t stream = nullptr) {
  std::vector<T> to(count);
  CUDA(cudaMemcpyAsync(to.data(), from, count * sizeof(T), cudaMemcpyDefault, stream));
  CUDA(cudaStreamSynchronize(stream));
  return to;
}

cudaStream_t new_stream(unsigned flags) {
  cudaStream_t stream = nullptr;
  CUDA(cudaStreamCreateWithFlags(&stream, flags));
  return stream;
}

/* --- Kernels. ----------------------------------------------------------------------------------------------------- */

__global__ void note_order(int *order, unsigned long long *count) {
  order[atomicAdd(count, 1)] = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

/* Thread 0 returns at once. In each round every other thread takes over its neighbour's value. */
__global__ void pass_on(int *out) {
  __shared__ int values[THREADS];
  if (threadIdx.x == 0) return;
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  for (int round = 0; round < 20; round++) {
    __syncthreads();
    const int next = values[threadIdx.x % (blockDim.x - 1) + 1];
    __syncthreads();
    values[threadIdx.x] = next;
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = values[threadIdx.x];
}

__global__ void shuffle(double *out) {
  if (threadIdx.x >= 40) return; /* 8 threads remain of the second warp */
  const double mine = threadIdx.x + 0.5;
  const float x = static_cast<float>(threadIdx.x);
  float sum = x;
  for (unsigned delta = 1; delta < 4; delta++) sum += __shfl_down_sync(0xffffffffu, x, delta);
  out[threadIdx.x] = __shfl_down_sync(0xffffffffu, mine, 3) + sum;
}

__global__ void exchange(unsigned *out) {
  unsigned all = 0;
  for (unsigned bits = 8; bits > 0; bits /= 2) all = all * THREADS + __shfl_xor_sync(0xffffffffu, threadIdx.x, bits);
  out[threadIdx.x] = all;
}

/* Every thread block waits for the next one. */
__global__ void meet(int *here) {
  if (threadIdx.x > 0) return;
  __atomic_store_n(&here[blockIdx.x], 1, __ATOMIC_RELEASE);
  while (__atomic_load_n(&here[(blockIdx.x + 1) % gridDim.x], __ATOMIC_ACQUIRE) != 1) __nanosleep(10);
}

__global__ void diverge() {
  if (threadIdx.x == 0)
    __syncthreads();
  else
    __shfl_down_sync(0xffffffffu, 1.0f, 1);
}

__global__ void wait_for(const std::atomic<bool> *open) {
  while (!open->load()) __nanosleep(100);
}

__global__ void twice_plus(int *p, int x) { *p = *p * 2 + x; }

/* --- Thread blocks. ----------------------------------------------------------------------------------------------- */

void every_thread_runs_once_in_an_order_that_varies() {
  enum { BLOCKS = 50, COUNT = BLOCKS * THREADS };
  int *order = device<int>(COUNT);
  unsigned long long *count = device<unsigned long long>(1);
  std::vector<int> first;
  for (int round = 0; round < 2; round++) {
    CUDA(cudaMemsetAsync(count, 0, sizeof *count));
    CUDA(launch(note_order, BLOCKS, THREADS, nullptr, order, count));
    const std::vector<int> seen = fetch(order, COUNT);
    std::vector<bool> ran(COUNT);
    int in_turn = 0;
    for (int i = 0; i < COUNT; i++) {
      ran[static_cast<size_t>(seen[static_cast<size_t>(i)])] = true;
      in_turn += i > 0 && seen[static_cast<size_t>(i)] == seen[static_cast<size_t>(i) - 1] + 1;
    }
    for (int i = 0; i < COUNT; i++) CHECK(ran[static_cast<size_t>(i)], "thread %d", i);
    CHECK(in_turn < COUNT / 10, "%d in turn", in_turn);
    CHECK(seen != first, "the same order");
    first = seen;
  }
  CUDA(cudaFree(order));
  CUDA(cudaFree(count));
}

void barriers_and_shuffles() {
  enum { BLOCKS = 9 };
  int *out = device<int>(BLOCKS * THREADS);
  CUDA(launch(pass_on, BLOCKS, THREADS, nullptr, out));
  const std::vector<int> passed_on = fetch(out, BLOCKS * THREADS);
  for (int i = 0; i < BLOCKS * THREADS; i++)
    if (i % THREADS > 0) {
      const int value = passed_on[static_cast<size_t>(i)], expected = (i % THREADS - 1 + 20) % (THREADS - 1) + 1;
      CHECK(value == expected, "thread %d: %d", i, value);
    }
  CUDA(cudaFree(out));

  double *sums = device<double>(64);
  CUDA(launch(shuffle, 1, 64, nullptr, sums));
  const std::vector<double> shuffled = fetch(sums, 64);
  for (size_t i = 0; i < 29; i++) CHECK(shuffled[i] == static_cast<double>(i) * 5 + 9.5, "%zu: %g", i, shuffled[i]);
  for (size_t i = 32; i < 37; i++) CHECK(shuffled[i] == static_cast<double>(i) * 5 + 9.5, "%zu: %g", i, shuffled[i]);
  CUDA(cudaFree(sums));

  unsigned *all = device<unsigned>(64);
  CUDA(launch(exchange, 1, 64, nullptr, all));
  const std::vector<unsigned> exchanged = fetch(all, 64);
  for (unsigned i = 0; i < 64; i++) {
    const unsigned expected = (((i ^ 8) * THREADS + (i ^ 4)) * THREADS + (i ^ 2)) * THREADS + (i ^ 1);
    CHECK(exchanged[i] == expected, "%u: %u", i, exchanged[i]);
  }
  CUDA(cudaFree(all));
}

void thread_blocks_run_side_by_side() {
  enum { BLOCKS = 3 };
  int *here = device<int>(BLOCKS);
  CUDA(cudaMemsetAsync(here, 0, BLOCKS * sizeof *here));
  CUDA(launch(meet, BLOCKS, 32, nullptr, here));
  CUDA(cudaDeviceSynchronize());
  CUDA(cudaFree(here));
}

/* --- Streams and memory. ------------------------------------------------------------------------------------------ */

void copies_wait_for_their_stream() {
  std::atomic<bool> open(false);
  const cudaStream_t stream = new_stream(cudaStreamNonBlocking), other = new_stream(cudaStreamDefault);
  cudaEvent_t event, later;
  CUDA(cudaEventCreateWithFlags(&event, cudaEventDefault));
  CUDA(cudaEventCreateWithFlags(&later, cudaEventDefault));
  int *p = device<int>(4), pageable = 1;
  void *pinned = nullptr;
  CUDA(cudaHostAlloc(&pinned, 2 * sizeof(int), cudaHostAllocDefault));
  int *const host = static_cast<int *>(pinned);
  host[0] = 10;

  CUDA(cudaEventRecord(event, stream));
  CUDA(launch(wait_for, 1, 32, stream, &open));
  CUDA(cudaMemcpyAsync(p, &pageable, sizeof pageable, cudaMemcpyHostToDevice, stream));
  CUDA(cudaMemcpyAsync(p + 1, host, sizeof *host, cudaMemcpyDefault, stream));
  CUDA(cudaMemcpyAsync(host + 1, p, sizeof *host, cudaMemcpyDeviceToHost, stream));
  CUDA(cudaEventRecord(later, stream));
  CUDA(cudaStreamWaitEvent(other, later));
  CUDA(cudaMemcpyAsync(p + 2, p + 1, sizeof *p, cudaMemcpyDeviceToDevice, other));
  CUDA(cudaMemcpyAsync(p + 3, p + 2, sizeof *p, cudaMemcpyDeviceToDevice)); /* the default stream waits for other */
  float milliseconds;
  FAILS(cudaErrorNotReady, cudaEventElapsedTime(&milliseconds, event, later));
  CHECK(host[1] != 2 && host[1] != 1, "a copy that did not wait");
  pageable = 2; /* the copies above read both values later */
  host[0] = 20;
  open = true;
  CHECK(fetch(p, 4) == std::vector<int>({2, 20, 20, 20}), "values");
  CUDA(cudaEventSynchronize(later));
  CHECK(host[1] == 2, "%d", host[1]);
  CUDA(cudaEventElapsedTime(&milliseconds, event, later));
  CHECK(milliseconds > 0, "%g", static_cast<double>(milliseconds));
  CUDA(cudaEventDestroy(event));
  CUDA(cudaEventDestroy(later));
  open = false;
  CUDA(launch(wait_for, 1, 32, stream, &open));
  CUDA(cudaMemcpyAsync(host, p, sizeof *host, cudaMemcpyDefault, stream));
  CUDA(cudaStreamDestroy(stream)); /* a destroyed stream still completes its work */
  CUDA(cudaStreamDestroy(other));
  FAILS(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(stream));
  open = true;
  CUDA(cudaDeviceSynchronize());
  CHECK(host[0] == 2, "%d", host[0]);
  CUDA(cudaFree(p));
  CUDA(cudaFreeHost(pinned));
}

void memory_is_tracked() {
  size_t free, total, less;
  CUDA(cudaMemGetInfo(&free, &total));
  unsigned char *p = device<unsigned char>(1000);
  CHECK(reinterpret_cast<uintptr_t>(p) % 256 == 0, "%p", static_cast<void *>(p));
  CUDA(cudaMemGetInfo(&less, &total));
  CHECK(less == free - 1000, "%zu", less);
  CHECK(fetch(p, 1000)[999] != 0, "new memory is zero");
  cudaPointerAttributes attributes;
  CUDA(cudaPointerGetAttributes(&attributes, p + 999));
  CHECK(attributes.type == cudaMemoryTypeDevice && attributes.device == 0, "%d", attributes.type);
  CUDA(cudaPointerGetAttributes(&attributes, &attributes));
  CHECK(attributes.type == cudaMemoryTypeUnregistered, "%d", attributes.type);
  char host[16] = {};
  CUDA(cudaMemcpyAsync(p + 984, host, 16, cudaMemcpyDefault));
  CUDA(cudaStreamSynchronize(nullptr));
  FAILS(cudaErrorInvalidValue, cudaMemcpyAsync(p + 985, host, 16, cudaMemcpyDefault));
  FAILS(cudaErrorInvalidValue, cudaMemcpyAsync(host, p, 16, cudaMemcpyHostToDevice));
  FAILS(cudaErrorInvalidValue, cudaMemsetAsync(p + 1, 0, 1000));
  FAILS(cudaErrorInvalidValue, cudaFree(p + 1));
  FAILS(cudaErrorInvalidValue, cudaFreeHost(p));
  CHECK(cudaGetLastError() == cudaErrorInvalidValue && cudaGetLastError() == cudaSuccess, "the last error");
  CUDA(cudaFree(p));
  FAILS(cudaErrorInvalidValue, cudaFree(p));
  void *huge = host;
  FAILS(cudaErrorMemoryAllocation, cudaMalloc(&huge, total + 1));
  CUDA(cudaMemGetInfo(&less, &total));
  CHECK(less == free, "%zu", less);
}

/* --- Capture. ----------------------------------------------------------------------------------------------------- */

void graphs_run_when_they_are_launched() {
  const cudaStream_t stream = new_stream(cudaStreamNonBlocking), other = new_stream(cudaStreamNonBlocking);
  cudaEvent_t forked, joined;
  CUDA(cudaEventCreateWithFlags(&forked, cudaEventDisableTiming));
  CUDA(cudaEventCreateWithFlags(&joined, cudaEventDisableTiming));
  int *p = device<int>(2);
  CUDA(cudaMemsetAsync(p, 0, 2 * sizeof *p, stream));
  cudaStreamCaptureStatus status;
  CUDA(cudaStreamIsCapturing(stream, &status));
  CHECK(status == cudaStreamCaptureStatusNone, "%d", status);

  CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  CUDA(cudaStreamIsCapturing(stream, &status));
  CHECK(status == cudaStreamCaptureStatusActive, "%d", status);
  int argument = 3;
  CUDA(launch(twice_plus, 1, 1, stream, p, argument));
  argument = 1000; /* too late: it was copied */
  CUDA(cudaEventRecord(forked, stream));
  CUDA(cudaStreamWaitEvent(other, forked));
  CUDA(launch(twice_plus, 1, 1, other, p, 1));
  CUDA(cudaEventRecord(joined, other));
  CUDA(launch(twice_plus, 1, 1, stream, p + 1, 0));
  CUDA(cudaStreamWaitEvent(stream, joined));
  cudaGraph_t graph;
  CUDA(cudaStreamEndCapture(stream, &graph));
  FAILS(cudaErrorCapturedEvent, cudaEventSynchronize(joined));

  CHECK(fetch(p, 1, stream)[0] == 0, "ran at once");
  cudaGraphExec_t exec;
  CUDA(cudaGraphInstantiate(&exec, graph));
  CUDA(cudaGraphDestroy(graph));
  CUDA(cudaGraphLaunch(exec, other));
  CUDA(cudaGraphLaunch(exec, stream)); /* runs after the first launch */
  CHECK(fetch(p, 1, stream)[0] == 35, "%d", fetch(p, 1, stream)[0]); /* 0, 3, 7, 17, 35 */
  CUDA(cudaGraphExecDestroy(exec));

  CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  CUDA(cudaEventRecord(forked, stream));
  CUDA(cudaStreamWaitEvent(other, forked));
  CUDA(launch(twice_plus, 1, 1, other, p, 1));
  FAILS(cudaErrorStreamCaptureUnjoined, cudaStreamEndCapture(stream, &graph));
  CUDA(cudaEventDestroy(forked));
  CUDA(cudaEventDestroy(joined));
  CUDA(cudaStreamDestroy(stream));
  CUDA(cudaStreamDestroy(other));
  CUDA(cudaFree(p));
}

template <typename Body>
void spoils_capture(cudaError_t error, Body body) {
  const cudaStream_t stream = new_stream(cudaStreamDefault);
  cudaGraph_t graph;
  CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  const cudaError_t actual = body(stream);
  CHECK(actual == error, "%d, not %d", actual, error);
  FAILS(cudaErrorStreamCaptureInvalidated, launch(diverge, 1, 1, stream));
  FAILS(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(stream, &graph));
  CHECK(graph == nullptr, "a graph");
  CUDA(cudaStreamSynchronize(stream));
  CUDA(cudaStreamDestroy(stream));
}

void what_a_capture_does_not_allow() {
  int *p = device<int>(1), host = 0;
  void *q;
  cudaEvent_t event;
  CUDA(cudaEventCreateWithFlags(&event, cudaEventDefault));
  CUDA(cudaEventRecord(event));
  const auto unsupported = cudaErrorStreamCaptureUnsupported;
  spoils_capture(unsupported, [](cudaStream_t s) { return cudaStreamSynchronize(s); });
  spoils_capture(unsupported, [](cudaStream_t) { return cudaDeviceSynchronize(); });
  spoils_capture(unsupported, [&](cudaStream_t) { return cudaMalloc(&q, 8); });
  spoils_capture(unsupported, [&](cudaStream_t) { return cudaFree(p); });
  spoils_capture(unsupported, [&](cudaStream_t s) { return cudaMemcpyAsync(p, &host, 4, cudaMemcpyDefault, s); });
  spoils_capture(cudaErrorStreamCaptureIsolation, [&](cudaStream_t s) { return cudaStreamWaitEvent(s, event); });
  spoils_capture(cudaErrorStreamCaptureImplicit, [&](cudaStream_t) { return cudaMemsetAsync(p, 0, 4); });
  FAILS(unsupported, cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal));
  CUDA(cudaEventDestroy(event));
  CUDA(cudaFree(p));
}

/* --- Failures. ---------------------------------------------------------------------------------------------------- */

void failures_on_request() {
  void *p;
  cuda_on_host_fail("cudaMalloc", cudaErrorMemoryAllocation, 2);
  CUDA(cudaMalloc(&p, 8));
  FAILS(cudaErrorMemoryAllocation, cudaMalloc(&p, 8));
  CUDA(cudaFree(p));
  cuda_on_host_fail("cudaLaunchKernelExC", cudaErrorLaunchOutOfResources, 1);
  FAILS(cudaErrorLaunchOutOfResources, launch(twice_plus, 1, 1, nullptr, static_cast<int *>(nullptr), 1));
  cuda_on_host_fail("cudaStreamSynchronize", cudaErrorIllegalAddress, 1);
  FAILS(cudaErrorIllegalAddress, cudaStreamSynchronize(nullptr));
  FAILS(cudaErrorIllegalAddress, cudaMalloc(&p, 8));
  FAILS(cudaErrorIllegalAddress, cudaGetLastError());
  cuda_on_host_reset();
  CUDA(cudaGetLastError());
  FAILS(cudaErrorInvalidConfiguration, launch(diverge, 0, 1, nullptr));
  FAILS(cudaErrorInvalidDevice, cudaSetDevice(1));
  CHECK(std::string(cudaGetErrorName(cudaErrorIllegalAddress)) == "cudaErrorIllegalAddress", "name");
  cuda_on_host_reset();
}

const char *program;

/* Runs this program again with an environment variable and returns its exit status; see main. */
int status_of(const char *variable, const char *value) {
  const pid_t child = fork();
  if (child == 0) {
    setenv(variable, value, 1);
    if (!freopen("/dev/null", "w", stderr)) _exit(1);
    execl(program, program, variable, static_cast<char *>(nullptr));
    _exit(1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void settings_from_the_environment() {
  CHECK(status_of("SPD4J_CUDA_ON_HOST_DEVICES", "0") == cudaErrorNoDevice, "no device");
  CHECK(status_of("SPD4J_CUDA_ON_HOST_DRIVER", "12080") == cudaErrorInsufficientDriver, "an old driver");
  CHECK(status_of("SPD4J_CUDA_ON_HOST_MEMORY", "1023") == cudaErrorMemoryAllocation, "little memory");
  CHECK(status_of("SPD4J_CUDA_ON_HOST_FAIL", "cudaMalloc:46:1") == cudaErrorDevicesUnavailable, "a failure");
  CHECK(status_of("DIVERGE", "1") < 0, "a barrier that not all reach");
}

} // namespace

int main(int argc, char **argv) {
  if (argc > 1) {
    void *p;
    if (getenv("DIVERGE")) {
      launch(diverge, 1, 64, nullptr);
      cudaDeviceSynchronize();
    }
    return cudaMalloc(&p, 1024);
  }
  program = argv[0];
  test("every thread runs once, in an order that varies", every_thread_runs_once_in_an_order_that_varies);
  test("barriers and shuffles", barriers_and_shuffles);
  test("thread blocks run side by side", thread_blocks_run_side_by_side);
  test("copies wait for their stream", copies_wait_for_their_stream);
  test("memory is tracked", memory_is_tracked);
  test("graphs run when they are launched", graphs_run_when_they_are_launched);
  test("what a capture does not allow", what_a_capture_does_not_allow);
  test("failures on request", failures_on_request);
  test("settings from the environment", settings_from_the_environment);
  return finish();
}
