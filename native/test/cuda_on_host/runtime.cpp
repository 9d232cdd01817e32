/* The emulated devices, memory, streams, events, graphs and errors. */
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cuda_runtime.h"

namespace {

using Operation = std::function<void()>;
using Operations = std::vector<Operation>;
using Lock = std::unique_lock<std::mutex>;

struct Capture {
  cudaStream_t origin;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  Operations operations; /* of all its streams, in the order of the calls, which is a valid order */
  bool invalid = false, ended = false;
};

/* A stream's work up to operation `number`. */
struct Point {
  std::shared_ptr<CUstream_st> stream;
  uint64_t number;
};

} // namespace

struct CUstream_st {
  int device;
  bool blocking, legacy;
  std::deque<Operation> queue = {};
  uint64_t enqueued = 0, completed = 0;
  bool closed = false;
  std::shared_ptr<Capture> capture = nullptr;
  uint64_t captured = 0, joined = 0; /* calls in the capture; how many of them another stream waits for */
};

namespace {

/* What cudaEventRecord stores in an event. */
struct Recording {
  Point point;
  std::shared_ptr<Capture> capture;
  std::chrono::steady_clock::time_point time;
};

} // namespace

struct CUevent_st {
  int device;
  bool timing;
  std::shared_ptr<Recording> recording;
};

struct CUgraph_st {
  Operations operations;
};

struct CUgraphExec_st {
  std::shared_ptr<const Operations> operations;
  Point launched; /* the last launch */
};

namespace {

constexpr int MULTIPROCESSORS = 2, BLOCKS_OF_MULTIPROCESSOR = 2, POISON = 0xa5;

struct Allocation {
  size_t size;
  cudaMemoryType type;
  int device;
};

struct Failure {
  cudaError_t error;
  int64_t after;
};

int64_t setting(const char *name, int64_t otherwise) {
  const char *value = getenv(name);
  return value ? strtoll(value, nullptr, 10) : otherwise;
}

/* The whole state of the runtime, under one lock. */
struct State {
  std::mutex mutex;
  std::condition_variable changed;
  const int driver = static_cast<int>(setting("SPD4J_CUDA_ON_HOST_DRIVER", CUDART_VERSION));
  const int devices = static_cast<int>(setting("SPD4J_CUDA_ON_HOST_DEVICES", 1));
  const size_t memory = static_cast<size_t>(setting("SPD4J_CUDA_ON_HOST_MEMORY", int64_t{8} << 30));
  std::vector<size_t> used = std::vector<size_t>(static_cast<size_t>(devices));
  std::map<uintptr_t, Allocation> allocations;
  std::map<cudaStream_t, std::shared_ptr<CUstream_st>> streams; /* including closed ones that still have work */
  std::vector<std::shared_ptr<CUstream_st>> legacy = std::vector<std::shared_ptr<CUstream_st>>(used.size());
  std::set<cudaEvent_t> events;
  std::set<cudaGraph_t> graphs;
  std::set<cudaGraphExec_t> execs;
  std::map<std::string, Failure> failures; /* by function; "" is any */
  std::string failed; /* the last function that a test made fail */
  cudaError_t lost = cudaSuccess; /* the error that lost the device; every later call returns it */

  State() {
    const char *failure = getenv("SPD4J_CUDA_ON_HOST_FAIL");
    char function[64];
    int error;
    long long after;
    if (failure && sscanf(failure, "%63[^:]:%d:%lld", function, &error, &after) == 3)
      failures[function] = {static_cast<cudaError_t>(error), after};
  }
};

State &state = *new State; /* never freed: the streams' threads outlive static objects */

thread_local int current_device;
thread_local cudaError_t last_error;

bool loses_device(cudaError_t error) {
  return error == cudaErrorDevicesUnavailable || error == cudaErrorECCUncorrectable ||
         error == cudaErrorIllegalAddress || error == cudaErrorLaunchTimeout || (error >= 714 && error <= 719);
}

cudaError_t check(const char *function) {
  if (state.driver < CUDART_VERSION) return cudaErrorInsufficientDriver;
  if (state.devices == 0) return cudaErrorNoDevice;
  if (state.lost) return state.lost;
  auto found = state.failures.find(function);
  if (found == state.failures.end()) found = state.failures.find("");
  if (found == state.failures.end() || --found->second.after > 0) return cudaSuccess;
  const cudaError_t error = found->second.error;
  state.failures.erase(found);
  state.failed = function;
  if (loses_device(error)) state.lost = error;
  return error;
}

void synchronize(Lock &lock);

/* Runs the body of a function under the lock, unless a test or an earlier error makes the call fail. */
template <typename Body>
cudaError_t call(const char *function, Body body) {
  Lock lock(state.mutex);
  cudaError_t error = check(function);
  /* What waits reports errors afterwards; and a device that is lost writes no more. */
  if (error && (strstr(function, "Synchronize") || state.lost)) synchronize(lock);
  if (!error) error = body(lock);
  if (error) last_error = error;
  return error;
}

/* --- Memory. ------------------------------------------------------------------------------------------------------ */

/* The allocation that contains the byte, or end(). */
std::map<uintptr_t, Allocation>::iterator allocation_of(const void *pointer) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  auto found = state.allocations.upper_bound(address);
  if (found == state.allocations.begin()) return state.allocations.end();
  --found;
  return address - found->first < found->second.size ? found : state.allocations.end();
}

