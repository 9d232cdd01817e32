/*
 * The part of the CUDA runtime that spd4j uses, emulated on the host: kernels compile as C++, and their logic is tested
 * without a GPU. The CUDA threads of a thread block are fibers on one OS thread; a few OS threads run thread blocks
 * side by side. A stream is a queue with an OS thread. Constants have the values of CUDA 13. Test code only.
 *
 * Environment variables describe the emulated machine. Their names start with SPD4J_CUDA_ON_HOST_ and end with: DEVICES
 * (how many; default 1), MEMORY (bytes of each), DRIVER (version; default 13000, and 0 means no driver), FAIL (see
 * cuda_on_host_fail), SEED (for the order of CUDA threads).
 */
#ifndef SPD4J_CUDA_ON_HOST_CUDA_RUNTIME_H
#define SPD4J_CUDA_ON_HOST_CUDA_RUNTIME_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <tuple>
#include <utility>

#define CUDA_ON_HOST_API extern "C" __attribute__((visibility("default")))

#define CUDART_VERSION 13000

/* --- Types and constants. ----------------------------------------------------------------------------------------- */

/* Name, value and text of each error that the emulation returns or a test asks for. */
#define CUDA_ON_HOST_ERRORS(E) \
  E(cudaSuccess, 0, "no error") \
  E(cudaErrorInvalidValue, 1, "invalid argument") \
  E(cudaErrorMemoryAllocation, 2, "out of memory") \
  E(cudaErrorInvalidConfiguration, 9, "invalid configuration argument") \
  E(cudaErrorInsufficientDriver, 35, "CUDA driver version is insufficient for CUDA runtime version") \
  E(cudaErrorDevicesUnavailable, 46, "CUDA-capable device(s) is/are busy or unavailable") \
  E(cudaErrorNoDevice, 100, "no CUDA-capable device is detected") \
  E(cudaErrorInvalidDevice, 101, "invalid device ordinal") \
  E(cudaErrorNoKernelImageForDevice, 209, "no kernel image is available for execution on the device") \
  E(cudaErrorECCUncorrectable, 214, "uncorrectable ECC error encountered") \
  E(cudaErrorInvalidResourceHandle, 400, "invalid resource handle") \
  E(cudaErrorIllegalState, 401, "the operation cannot be performed in the present state") \
  E(cudaErrorNotReady, 600, "device not ready") \
  E(cudaErrorIllegalAddress, 700, "an illegal memory access was encountered") \
  E(cudaErrorLaunchOutOfResources, 701, "too many resources requested for launch") \
  E(cudaErrorLaunchTimeout, 702, "the launch timed out and was terminated") \
  E(cudaErrorMisalignedAddress, 716, "misaligned address") \
  E(cudaErrorLaunchFailure, 719, "unspecified launch failure") \
  E(cudaErrorStreamCaptureUnsupported, 900, "operation not permitted when stream is capturing") \
  E(cudaErrorStreamCaptureInvalidated, 901, "operation failed due to a previous error during capture") \
  E(cudaErrorStreamCaptureMerge, 902, "operation would result in a merge of separate capture sequences") \
  E(cudaErrorStreamCaptureUnmatched, 903, "capture was not ended in the same stream as it began") \
  E(cudaErrorStreamCaptureUnjoined, 904, "capturing stream has unjoined work") \
  E(cudaErrorStreamCaptureIsolation, 905, "dependency created on uncaptured work in another stream") \
  E(cudaErrorStreamCaptureImplicit, 906, \
    "operation would make the legacy stream depend on a capturing blocking stream") \
  E(cudaErrorCapturedEvent, 907, "operation not permitted on an event last recorded in a capturing stream") \
  E(cudaErrorStreamCaptureWrongThread, 908, \
    "attempt to terminate a thread-local capture sequence from another thread") \
  E(cudaErrorUnknown, 999, "unknown error")

#define CUDA_ON_HOST_ENUMERATOR(name, value, text) name = value,
enum cudaError_t { CUDA_ON_HOST_ERRORS(CUDA_ON_HOST_ENUMERATOR) };

enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76
};

enum cudaMemoryType { cudaMemoryTypeUnregistered = 0, cudaMemoryTypeHost = 1, cudaMemoryTypeDevice = 2 };

