# Run `make` for a list of the targets. `make finetune` and `make test` need no set-up before them.

# --- Finds a JDK 22 or later: JAVA_HOME, then the java on the PATH, then the usual places, newest first. --------------
define find_jdk
for d in "$$JAVA_HOME" "$$(dirname "$$(dirname "$$(readlink -f "$$(command -v java)")")")" \
  $$(ls -d /usr/lib/jvm/* /usr/lib64/jvm/* /usr/java/* /opt/*jdk* /opt/java/* "$$HOME"/.sdkman/candidates/java/* \
     "$$HOME"/.jdks/* /Library/Java/JavaVirtualMachines/*/Contents/Home 2>/dev/null | sort -rV); do \
  v=$$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$$d/release" 2>/dev/null); \
  if [ "$${v:-0}" -ge 22 ] && [ -x "$$d/bin/javac" ]; then echo "$$d"; break; fi; \
done
endef
JDK = $(eval JDK := $$(shell $$(find_jdk)))$(JDK)
MVN = JAVA_HOME='$(JDK)' mvn -B -ntp
# Allows protobuf's unsafe memory access, of which JDK 24 and later warn. Older JDKs do not know the flag.
JDK_VERSION = $(shell sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' '$(JDK)/release')
QUIET = $(shell [ "$(JDK_VERSION)" -lt 24 ] || echo --sun-misc-unsafe-memory-access=allow)
JAVA = '$(JDK)/bin/java' --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED $(QUIET)
# oneDNN's idle threads spin before they sleep; by libgomp's default so long that the optimizer's threads starve.
export GOMP_SPINCOUNT ?= 10000
FINETUNE = $(JAVA) -jar bench/finetune/target/spd4j-finetune.jar
BENCH = $(JAVA) -jar bench/compare/target/spd4j-bench.jar

PROCESSORS = $(shell getconf _NPROCESSORS_ONLN)

# --- The native library. ----------------------------------------------------------------------------------------------
OS := $(shell uname -s | tr A-Z a-z | sed 's/darwin/macos/')
ARCH := $(shell uname -m | sed 's/^amd64$$/x86_64/;s/^arm64$$/aarch64/')
SO := $(if $(filter macos,$(OS)),dylib,so)
LIBRARY := target/native/META-INF/native/$(OS)-$(ARCH)/libspd4j.$(SO)
ifeq ($(origin CC),default)
CC := $(firstword $(shell command -v gcc clang cc 2>/dev/null))
endif
CC_FOUND := $(shell command -v $(firstword $(CC)) 2>/dev/null)

WARNINGS := -Wall -Wextra -Werror
# Each operation is rounded once, by every compiler. sqrtf need not set errno.
NUMERICS := -ffp-contract=off -fno-math-errno
CFLAGS := -std=c11 -O3 -fPIC -fvisibility=hidden $(WARNINGS) $(NUMERICS) -Inative/include -Inative/cpu
TIERS := baseline
ifeq ($(ARCH),x86_64)
TIERS += v3 v4
endif
baseline_FLAGS := $(if $(filter x86_64,$(ARCH)),-march=x86-64)
v3_FLAGS := -march=x86-64-v3
v4_FLAGS := -march=x86-64-v4 -mprefer-vector-width=512
KERNELS := update project grad_sq interpolate
COMMON := $(filter-out $(KERNELS),$(basename $(notdir $(wildcard native/cpu/*.c))))
HEADERS := $(wildcard native/include/*.h native/cpu/*.h)
OBJECTS := $(foreach t,$(TIERS),$(KERNELS:%=target/obj/%-$(t).o)) $(COMMON:%=target/obj/%.o)

# --- The CUDA library, if there is an nvcc. It contains the CUDA runtime, so users need only the driver. --------------
NVCC_FOUND := $(firstword $(shell command -v nvcc $(CUDA_HOME)/bin/nvcc /usr/local/cuda/bin/nvcc 2>/dev/null))
# nvcc must be of CUDA 13 or later and accept the C++ compiler.
NVCC := $(if $(NVCC_FOUND),$(shell mkdir -p target/obj && \
  printf '\043if CUDART_VERSION < 13000\n\043error\n\043endif\n' > target/obj/nvcc.cu && \
  $(NVCC_FOUND) -E target/obj/nvcc.cu > /dev/null 2>&1 && echo $(NVCC_FOUND)))
CUDA_LIBRARY := $(dir $(LIBRARY))libspd4j_cuda.so
CUDA_KERNELS := $(patsubst native/cuda/%.cu,%,$(wildcard native/cuda/*.cu))
CUDA_HEADERS := $(wildcard native/include/*.h native/cuda/*.h native/cuda/*.cuh)
# Machine code for each of these architectures that nvcc knows, and PTX of the newest of them for later GPUs.
CUDA_ARCHS := $(if $(NVCC),$(filter $(shell $(NVCC) --list-gpu-arch | sed 's/compute_//'),80 86 89 90 100))
NVCC_FLAGS = -std=c++17 -O3 -fmad=false -prec-div=true -prec-sqrt=true -ftz=false -Inative/include -Inative/cuda \
  $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) \
  -gencode arch=compute_$(lastword $(CUDA_ARCHS)),code=compute_$(lastword $(CUDA_ARCHS)) \
  -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wextra,-ffp-contract=off
CUDA_RUNTIME = $(firstword $(wildcard $(addsuffix /libcudart_static.a,$(shell \
  $(NVCC) --dryrun -shared a.o 2>&1 | sed -n 's/^.*LIBRARIES=//p' | tr -d '"' | sed 's/-L//g'))))

# Each C test runs twice: with sanitizers, and with the library's own object files, whose loops are vectorized.
C_TESTS := $(basename $(notdir $(wildcard native/test/test_*.c)))
C_TEST_SHARED := model reference guard
C_TEST_HEADERS := $(HEADERS) $(wildcard native/test/*.h)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
# -O1 does not vectorize, and clang warns of each loop that asks for it.
SANITIZE_CFLAGS = $(CFLAGS) -g -O1 -Wno-pass-failed @target/c-obj/sanitize

THREADS_CFLAGS = -g -O1 -Wno-pass-failed @target/threads/sanitize

.PHONY: native cuda no-cuda native-test ptx-test bindings jar test mpi-test torture cpu-caps replay finetune claim pretrain bench peers djl djl-step train-step release format clean jdk
.DEFAULT_GOAL := help
.SECONDARY: # keep the object files

help:
	@echo "make finetune  build everything and fine-tune MiniLM on real mail with AdamW, L2-SP and SPD (ARGS=--help: options)"
	@echo "make claim     compare the rules over ten seeds, on plain mail and under shifts (hours; goes on if it was stopped)"
	@echo "make pretrain  train a small BERT from random weights (ARGS='--state float32,8bit': compares the optimizer's states)"
	@echo "make test      build everything and run every test"
	@echo "make mpi-test  test collectives, and the fine-tuning job, with 1, 2 and 4 ranks under mpirun"
	@echo "make torture   look for what breaks it, with random callers, files and failing systems (MINUTES=20; TEST, SEED: one round)"
	@echo "make races     look for races between threads in the native library"
	@echo "make cpu-caps  test oneDNN as on older CPUs, and our kernels in each tier that this CPU can run"
	@echo "make replay    replay recorded PyTorch traces on every backend"
	@echo "make bench     time steps side by side with plain C and other libraries (QUICK=1: under three minutes)"
	@echo "make peers     download the Java libraries that make bench can compare with (1 GB)"
	@echo "make djl       fine-tune MiniLM with DJL's Trainer on PyTorch (115 MB), stepped by spd4j"
	@echo "make djl-step  time the optimizer in DJL: spd4j's and DJL's own"
	@echo "make train-step  time whole training steps (ARGS=--profile: where the time goes)"
	@echo "make jar       build and install without tests"
	@echo "make native    build the native libraries  make cuda      build only the CUDA library"
	@echo "make cuda-test build the CUDA kernels' test for a GPU (bench/cuda.sh runs it)"
	@echo "make release   build the jars to publish, with natives in a jar for each platform (URL=https://...: the project's address)"
	@echo "make cross-test  run the C tests for aarch64 under qemu"
	@echo "make bindings  regenerate jextract's output"
	@echo "make format    format the Java code        make clean     remove all build output"

jdk:
	@[ -n '$(JDK)' ] || { echo "spd4j needs JDK 22 or later: install one, or set JAVA_HOME to one" >&2; exit 1; }
	@command -v mvn >/dev/null || { echo "spd4j needs Maven 3.8 or later: mvn must be on the PATH" >&2; exit 1; }

ifeq ($(CC_FOUND),)
native native-test:
	@rm -rf target/native target/classes/META-INF/native
	@echo "spd4j: no C compiler found (gcc or clang): continuing without the native library" >&2
else
native: $(LIBRARY) $(if $(NVCC),cuda,no-cuda)
native-test: $(C_TESTS:%=target/c-test/%) $(C_TESTS:%=target/c-test/%-shipped) | $(if $(NVCC),ptx-test)
	@printf '%s\n' $^ | xargs -P $(PROCESSORS) -I {} sh -c 'said=$$({} 2>&1); status=$$?; printf "== %s\n%s\n" {} "$$said"; exit $$status'
endif

# The compilers that the objects were built with. If one changes, the objects are rebuilt.
COMPILER := target/obj/compiler
$(shell mkdir -p target/obj && echo '$(CC) $(NVCC) $(if $(NVCC),$(shell $(NVCC) --version | tail -1))' > $(COMPILER).now && \
  cmp -s $(COMPILER).now $(COMPILER) || mv $(COMPILER).now $(COMPILER))

$(LIBRARY): $(OBJECTS)
	@mkdir -p $(@D)
	@echo "ld $@"
	@$(CC) -shared -o $@ $^ -lm

NO_NVCC := $(if $(NVCC_FOUND),$(NVCC_FOUND) is older than CUDA 13 or rejects the C++ compiler,no nvcc was found)
ifeq ($(NVCC),)
cuda:
	@echo "spd4j needs CUDA 13 or later to build the CUDA library: $(NO_NVCC) (searched PATH, CUDA_HOME and /usr/local/cuda)" >&2; exit 1
no-cuda:
	@rm -f $(CUDA_LIBRARY) target/classes/META-INF/native/$(OS)-$(ARCH)/$(notdir $(CUDA_LIBRARY))
	@echo "spd4j: $(NO_NVCC): continuing without the CUDA library" >&2
else
cuda: $(CUDA_LIBRARY)
endif

# Stripped, because the names of nvcc's own symbols contain its process id, which would make every build different.
$(CUDA_LIBRARY): $(CUDA_KERNELS:%=target/cuda-obj/%.o) target/cuda-obj/runtime.o target/cuda-obj/libcudart.a
	@mkdir -p $(@D)
	@echo "nvcc $@"
	@$(NVCC) -shared -cudart none $^ -o $@ -lpthread -ldl -lrt \
	  -Xcompiler -static-libstdc++,-static-libgcc -Xlinker -Bsymbolic,--exclude-libs,ALL,--strip-all

# The static CUDA runtime's symbols are hidden and cannot be exported. In a copy of it the functions that Java calls are
# renamed (cudaMalloc becomes runtime_cudaMalloc), and each original name is exported as a jump to the renamed function.
target/cuda-obj/libcudart.a: jextract/cudart.includes $(COMPILER) Makefile
	@mkdir -p $(@D)
	@sed -n 's/^--include-function \(.*\)/\1 runtime_\1/p' $< > target/cuda-obj/renamed
	@objcopy --redefine-syms=target/cuda-obj/renamed $(CUDA_RUNTIME) $@

JUMP := $(if $(filter x86_64,$(ARCH)),jmp,b)
target/cuda-obj/runtime.o: jextract/cudart.includes Makefile
	@mkdir -p $(@D)
	@sed -n 's/^--include-function \(.*\)/.globl \1; .type \1, %function; \1: $(JUMP) runtime_\1/p' $< | as --noexecstack -o $@

target/cuda-obj/%.o: native/cuda/%.cu $(CUDA_HEADERS) $(COMPILER) Makefile
	@mkdir -p $(@D)
	@echo "nvcc $<"
	@$(NVCC) $(NVCC_FLAGS) -c $< -o $@

# Checks the numerics contract in PTX: nothing is fused, approximate or flushed to zero, though the flags allow fusing.
ptx-test: $(CUDA_KERNELS:%=target/cuda-obj/%.ptx)
	@echo "== $@"
	@! grep -nE '(fma|mad)\.[a-z.]*f(32|64)|\.ftz|\.approx' $^
	@grep -q 'ld.global.cs.v4.f32' target/cuda-obj/update.ptx # 16-byte accesses
	@grep -q 'ld.global.cs.v2.u32' target/cuda-obj/update.ptx # 8 bytes of 16-bit elements

target/cuda-obj/%.ptx: native/cuda/%.cu $(CUDA_HEADERS)
	@mkdir -p $(@D)
	@$(NVCC) -std=c++17 -O3 -arch=compute_80 -Inative/include -Inative/cuda -ptx $< -o $@

define tier_rule
target/obj/%-$(1).o: native/cpu/%.c $(HEADERS) $(COMPILER) Makefile
	@mkdir -p $$(@D)
	@echo "cc $$< ($(1))"
	@$(CC) $(CFLAGS) $($(1)_FLAGS) -DSPD4J_TIER=$(1) -c $$< -o $$@

target/c-obj/%-$(1).o: native/cpu/%.c $(HEADERS) target/c-obj/sanitize
	@$(CC) $(SANITIZE_CFLAGS) $($(1)_FLAGS) -DSPD4J_TIER=$(1) -c $$< -o $$@

target/threads/%-$(1).o: native/cpu/%.c $(HEADERS) target/threads/sanitize
	@$(CC) $(CFLAGS) $(THREADS_CFLAGS) $($(1)_FLAGS) -DSPD4J_TIER=$(1) -c $$< -o $$@
endef
$(foreach t,$(TIERS),$(eval $(call tier_rule,$(t))))

target/obj/%.o: native/cpu/%.c $(HEADERS) $(COMPILER) Makefile
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) $(CFLAGS) -c $< -o $@

# Files with the compiler's sanitizer flags; empty if it has no such sanitizers, or the system does not let them run.
target/c-obj/sanitize: SANITIZER_FLAGS = $(SANITIZE)
target/threads/sanitize: SANITIZER_FLAGS = -fsanitize=thread
target/c-obj/sanitize target/threads/sanitize: $(COMPILER) Makefile
	@mkdir -p $(@D)
	@echo 'int main(void) { return 0; }' > $@.c
	@if $(CC) $(SANITIZER_FLAGS) $@.c -o $@.out 2>/dev/null && $@.out 2>/dev/null; then echo '$(SANITIZER_FLAGS)' > $@; \
	else : > $@; echo "spd4j: $(CC) has no $(SANITIZER_FLAGS): C code is tested without" >&2; fi

target/c-obj/%.o: native/cpu/%.c $(HEADERS) target/c-obj/sanitize
	@$(CC) $(SANITIZE_CFLAGS) -c $< -o $@

target/threads/%.o: native/cpu/%.c $(HEADERS) target/threads/sanitize
	@$(CC) $(CFLAGS) $(THREADS_CFLAGS) -c $< -o $@

target/threads/%.o: native/test/%.c $(C_TEST_HEADERS) target/threads/sanitize
	@$(CC) $(CFLAGS) $(THREADS_CFLAGS) -c $< -o $@

target/c-obj/%.o: native/test/%.c $(C_TEST_HEADERS) target/c-obj/sanitize
	@$(CC) $(SANITIZE_CFLAGS) -c $< -o $@

target/c-obj/%-shipped.o: native/test/%.c $(C_TEST_HEADERS) $(COMPILER) Makefile
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -O1 -c $< -o $@

target/c-test/%-shipped: $(C_TEST_SHARED:%=target/c-obj/%-shipped.o) target/c-obj/%-shipped.o $(OBJECTS)
	@mkdir -p $(@D)
	@echo "cc native/test/$*.c"
	@$(CC) $^ -o $@ -lm -pthread

target/c-test/%: $(C_TEST_SHARED:%=target/c-obj/%.o) target/c-obj/%.o $(OBJECTS:target/obj/%=target/c-obj/%)
	@mkdir -p $(@D)
	@echo "cc native/test/$*.c with sanitizers"
	@$(CC) @target/c-obj/sanitize $^ -o $@ -lm -pthread

# --- The CUDA tests: emulated on the host, and built with nvcc for a machine with a GPU. ------------------------------
# The CUDA kernels compiled as C++, with an emulated CUDA runtime, for the tests in C and in Java.
CUDA_ON_HOST := target/cuda-on-host/libspd4j_cuda.so
CUDA_ON_HOST_OBJECTS := $(CUDA_KERNELS:%=%.o) \
  $(patsubst native/test/cuda_on_host/%.cpp,%.o,$(wildcard native/test/cuda_on_host/*.cpp))
CUDA_TESTS := $(basename $(notdir $(wildcard native/test/test_*.cpp)))
CUDA_TEST_HEADERS := $(CUDA_HEADERS) $(wildcard native/test/*.h native/test/cuda_on_host/*.h)
ifeq ($(origin CXX),default)
CXX := $(shell command -v $$(basename '$(CC)' | sed 's/clang/clang++/;s/gcc/g++/;s/^cc$$/c++/') 2>/dev/null)
endif
CXX_FOUND := $(if $(filter linux-x86_64 linux-aarch64,$(OS)-$(ARCH)),$(shell command -v $(firstword $(CXX)) 2>/dev/null))
CXXFLAGS := -std=c++17 -O2 -fPIC -fvisibility=hidden $(WARNINGS) $(NUMERICS) -Inative/test/cuda_on_host \
  -Inative/include -Inative/cuda

.PHONY: cuda-on-host cuda-races cuda-test

ifeq ($(CXX_FOUND),)
cuda-on-host:
	@rm -rf target/cuda-on-host
	@echo "spd4j: no C++ compiler found (g++ or clang++, on Linux): continuing without the CUDA tests" >&2
else
cuda-on-host: $(CUDA_ON_HOST)
native-test: $(CUDA_TESTS:%=target/cuda-on-host/sanitized/%) $(CUDA_TESTS:%=target/cuda-on-host/plain/%)
endif

# Finds races between thread blocks, which compute-sanitizer does not see.
cuda-races: target/cuda-on-host/threads/test_cuda
	$<

$(CUDA_ON_HOST): $(CUDA_ON_HOST_OBJECTS:%=target/cuda-on-host/plain/%)
	@echo "ld $@"
	@$(CXX) -shared $^ -o $@ -pthread

# Arguments: a folder, compiler flags besides CXXFLAGS, and the suffix of the C objects to link with.
define cuda_on_host_variant
$(foreach source,native/cuda/%.cu native/test/cuda_on_host/%.cpp native/test/%.cpp,
target/cuda-on-host/$(1)/%.o: $(source) $(CUDA_TEST_HEADERS) $(COMPILER) target/c-obj/sanitize Makefile
	@mkdir -p $$(@D)
	@echo "c++ $$< ($(1))"
	@$(CXX) $(CXXFLAGS) $(2) -x c++ -c $$< -o $$@
)
target/cuda-on-host/$(1)/test_%: target/cuda-on-host/$(1)/test_%.o \
  $(CUDA_ON_HOST_OBJECTS:%=target/cuda-on-host/$(1)/%) $(C_TEST_SHARED:%=target/c-obj/%$(3).o)
	@echo "c++ $$@"
	@$(CXX) $(2) $$^ -o $$@ -pthread
endef
$(eval $(call cuda_on_host_variant,plain,,-shipped))
$(eval $(call cuda_on_host_variant,sanitized,-g -O1 @target/c-obj/sanitize))
$(eval $(call cuda_on_host_variant,threads,-g -O1 -fsanitize=thread,-shipped))

# Tests the shipped kernels on a GPU. Run it by itself and under compute-sanitizer's memcheck and racecheck.
cuda-test: target/cuda-test/test_cuda

target/cuda-test/test_cuda: native/test/test_cuda.cpp $(CUDA_KERNELS:%=target/cuda-obj/%.o) \
  $(C_TEST_SHARED:%=target/c-obj/%-shipped.o) $(CUDA_TEST_HEADERS)
	@mkdir -p $(@D)
	@echo "nvcc $@"
	@$(NVCC) $(NVCC_FLAGS) $(filter %.cpp %.o,$^) -o $@

# --- The library with sanitizers, for a JVM, and for threads in C. ----------------------------------------------------
# Beside it lies a file that says what LD_PRELOAD must be; there is none if the compiler has no sanitizers, or is not gcc.
.PHONY: sanitized races

SANITIZED := memory threads
sanitized: $(SANITIZED:%=target/sanitized/%/preload) target/c-test/test_fuzz target/c-test/test_fuzz-shipped

# Finds races between threads that share a table.
races: target/threads/test_table
	@if [ -s target/threads/sanitize ]; then $<; else echo "spd4j: races is skipped: $(CC) has no ThreadSanitizer" >&2; fi

target/sanitized/memory/libspd4j.so: $(OBJECTS:target/obj/%=target/c-obj/%)
target/sanitized/memory/preload: SANITIZER = target/c-obj/sanitize
target/sanitized/memory/preload: RUNTIME = libasan.so

target/sanitized/threads/libspd4j.so: target/threads/ordered_dispatch.o \
  $(filter-out %/dispatch.o,$(OBJECTS:target/obj/%=target/threads/%))
target/sanitized/threads/preload: SANITIZER = target/threads/sanitize
target/sanitized/threads/preload: RUNTIME = libtsan.so

target/sanitized/%/preload: target/sanitized/%/libspd4j.so
	@rm -f $@
	@so=$$($(CC) -print-file-name=$(RUNTIME)); if [ -s $(SANITIZER) ] && [ -f "$$so" ]; then echo "$$so" > $@; \
	else echo "spd4j: Java is tested without $(RUNTIME), which $(CC) has not" >&2; fi

target/sanitized/%/libspd4j.so:
	@mkdir -p $(@D)
	@echo "ld $@"
	@$(CC) -shared @$(SANITIZER) $^ -o $@ -lm

target/threads/ordered_dispatch.o: native/cpu/dispatch.c

target/threads/test_table: $(C_TEST_SHARED:%=target/threads/%.o) target/threads/test_table.o $(OBJECTS:target/obj/%=target/threads/%)
	@$(CC) @target/threads/sanitize $^ -o $@ -lm -pthread

# --- aarch64, cross-compiled: runs this Makefile again in a folder that holds only aarch64 output. --------------------
CROSS ?= aarch64-linux-gnu-gcc
CROSS_FOUND := $(shell command -v $(firstword $(CROSS)) 2>/dev/null)
CROSS_MAKE = $(MAKE) -s --no-print-directory -C target/aarch64 OS=linux ARCH=aarch64 CC='$(CROSS)' CXX= NVCC_FOUND=
CROSS_LIBRARY := target/native/META-INF/native/linux-aarch64/libspd4j.so
QEMU ?= qemu-aarch64-static -L /usr/aarch64-linux-gnu

.PHONY: cross cross-test release-natives

cross: target/aarch64/Makefile
	@$(CROSS_MAKE) $(CROSS_LIBRARY)

target/aarch64/Makefile:
	@mkdir -p $(@D)
	@ln -sfn ../../native ../../Makefile $(@D)/

ifeq ($(and $(CROSS_FOUND),$(shell command -v $(firstword $(QEMU)) 2>/dev/null)),)
cross-test:
	@echo "spd4j: cross-test is skipped: it needs $(firstword $(CROSS)) and $(firstword $(QEMU))" >&2
else
cross-test: target/aarch64/Makefile
	@$(CROSS_MAKE) $(C_TESTS:%=target/c-test/%-shipped)
	@for t in $(C_TESTS:%=target/aarch64/target/c-test/%-shipped); do echo "== $$t" && $(QEMU) $$t || exit 1; done
endif

# Collects the files of each platform's native jar.
release-natives: native $(if $(CROSS_FOUND),cross)
	@rm -rf target/release
	@for natives in $(dir $(LIBRARY) $(if $(CROSS_FOUND),target/aarch64/$(CROSS_LIBRARY))); do \
	  [ ! -d $$natives ] || { jar=target/release/$$(basename $$natives)/META-INF && \
	  mkdir -p $$jar/native && cp LICENSE $$jar && cp -r $$natives $$jar/native; } || exit 1; done
	@for platform in linux-x86_64 linux-aarch64; do [ -d target/release/$$platform ] || \
	  echo "spd4j: no C compiler for $$platform was found (CROSS= names one for aarch64): the release continues without it" >&2; done

# --- Plain C loops, compiled as most users would, that `make bench` compares the steps with. --------------------------
LIMITS := target/bench/limits
LOOPS_CFLAGS := -std=c11 -O3 -fno-math-errno $(WARNINGS)

.PHONY: limits

ifeq ($(CC_FOUND),)
limits:
	@rm -rf target/bench
else
limits: $(LIMITS)
endif

$(LIMITS): bench/limits/limits.c $(TIERS:%=target/bench/loops-%.o) target/obj/isa.o
	@echo "cc $@"
	@$(CC) $(CFLAGS) $^ -o $@ -lm -pthread

define loops_rule
target/bench/loops-$(1).o: bench/limits/loops.c bench/limits/loops.h $(COMPILER) Makefile
	@mkdir -p $$(@D)
	@echo "cc $$< ($(1))"
	@$(CC) $(LOOPS_CFLAGS) $($(1)_FLAGS) -DSPD4J_TIER=$(1) -c $$< -o $$@
endef
$(foreach t,$(TIERS),$(eval $(call loops_rule,$(t))))

# --- Java. ------------------------------------------------------------------------------------------------------------
DJL = $(MVN) -f src/djl/pom.xml

jar: jdk
	$(MVN) -q install -DskipTests
	$(DJL) -q install -DskipTests
	$(MVN) -q -f bench/pom.xml package -DskipTests

# Compiles the native code with several processes at once. The rest takes turns.
test: jdk
	@$(MAKE) --no-print-directory -j$(PROCESSORS) native-test limits cuda-on-host
	$(MVN) install
	$(DJL) install
	$(MVN) -f bench/pom.xml verify

TRACES := $(filter-out %/minilm_batch.safetensors,$(wildcard src/test/resources/reference/*.safetensors))

# Tests oneDNN's operations, and a model made of them, as on older CPUs. Beside each cap stands a flag of the CPUs that have
# more than it; on others the cap changes nothing, and `make test` is the same run. The tests of our own kernels run each
# tier that this CPU has: the C tests themselves, and the Java tests through AllKernels.
CPU_CAPS := SSE41:avx2 AVX2:avx512bw AVX512_CORE:avx512_bf16 AVX512_CORE_BF16:avx512_fp16
# What oneDNN computes with makes no difference to the tests left out here: they count allocations, or are about files.
CAPPED_TESTS := io.spd4j.onednn.*Test,!AllocationTest,!OperationEventTest
CAPPED_MODEL_TESTS := io.spd4j.finetune.minilm.*Test,TrainerTest,!OnnxExportTest,!OnnxWeightsTest,!ServedModelTest

# `make test` builds and installs what `make jar` does.
cpu-caps: $(if $(filter test,$(MAKECMDGOALS)),test,native-test jar)
	@for cap in $(CPU_CAPS); do export ONEDNN_MAX_CPU_ISA=$${cap%:*}; echo "== ONEDNN_MAX_CPU_ISA=$$ONEDNN_MAX_CPU_ISA"; \
	  grep -qsw "$${cap#*:}" /proc/cpuinfo || { echo "skipped: this CPU has no $${cap#*:}"; continue; }; \
	  $(MVN) surefire:test -Dtest='$(CAPPED_TESTS)' && \
	  $(MVN) -f bench/finetune/pom.xml surefire:test -Dtest='$(CAPPED_MODEL_TESTS)' || exit 1; done

# `make test` runs these, too, where there is an mpirun.
ifeq ($(shell command -v mpirun 2>/dev/null),)
mpi-test:
	@echo "spd4j: mpi-test is skipped: there is no mpirun (apt-get install openmpi-bin libopenmpi3)" >&2
else
mpi-test: jar
	$(MVN) surefire:test -Dtest='io.spd4j.mpi.*Test'
	$(MVN) -f bench/finetune/pom.xml surefire:test -Dtest=ProcessesTest
endif

# Random use of all that a caller, a file or a failing system can do wrong. `make test` runs a little of it, always the same.
# A finding prints how to repeat it: TEST is a class of io.spd4j.torture, SEED the seed of one round. Before the long runs,
# without other work, each call of CUDA and MPI fails in turn.
MINUTES ?= 20
torture: jar
	@$(MAKE) --no-print-directory -j$(PROCESSORS) cuda-on-host sanitized races
	@rm -f target/torture/*.txt target/sanitized/*/target/torture/*.txt bench/finetune/target/torture/*.txt
	@$(if $(SEED),:,$(MVN) surefire:test@torture -Dtorture.test='$(or $(TEST),*Faults*Test)' -Dgroups=sweep -DexcludedGroups= \
	  -Dsurefire.failIfNoSpecifiedTests=false)
	@$(if $(TEST),:,$(MVN) -q -f bench/finetune/pom.xml surefire:test@torture -Dspd4j.torture.minutes=$(MINUTES)) & bench=$$!; \
	  trap 'kill $$bench' INT TERM; \
	  $(MVN) surefire:test@torture -Dspd4j.torture.minutes=$(MINUTES) $(if $(TEST),-Dtorture.test=$(TEST)) \
	  $(if $(SEED),-Dspd4j.torture.seed=$(SEED)); own=$$?; \
	  wait $$bench; bench=$$?; cat target/torture/*.txt $(if $(TEST),,bench/finetune/target/torture/*.txt); exit $$((own | bench))

# Removes all earlier output but native objects: Maven would take old jars and Javadoc to be up to date.
# spd4j-djl is compiled against the library that `make jar` installs.
release: jdk
	@$(MVN) -q -P release validate $(if $(URL),-Dspd4j.url='$(URL)')
	@$(MAKE) --no-print-directory jar
	@rm -rf target/djl target/classes target/reports target/maven-* target/*.jar
	$(MVN) -P release package -DskipTests $(if $(URL),-Dspd4j.url='$(URL)')
	$(MVN) -P release surefire:test@packaged-jar $(if $(URL),-Dspd4j.url='$(URL)')
	$(DJL) -P release package -DskipTests $(if $(URL),-Dspd4j.url='$(URL)')
	@ls target/*.jar target/djl/*.jar

replay: jar
	$(BENCH) replay $(TRACES)

finetune: jar
	$(FINETUNE) finetune $(ARGS)

claim: jar
	bench/claim.sh $(FINETUNE)

pretrain: jar
	$(FINETUNE) pretrain $(ARGS)

# QUICK=1: takes under three minutes. PYTHON: a Python with torch. ARGS=--help: lists all other options.
PYTHON ?= python3
bench: jar limits
	$(BENCH) compare $(if $(QUICK),--quick) --python '$(PYTHON)' $(ARGS)

peers: jar
	$(MVN) -q -f bench/pom.xml -P peers process-classes

# PyTorch for DJL (115 MB) is fetched here; DJL unpacks it (430 MB) into DJL_CACHE_DIR.
WITH_DJL = DJL_CACHE_DIR=$${DJL_CACHE_DIR:-bench/finetune/target/djl} \
  $(JAVA) -cp bench/finetune/target/spd4j-finetune.jar:$$(cat bench/finetune/target/djl/classpath) io.spd4j.finetune.Main

djl djl-step: jar
	$(MVN) -q -f bench/finetune/pom.xml -P pytorch dependency:build-classpath
	$(WITH_DJL) $@ $(ARGS)

train-step: jar
	$(FINETUNE) train-step $(ARGS)

bindings:
	jextract/generate.sh

format: jdk
	$(MVN) -q spotless:apply
	$(DJL) -q spotless:apply
	$(MVN) -q -f bench/pom.xml spotless:apply

clean:
	rm -rf target bench/target bench/*/target