/* Sets *type to the type of the memory. Returns false if the bytes run past the end of an allocation. */
bool type_of(const void *pointer, size_t size, cudaMemoryType *type) {
  const auto found = allocation_of(pointer);
  *type = cudaMemoryTypeUnregistered;
  if (found == state.allocations.end()) return true;
  *type = found->second.type;
  return found->second.size - (reinterpret_cast<uintptr_t>(pointer) - found->first) >= size;
}

cudaError_t allocate(void **pointer, size_t size, size_t alignment, cudaMemoryType type) {
  *pointer = nullptr;
  if (size == 0) return cudaSuccess;
  size_t &used = state.used[static_cast<size_t>(current_device)];
  if (type == cudaMemoryTypeDevice && size > state.memory - used) return cudaErrorMemoryAllocation;
  if (posix_memalign(pointer, alignment, size)) return cudaErrorMemoryAllocation;
  memset(*pointer, POISON, size);
  if (type == cudaMemoryTypeDevice) used += size;
  state.allocations[reinterpret_cast<uintptr_t>(*pointer)] = {size, type, current_device};
  return cudaSuccess;
}

/* --- Streams. ----------------------------------------------------------------------------------------------------- */

void wait(Lock &lock, const Point &point) {
  state.changed.wait(lock, [&] { return point.stream->completed >= point.number; });
}

void wait(const Point &point) {
  Lock lock(state.mutex);
  wait(lock, point);
}