enum cudaMemcpyKind {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4
};

enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal = 0,
  cudaStreamCaptureModeThreadLocal = 1,
  cudaStreamCaptureModeRelaxed = 2
};

enum cudaStreamCaptureStatus {
  cudaStreamCaptureStatusNone = 0,
  cudaStreamCaptureStatusActive = 1,
  cudaStreamCaptureStatusInvalidated = 2
};

#define cudaHostAllocDefault 0x00
#define cudaStreamDefault 0x00
#define cudaStreamNonBlocking 0x01
#define cudaStreamLegacy ((cudaStream_t)0x1)
#define cudaEventDefault 0x00
#define cudaEventDisableTiming 0x02

typedef struct CUstream_st *cudaStream_t;
typedef struct CUevent_st *cudaEvent_t;
typedef struct CUgraph_st *cudaGraph_t;
typedef struct CUgraphExec_st *cudaGraphExec_t;

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(16) float4 {
  float x, y, z, w;
};

inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

struct alignas(8) uint2 {
  unsigned x, y;
};

inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }

struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

struct cudaPointerAttributes {
  cudaMemoryType type;
  int device;
  void *devicePointer;
  void *hostPointer;
  long reserved[8];
};

/* Only a part, and not in CUDA's layout: only code compiled with this header reads it. */
struct cudaDeviceProp {
  char name[256];
};

struct cudaLaunchAttribute;

struct cudaLaunchConfig_t {
  dim3 gridDim, blockDim;
  size_t dynamicSmemBytes;
  cudaStream_t stream;
  cudaLaunchAttribute *attrs;
  unsigned numAttrs;
};

/* --- Functions. --------------------------------------------------------------------------------------------------- */

CUDA_ON_HOST_API cudaError_t cudaDriverGetVersion(int *version);
CUDA_ON_HOST_API cudaError_t cudaRuntimeGetVersion(int *version);
CUDA_ON_HOST_API cudaError_t cudaGetDeviceCount(int *count);
CUDA_ON_HOST_API cudaError_t cudaGetDevice(int *device);
CUDA_ON_HOST_API cudaError_t cudaSetDevice(int device);
CUDA_ON_HOST_API cudaError_t cudaDeviceSynchronize(void);
CUDA_ON_HOST_API cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
CUDA_ON_HOST_API cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
CUDA_ON_HOST_API cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
CUDA_ON_HOST_API cudaError_t cudaMalloc(void **pointer, size_t size);
CUDA_ON_HOST_API cudaError_t cudaFree(void *pointer);
CUDA_ON_HOST_API cudaError_t cudaHostAlloc(void **pointer, size_t size, unsigned flags);
CUDA_ON_HOST_API cudaError_t cudaFreeHost(void *pointer);
CUDA_ON_HOST_API cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *pointer);
CUDA_ON_HOST_API cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind kind,
                                             cudaStream_t stream = nullptr);
CUDA_ON_HOST_API cudaError_t cudaMemsetAsync(void *pointer, int value, size_t size, cudaStream_t stream = nullptr);
CUDA_ON_HOST_API cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
CUDA_ON_HOST_API cudaError_t cudaStreamDestroy(cudaStream_t stream);
CUDA_ON_HOST_API cudaError_t cudaStreamSynchronize(cudaStream_t stream);
CUDA_ON_HOST_API cudaError_t cudaStreamGetDevice(cudaStream_t stream, int *device);
CUDA_ON_HOST_API cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *status);
CUDA_ON_HOST_API cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
CUDA_ON_HOST_API cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
CUDA_ON_HOST_API cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
CUDA_ON_HOST_API cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
CUDA_ON_HOST_API cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr);
CUDA_ON_HOST_API cudaError_t cudaEventSynchronize(cudaEvent_t event);
CUDA_ON_HOST_API cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end);
CUDA_ON_HOST_API cudaError_t cudaEventDestroy(cudaEvent_t event);
CUDA_ON_HOST_API cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                                  unsigned long long flags = 0);
CUDA_ON_HOST_API cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
CUDA_ON_HOST_API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
CUDA_ON_HOST_API cudaError_t cudaGraphDestroy(cudaGraph_t graph);
CUDA_ON_HOST_API cudaError_t cudaGetLastError(void);
CUDA_ON_HOST_API const char *cudaGetErrorName(cudaError_t error);
CUDA_ON_HOST_API const char *cudaGetErrorString(cudaError_t error);

