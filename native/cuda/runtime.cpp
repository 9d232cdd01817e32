/*
 * The functions of the CUDA runtime that Java calls. The static runtime's own symbols are hidden and cannot be exported, so
 * the build renames those of exports.map in a copy of it (cudaMalloc becomes runtime_cudaMalloc), and these pass on to them.
 */
#include <cuda_runtime_api.h>

#define FORWARD(function, parameters, arguments)           \
  extern "C" decltype(function) runtime_##function;        \
  __attribute__((visibility("default"))) cudaError_t function parameters { return runtime_##function arguments; }

#define FORWARD_TEXT(function)                             \
  extern "C" decltype(function) runtime_##function;        \
  __attribute__((visibility("default"))) const char *function(cudaError_t error) { return runtime_##function(error); }

FORWARD(cudaDriverGetVersion, (int *version), (version))
FORWARD(cudaRuntimeGetVersion, (int *version), (version))
FORWARD(cudaGetDeviceCount, (int *count), (count))
FORWARD(cudaGetDevice, (int *device), (device))
FORWARD(cudaSetDevice, (int device), (device))
FORWARD(cudaDeviceSynchronize, (), ())
FORWARD(cudaDeviceGetAttribute, (int *value, cudaDeviceAttr attribute, int device), (value, attribute, device))
FORWARD(cudaMemGetInfo, (size_t *free, size_t *total), (free, total))
FORWARD(cudaMalloc, (void **p, size_t size), (p, size))
FORWARD(cudaFree, (void *p), (p))
FORWARD(cudaHostAlloc, (void **p, size_t size, unsigned flags), (p, size, flags))
FORWARD(cudaFreeHost, (void *p), (p))
FORWARD(cudaPointerGetAttributes, (cudaPointerAttributes *attributes, const void *p), (attributes, p))
FORWARD(cudaMemcpyAsync, (void *to, const void *from, size_t size, cudaMemcpyKind kind, cudaStream_t stream),
        (to, from, size, kind, stream))
FORWARD(cudaMemsetAsync, (void *p, int value, size_t size, cudaStream_t stream), (p, value, size, stream))
FORWARD(cudaStreamCreateWithFlags, (cudaStream_t * stream, unsigned flags), (stream, flags))
FORWARD(cudaStreamDestroy, (cudaStream_t stream), (stream))
FORWARD(cudaStreamSynchronize, (cudaStream_t stream), (stream))
FORWARD(cudaStreamGetDevice, (cudaStream_t stream, int *device), (stream, device))
FORWARD(cudaStreamIsCapturing, (cudaStream_t stream, cudaStreamCaptureStatus *status), (stream, status))
FORWARD(cudaStreamBeginCapture, (cudaStream_t stream, cudaStreamCaptureMode mode), (stream, mode))
FORWARD(cudaStreamEndCapture, (cudaStream_t stream, cudaGraph_t *graph), (stream, graph))
FORWARD(cudaStreamWaitEvent, (cudaStream_t stream, cudaEvent_t event, unsigned flags), (stream, event, flags))
FORWARD(cudaEventCreateWithFlags, (cudaEvent_t * event, unsigned flags), (event, flags))
FORWARD(cudaEventRecord, (cudaEvent_t event, cudaStream_t stream), (event, stream))
FORWARD(cudaEventSynchronize, (cudaEvent_t event), (event))
FORWARD(cudaEventElapsedTime, (float *ms, cudaEvent_t begin, cudaEvent_t end), (ms, begin, end))
FORWARD(cudaEventDestroy, (cudaEvent_t event), (event))
FORWARD(cudaGraphInstantiate, (cudaGraphExec_t * exec, cudaGraph_t graph, unsigned long long flags), (exec, graph, flags))
FORWARD(cudaGraphLaunch, (cudaGraphExec_t exec, cudaStream_t stream), (exec, stream))
FORWARD(cudaGraphExecDestroy, (cudaGraphExec_t exec), (exec))
FORWARD(cudaGraphDestroy, (cudaGraph_t graph), (graph))
FORWARD(cudaGetLastError, (), ())
FORWARD_TEXT(cudaGetErrorName)
FORWARD_TEXT(cudaGetErrorString)