/* The thread of a stream. It delays some operations, so that code that does not wait for them fails. */
void serve(std::shared_ptr<CUstream_st> stream) {
  Lock lock(state.mutex);
  for (unsigned count = 0;; count++) {
    state.changed.wait(lock, [&] { return !stream->queue.empty() || stream->closed; });
    if (stream->queue.empty()) {
      state.streams.erase(stream.get());
      return;
    }
    Operation operation = std::move(stream->queue.front());
    stream->queue.pop_front();
    lock.unlock();
    if (count % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    operation();
    operation = nullptr;
    lock.lock();
    stream->completed++;
    state.changed.notify_all();
  }
}

std::shared_ptr<CUstream_st> new_stream(bool blocking, bool legacy) {
  auto stream = std::make_shared<CUstream_st>(CUstream_st{current_device, blocking, legacy});
  std::thread(serve, stream).detach();
  return stream;
}

/* The stream of a handle; NULL if there is no such stream. */
std::shared_ptr<CUstream_st> find(cudaStream_t handle) {
  if (!handle || handle == cudaStreamLegacy) {
    auto &legacy = state.legacy[static_cast<size_t>(current_device)];
    if (!legacy) legacy = new_stream(true, true);
    return legacy;
  }
  const auto found = state.streams.find(handle);
  return found == state.streams.end() || found->second->closed ? nullptr : found->second;
}

cudaError_t invalidate(const std::shared_ptr<Capture> &capture, cudaError_t error) {
  capture->invalid = true;
  return error;
}

/* Work must not depend on a stream that captures, and work of the legacy stream depends on all blocking streams. */
cudaError_t check_implicit(const std::shared_ptr<CUstream_st> &stream, bool spoils) {
  cudaError_t error = cudaSuccess;
  for (auto &[handle, other] : state.streams)
    if (stream->legacy && other->blocking && other->capture && other->device == stream->device) {
      error = cudaErrorStreamCaptureImplicit;
      if (spoils) invalidate(other->capture, error);
    }
  return error;
}

/* The error of a call that captures forbid: global ones forbid it to all threads, thread-local ones to their own. */
cudaError_t check_unsafe() {
  cudaError_t error = cudaSuccess;
  for (auto &[handle, stream] : state.streams) {
    const auto &capture = stream->capture;
    if (!capture || capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (capture->mode == cudaStreamCaptureModeGlobal || capture->thread == std::this_thread::get_id())
      error = invalidate(capture, cudaErrorStreamCaptureUnsupported);
  }
  return error;
}

cudaError_t enqueue(const std::shared_ptr<CUstream_st> &stream, Operation operation) {
  if (stream->capture) {
    if (stream->capture->invalid) return cudaErrorStreamCaptureInvalidated;
    stream->capture->operations.push_back(std::move(operation));
    stream->captured++;
    return cudaSuccess;
  }
  if (const cudaError_t error = check_implicit(stream, true)) return error;
  std::vector<Point> before;
  const auto &legacy = state.legacy[static_cast<size_t>(stream->device)];
  if (stream->legacy) {
    for (auto &[handle, other] : state.streams)
      if (other->blocking && other->device == stream->device) before.push_back({other, other->enqueued});
  } else if (stream->blocking && legacy) {
    before.push_back({legacy, legacy->enqueued});
  }
  stream->queue.push_back([before = std::move(before), operation = std::move(operation)] {
    for (const Point &point : before) wait(point);
    operation();
  });
  stream->enqueued++;
  state.changed.notify_all();
  return cudaSuccess;
}

/* Waits for all streams of the current device. */
void synchronize(Lock &lock) {
  std::vector<Point> points;
  if (const auto &legacy = state.legacy[static_cast<size_t>(current_device)])
    points.push_back({legacy, legacy->enqueued});
  for (auto &[handle, stream] : state.streams)
    if (stream->device == current_device) points.push_back({stream, stream->enqueued});
  for (const Point &point : points) wait(lock, point);
}

cudaError_t release(Lock &lock, void *pointer, cudaMemoryType type) {
  if (const cudaError_t error = check_unsafe()) return error;
  if (!pointer) return cudaSuccess;
  auto found = state.allocations.find(reinterpret_cast<uintptr_t>(pointer));
  if (found == state.allocations.end() || found->second.type != type) return cudaErrorInvalidValue;
  synchronize(lock);
  if (type == cudaMemoryTypeDevice) state.used[static_cast<size_t>(found->second.device)] -= found->second.size;
  state.allocations.erase(found);
  free(pointer);
  return cudaSuccess;
}

/* --- Errors. ------------------------------------------------------------------------------------------------------ */

struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};

#define ERROR_TEXT(name, value, text) {name, #name, text},
const ErrorText error_texts[] = {CUDA_ON_HOST_ERRORS(ERROR_TEXT)};

ErrorText text_of(cudaError_t error) {
  for (const ErrorText &e : error_texts)
    if (e.error == error) return e;
  return {error, "unrecognized error code", "unrecognized error code"};
}

} // namespace

void cuda_on_host_fail(const char *function, int error, int64_t after) {
  Lock lock(state.mutex);
  state.failures[function] = {static_cast<cudaError_t>(error), after};
}

void cuda_on_host_reset(void) {
  Lock lock(state.mutex);
  state.failures.clear();
  state.failed.clear();
  if (state.lost) { /* its streams, and what they captured, were lost with the device */
    for (auto &[handle, stream] : state.streams) {
      stream->capture = nullptr;
      stream->closed = true;
    }
    state.changed.notify_all();
  }
  state.lost = last_error = cudaSuccess;
}

const char *cuda_on_host_failed(void) {
  Lock lock(state.mutex);
  return state.failed.c_str();
}

int64_t cuda_on_host_objects(void) {
  Lock lock(state.mutex);
  size_t count = state.events.size() + state.graphs.size() + state.execs.size();
  for (auto &[handle, stream] : state.streams) count += !stream->closed;
  return static_cast<int64_t>(count);
}

int64_t cuda_on_host_after(void) {
  Lock lock(state.mutex);
  const auto found = state.failures.find("");
  return found == state.failures.end() ? 0 : found->second.after;
}

