/* What io.spd4j.onednn calls: oneDNN's C API, and the thread count of the OpenMP runtime that libdnnl is linked to. */
#include "oneapi/dnnl/dnnl.h"
#include "oneapi/dnnl/dnnl_debug.h"

void omp_set_num_threads(int num_threads);
