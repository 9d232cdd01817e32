/* Enqueues kernels. The arguments of a kernel are copied before launch returns. */
#ifndef SPD4J_LAUNCH_H
#define SPD4J_LAUNCH_H

#include <cuda_runtime.h>

#include "spd4j_cuda.h"

template <typename... Parameters, typename... Arguments>
static int32_t launch(void (*kernel)(Parameters...), int64_t thread_blocks, int threads, void *stream,
                      Arguments... arguments) {
  cudaLaunchConfig_t config = {};
  config.gridDim.x = (unsigned)thread_blocks;
  config.gridDim.y = config.gridDim.z = 1;
  config.blockDim.x = (unsigned)threads;
  config.blockDim.y = config.blockDim.z = 1;
  config.stream = (cudaStream_t)stream;
  return (int32_t)cudaLaunchKernelEx(&config, kernel, Parameters(arguments)...);
}

/* The kernels of a step, one per file: first prepare, then spd if a tensor is stepped with SPD, else update. */
int32_t launch_prepare(const spd4j_cuda_table *table, const spd4j_cuda_run *run, double grad_scale, bool clip, void *stream);
int32_t launch_update(const spd4j_cuda_table *table, const spd4j_cuda_run *run, bool clip, void *stream);
int32_t launch_spd(const spd4j_cuda_table *table, const spd4j_cuda_run *run, bool clip, void *stream);

int32_t spd_resident(int64_t *thread_blocks);

#endif