cudaError_t cudaGetLastError(void) {
  Lock lock(state.mutex);
  const cudaError_t error = check(__func__);
  return error ? error : std::exchange(last_error, cudaSuccess);
}

const char *cudaGetErrorName(cudaError_t error) { return text_of(error).name; }
const char *cudaGetErrorString(cudaError_t error) { return text_of(error).text; }

/* --- Devices. ----------------------------------------------------------------------------------------------------- */

cudaError_t cudaDriverGetVersion(int *version) {
  *version = state.driver;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
  return call(__func__, [&](Lock &) {
    *count = state.devices;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int *device) {
  return call(__func__, [&](Lock &) {
    *device = current_device;
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return call(__func__, [&](Lock &) {
    if (device < 0 || device >= state.devices) return cudaErrorInvalidDevice;
    current_device = device;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize(void) {
  return call(__func__, [](Lock &lock) {
    cudaError_t error = cudaSuccess;
    for (auto &[handle, stream] : state.streams)
      if (stream->capture && stream->device == current_device)
        error = invalidate(stream->capture, cudaErrorStreamCaptureUnsupported);
    if (!error) synchronize(lock);
    return error;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
  return call(__func__, [&](Lock &) {
    if (device < 0 || device >= state.devices) return cudaErrorInvalidDevice;
    *properties = {"CUDA on the host (test)"};
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
  return call(__func__, [&](Lock &) {
    if (device < 0 || device >= state.devices) return cudaErrorInvalidDevice;
    switch (attribute) {
      case cudaDevAttrMultiProcessorCount: *value = MULTIPROCESSORS; break;
      case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
      case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
      default: return cudaErrorInvalidValue;
    }
    return cudaSuccess;
  });
}

/* --- Memory. ------------------------------------------------------------------------------------------------------ */

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
  return call(__func__, [&](Lock &) {
    *total = state.memory;
    *free = state.memory - state.used[static_cast<size_t>(current_device)];
    return cudaSuccess;
  });
}

cudaError_t cudaMalloc(void **pointer, size_t size) {
  return call(__func__, [&](Lock &) {
    if (const cudaError_t error = check_unsafe()) return error;
    return allocate(pointer, size, 256, cudaMemoryTypeDevice);
  });
}

cudaError_t cudaHostAlloc(void **pointer, size_t size, unsigned) {
  return call(__func__, [&](Lock &) {
    if (const cudaError_t error = check_unsafe()) return error;
    return allocate(pointer, size, 4096, cudaMemoryTypeHost);
  });
}

cudaError_t cudaFree(void *pointer) {
  return call(__func__, [&](Lock &lock) { return release(lock, pointer, cudaMemoryTypeDevice); });
}

cudaError_t cudaFreeHost(void *pointer) {
  return call(__func__, [&](Lock &lock) { return release(lock, pointer, cudaMemoryTypeHost); });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *pointer) {
  return call(__func__, [&](Lock &) {
    const auto found = allocation_of(pointer);
    void *const p = const_cast<void *>(pointer);
    if (found == state.allocations.end())
      *attributes = {cudaMemoryTypeUnregistered, -2, nullptr, p, {}};
    else
      *attributes = {found->second.type, found->second.device, p,
                     found->second.type == cudaMemoryTypeHost ? p : nullptr, {}};
    return cudaSuccess;
  });
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, cudaMemcpyKind kind, cudaStream_t handle) {
  return call(__func__, [&](Lock &) {
    const auto stream = find(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    cudaMemoryType to_type, from_type;
    if (!type_of(to, size, &to_type) || !type_of(from, size, &from_type)) return cudaErrorInvalidValue;
    const bool to_device = to_type == cudaMemoryTypeDevice, from_device = from_type == cudaMemoryTypeDevice;
    if (kind != cudaMemcpyDefault && kind != from_device * 2 + to_device) return cudaErrorInvalidValue;
    if (size == 0) return cudaSuccess;

    const bool pageable = to_type == cudaMemoryTypeUnregistered || from_type == cudaMemoryTypeUnregistered;
    if (stream->capture && pageable) return invalidate(stream->capture, cudaErrorStreamCaptureUnsupported);
    /* This holds for pageable memory, too: CUDA may still use it when this returns. */
    return enqueue(stream, [to, from, size] { memcpy(to, from, size); });
  });
}

cudaError_t cudaMemsetAsync(void *pointer, int value, size_t size, cudaStream_t handle) {
  return call(__func__, [&](Lock &) {
    const auto stream = find(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    cudaMemoryType type;
    if (!type_of(pointer, size, &type)) return cudaErrorInvalidValue;
    if (size == 0) return cudaSuccess;
    if (type == cudaMemoryTypeUnregistered) return cudaErrorInvalidValue;
    return enqueue(stream, [pointer, value, size] { memset(pointer, value, size); });
  });
}

/* --- Streams. ----------------------------------------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *handle, unsigned flags) {
  return call(__func__, [&](Lock &) {
    if (flags & ~unsigned{cudaStreamNonBlocking}) return cudaErrorInvalidValue;
    const auto stream = new_stream(!(flags & cudaStreamNonBlocking), false);
    state.streams[*handle = stream.get()] = stream;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  return call(__func__, [&](Lock &) {
    const auto stream = find(handle);
    if (!stream || stream->legacy) return cudaErrorInvalidResourceHandle;
    if (stream->capture) invalidate(stream->capture, cudaErrorStreamCaptureInvalidated);
    stream->capture = nullptr;
    stream->closed = true;
    state.changed.notify_all();
    return cudaSuccess;
  });
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  return call(__func__, [&](Lock &lock) {
    const auto stream = find(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream->capture) return invalidate(stream->capture, cudaErrorStreamCaptureUnsupported);
    if (const cudaError_t error = check_implicit(stream, true)) return error;
    wait(lock, {stream, stream->enqueued});
    return cudaSuccess;
  });
}

cudaError_t cudaStreamGetDevice(cudaStream_t handle, int *device) {
  return call(__func__, [&](Lock &) {
    const auto stream = find(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    *device = stream->device;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamWaitEvent(cudaStream_t handle, cudaEvent_t event, unsigned) {
  return call(__func__, [&](Lock &) {
    const auto stream = find(handle);
    if (!stream || !state.events.count(event)) return cudaErrorInvalidResourceHandle;
    const auto recording = event->recording;
    if (!recording) return cudaSuccess;
    const Point point = recording->point;
    const auto &capture = recording->capture;
    if (!capture) {
      if (stream->capture) return invalidate(stream->capture, cudaErrorStreamCaptureIsolation);
      return enqueue(stream, [point] { wait(point); });
    }
    if (capture->ended) return cudaErrorCapturedEvent;
    if (stream->legacy) return invalidate(capture, cudaErrorStreamCaptureImplicit);
    if (stream->capture && stream->capture != capture) {
      invalidate(stream->capture, cudaErrorStreamCaptureMerge);
      return invalidate(capture, cudaErrorStreamCaptureMerge);
    }
    stream->capture = capture;
    stream->captured++;
    point.stream->joined = std::max(point.stream->joined, point.number);
    return cudaSuccess;
  });
}

/* --- Capture and graphs. ------------------------------------------------------------------------------------------ */

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus *status) {
  return call(__func__, [&](Lock &) {
    const auto stream = find(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (const cudaError_t error = check_implicit(stream, false)) return error;
    *status = !stream->capture           ? cudaStreamCaptureStatusNone
              : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                         : cudaStreamCaptureStatusActive;
    return cudaSuccess;
  });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  return call(__func__, [&](Lock &) {
    const auto stream = find(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (stream->legacy) return cudaErrorStreamCaptureUnsupported;
    if (stream->capture) return cudaErrorIllegalState;
    stream->capture = std::make_shared<Capture>(Capture{handle, mode, std::this_thread::get_id(), {}});
    return cudaSuccess;
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t *graph) {
  return call(__func__, [&](Lock &) {
    *graph = nullptr;
    const auto stream = find(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    const auto capture = stream->capture;
    if (!capture) return cudaErrorIllegalState;
    if (capture->origin != handle) return cudaErrorStreamCaptureUnmatched;
    if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
      return cudaErrorStreamCaptureWrongThread;
    capture->ended = true;
    bool joined = true;
    for (auto &[other_handle, other] : state.streams)
      if (other->capture == capture) {
        joined = joined && (other == stream || other->joined == other->captured);
        other->capture = nullptr;
        other->captured = other->joined = 0;
      }
    if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (!joined) return cudaErrorStreamCaptureUnjoined;
    state.graphs.insert(*graph = new CUgraph_st{std::move(capture->operations)});
    return cudaSuccess;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long) {
  return call(__func__, [&](Lock &) {
    if (!state.graphs.count(graph)) return cudaErrorInvalidValue;
    state.execs.insert(*exec = new CUgraphExec_st{std::make_shared<const Operations>(graph->operations), {}});
    return cudaSuccess;
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t handle) {
  return call(__func__, [&](Lock &) {
    const auto stream = find(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (!state.execs.count(exec)) return cudaErrorInvalidValue;
    const bool captured = stream->capture != nullptr;
    const Point before = captured ? Point{} : exec->launched; /* launches of one graph run one after another */
    const cudaError_t error = enqueue(stream, [operations = exec->operations, before] {
      if (before.stream) wait(before);
      for (const Operation &operation : *operations) operation();
    });
    if (!error && !captured) exec->launched = {stream, stream->enqueued};
    return error;
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return call(__func__, [&](Lock &) {
    if (!state.execs.erase(exec)) return cudaErrorInvalidValue;
    delete exec;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call(__func__, [&](Lock &) {
    if (!state.graphs.erase(graph)) return cudaErrorInvalidValue;
    delete graph;
    return cudaSuccess;
  });
}

/* --- Events. ------------------------------------------------------------------------------------------------------ */

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  return call(__func__, [&](Lock &) {
    state.events.insert(*event = new CUevent_st{current_device, !(flags & cudaEventDisableTiming), nullptr});
    return cudaSuccess;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t handle) {
  return call(__func__, [&](Lock &) {
    const auto stream = find(handle);
    if (!stream || !state.events.count(event) || event->device != stream->device)
      return cudaErrorInvalidResourceHandle;
    auto recording = std::make_shared<Recording>();
    if (stream->capture) {
      if (stream->capture->invalid) return cudaErrorStreamCaptureInvalidated;
      recording->capture = stream->capture;
      recording->point = {stream, stream->captured};
    } else {
      const cudaError_t error =
          enqueue(stream, [recording] { recording->time = std::chrono::steady_clock::now(); });
      if (error) return error;
      recording->point = {stream, stream->enqueued};
    }
    event->recording = recording;
    return cudaSuccess;
  });
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call(__func__, [&](Lock &lock) {
    if (!state.events.count(event)) return cudaErrorInvalidResourceHandle;
    const auto recording = event->recording;
    if (!recording) return cudaSuccess;
    if (recording->capture) return cudaErrorCapturedEvent;
    wait(lock, recording->point);
    return cudaSuccess;
  });
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end) {
  return call(__func__, [&](Lock &) {
    for (cudaEvent_t event : {start, end}) {
      if (!state.events.count(event) || !event->timing || !event->recording) return cudaErrorInvalidResourceHandle;
      const Recording &recording = *event->recording;
      if (recording.capture) return cudaErrorCapturedEvent;
      if (recording.point.stream->completed < recording.point.number) return cudaErrorNotReady;
    }
    *milliseconds = std::chrono::duration<float, std::milli>(end->recording->time - start->recording->time).count();
    return cudaSuccess;
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call(__func__, [&](Lock &) {
    if (!state.events.erase(event)) return cudaErrorInvalidResourceHandle;
    delete event;
    return cudaSuccess;
  });
}

/* --- Kernels. ----------------------------------------------------------------------------------------------------- */

cudaError_t cuda_on_host::launch(const cudaLaunchConfig_t *config, std::function<void()> kernel) {
  return call("cudaLaunchKernelExC", [&](Lock &) {
    const dim3 grid = config->gridDim, block = config->blockDim;
    if (grid.x < 1 || grid.x > INT32_MAX || grid.y != 1 || grid.z != 1 || block.x < 1 || block.x > 1024 ||
        block.y != 1 || block.z != 1 || config->dynamicSmemBytes > 0)
      return cudaErrorInvalidConfiguration;
    const auto stream = find(config->stream);
    if (!stream || stream->device != current_device) return cudaErrorInvalidResourceHandle;
    return enqueue(stream, [grid, block, kernel = std::move(kernel)] { run_grid(grid.x, block.x, kernel); });
  });
}

cudaError_t cuda_on_host::occupancy(int *blocks, int threads) {
  return call("cudaOccupancyMaxActiveBlocksPerMultiprocessor", [&](Lock &) {
    if (threads < 1 || threads > 1024) return cudaErrorInvalidValue;
    *blocks = BLOCKS_OF_MULTIPROCESSOR;
    return cudaSuccess;
  });
}
