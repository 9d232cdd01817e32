#!/bin/sh
# Generates jextract/generated from the headers. JEXTRACT names the jextract to use, CUDA_HOME the CUDA toolkit.
set -eu
cd "$(dirname "$0")/.."
JEXTRACT=${JEXTRACT:-jextract}
if ! command -v "$JEXTRACT" > /dev/null; then
  echo "jextract not found: put it on the PATH or set JEXTRACT (jextract/README.md)" >&2
  exit 1
fi
# nvcc may be a link or a script, so ask it which headers it uses.
if [ -n "${CUDA_HOME:-}" ]; then
  CUDA_INCLUDE=$CUDA_HOME/include
else
  CUDA_INCLUDE=$(nvcc -M -x cu /dev/null 2> /dev/null | sed -n 's|^ *\(.*\)/cuda_runtime\.h .*|\1|p')
fi
if [ ! -f "$CUDA_INCLUDE/cuda_runtime_api.h" ]; then
  echo "CUDA's headers not found: put nvcc on the PATH or set CUDA_HOME (jextract/README.md)" >&2
  exit 1
fi
DNNL=org.bytedeco:dnnl:3.11-1.5.13:jar:linux-x86_64
mvn -B -ntp -q org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack -Dartifact="$DNNL" \
  -Dmdep.unpack.includes='**/include/**' -DoutputDirectory="$PWD/target/dnnl"
DNNL_INCLUDE=target/dnnl/org/bytedeco/dnnl/linux-x86_64/include

rm -rf jextract/generated
"$JEXTRACT" --output jextract/generated --target-package io.spd4j.generated.spd4j --header-class-name spd4j_h \
  @jextract/spd4j.includes native/include/spd4j.h
"$JEXTRACT" --output jextract/generated --target-package io.spd4j.generated.spd4jcuda \
  --header-class-name spd4j_cuda_h @jextract/spd4jcuda.includes native/include/spd4j_cuda.h
"$JEXTRACT" --output jextract/generated --target-package io.spd4j.generated.cudart --header-class-name cudart_h \
  -I "$CUDA_INCLUDE" @jextract/cudart.includes "$CUDA_INCLUDE/cuda_runtime_api.h"
"$JEXTRACT" --output jextract/generated --target-package io.spd4j.generated.dnnl --header-class-name dnnl_h \
  -I "$DNNL_INCLUDE" @jextract/dnnl.includes jextract/dnnl.h
"$JEXTRACT" --output jextract/generated --target-package io.spd4j.generated.mpi --header-class-name mpi_h \
  @jextract/mpi.includes jextract/mpi.h