/*
 * For tests: the after-th call of the function from now on fails with the error. If CUDA loses the device after such an
 * error, every later call fails with it, too, until the reset. The function of kernel launches is cudaLaunchKernelExC,
 * and an empty name is any function.
 * SPD4J_CUDA_ON_HOST_FAIL=function:error:after makes this call when the program starts.
 */
CUDA_ON_HOST_API void cuda_on_host_fail(const char *function, int error, int64_t after);
CUDA_ON_HOST_API void cuda_on_host_reset(void);
/* Returns the function that has failed since the last reset; empty if none. */
CUDA_ON_HOST_API const char *cuda_on_host_failed(void);
/* Returns how many streams, events, graphs and executable graphs there are. */
CUDA_ON_HOST_API int64_t cuda_on_host_objects(void);

/* Returns how many calls from now any function fails; 0 if none. */
CUDA_ON_HOST_API int64_t cuda_on_host_after(void);

/* --- Kernels. ----------------------------------------------------------------------------------------------------- */

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
/* Thread-local memory is shared by a thread block, as an OS thread runs one thread block at a time. */
#define __shared__ static thread_local

extern __thread uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace cuda_on_host {

/* Waits for all threads of the thread block. */
void block_barrier();

/* Waits for the lanes of the warp that are in mask, and returns the bits that lane `source` passed. */
uint64_t warp_exchange(unsigned mask, uint64_t bits, unsigned source);

/* Lets other CUDA threads run, in this thread block and in others. */
void yield();

/* Sleeps now and then, so that other thread blocks overtake this one. */
void linger();

/* Runs the kernel for all threads of the grid, and returns when they have ended. */
void run_grid(unsigned blocks, unsigned threads, const std::function<void()> &kernel);

cudaError_t launch(const cudaLaunchConfig_t *config, std::function<void()> kernel);
cudaError_t occupancy(int *blocks, int threads);

template <typename T>
uint64_t to_bits(T value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  return bits;
}

template <typename T>
T from_bits(uint64_t bits) {
  T value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

} // namespace cuda_on_host

template <typename... P, typename... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(P...), A &&...arguments) {
  return cuda_on_host::launch(config, [kernel, copies = std::tuple<P...>(std::forward<A>(arguments)...)] {
    std::apply(kernel, copies);
  });
}

template <typename K>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, K *, int threads, size_t) {
  return cuda_on_host::occupancy(blocks, threads);
}

inline void __syncthreads() { cuda_on_host::block_barrier(); }

template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta) {
  const unsigned lane = threadIdx.x % 32, source = lane + delta < 32 ? lane + delta : lane;
  return cuda_on_host::from_bits<T>(cuda_on_host::warp_exchange(mask, cuda_on_host::to_bits(value), source));
}

template <typename T>
T __shfl_xor_sync(unsigned mask, T value, unsigned bits) {
  return cuda_on_host::from_bits<T>(cuda_on_host::warp_exchange(mask, cuda_on_host::to_bits(value), threadIdx.x % 32 ^ bits));
}

inline unsigned long long atomicAdd(unsigned long long *p, unsigned long long value) {
  const unsigned long long before = __atomic_fetch_add(p, value, __ATOMIC_RELAXED);
  cuda_on_host::linger();
  return before;
}

/* Not an atomic fence, which thread sanitizers do not understand. */
inline void __threadfence() {
  static int fences;
  __atomic_fetch_add(&fences, 1, __ATOMIC_SEQ_CST);
}

inline void __nanosleep(unsigned) { cuda_on_host::yield(); }

/* Cache hints have no effect here. */
template <typename T>
T __ldca(const T *p) { return *p; }
template <typename T>
T __ldcg(const T *p) { return *p; }
template <typename T>
T __ldcs(const T *p) { return *p; }
template <typename T>
void __stcs(T *p, T value) { *p = value; }
template <typename T>
void __stwb(T *p, T value) { *p = value; }

#endif
