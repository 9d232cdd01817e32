# The front door. `make finetune` and `make test` do all the set-up there is.

# --- A JDK of 22 or later: JAVA_HOME, then the java on the path, then the usual places, the newest first. -------------
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
# From 24 on the JVM warns of what protobuf does; older ones do not know the flag.
JDK_VERSION = $(shell sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' '$(JDK)/release')
QUIET = $(shell [ "$(JDK_VERSION)" -lt 24 ] || echo --sun-misc-unsafe-memory-access=allow)
JAVA = '$(JDK)/bin/java' --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED $(QUIET)
# oneDNN's idle threads wait in a loop before they sleep, and in libgomp's default so long that the optimizer's starve.
export GOMP_SPINCOUNT ?= 10000
BENCH = $(JAVA) -jar bench/target/spd4j-bench.jar

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
# One rounding an operation, on every compiler; sqrtf need not set errno.
NUMERICS := -ffp-contract=off -fno-math-errno
CFLAGS := -std=c11 -O3 -fPIC -fvisibility=hidden $(WARNINGS) $(NUMERICS) -Inative/include -Inative/cpu
TIERS := baseline
ifeq ($(ARCH),x86_64)
TIERS += v3 v4
endif
baseline_FLAGS := $(if $(filter x86_64,$(ARCH)),-march=x86-64)
v3_FLAGS := -march=x86-64-v3
v4_FLAGS := -march=x86-64-v4 -mprefer-vector-width=512
KERNELS := adamw l2sp spd grad_sq
COMMON := dispatch isa layout
HEADERS := $(wildcard native/include/*.h native/cpu/*.h)
OBJECTS := $(foreach t,$(TIERS),$(KERNELS:%=target/obj/%-$(t).o)) $(COMMON:%=target/obj/%.o)

# Each C test runs twice: with sanitizers, and with the very objects of the library, whose loops are vectorized.
C_TESTS := $(basename $(notdir $(wildcard native/test/test_*.c)))
C_TEST_SHARED := model reference
C_TEST_HEADERS := $(HEADERS) $(wildcard native/test/*.h)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
# -O1 vectorizes nothing, and clang reports each loop that was meant to be.
SANITIZE_CFLAGS = $(CFLAGS) -g -O1 -Wno-pass-failed @target/c-obj/sanitize

.PHONY: native native-test bindings jar test replay finetune bench format clean jdk
.DEFAULT_GOAL := help
.SECONDARY: # keep the object files

help:
	@echo "make finetune  build everything and fine-tune MiniLM on real mail with AdamW, L2-SP and SPD (ARGS=--help: options)"
	@echo "make test      build everything and run every test"
	@echo "make replay    replay recorded PyTorch traces on every backend"
	@echo "make bench     time steps of every rule, and whole training steps"
	@echo "make native    the C library alone        make bindings  jextract's output again"
	@echo "make format    google-java-format         make clean     remove what was built"

jdk:
	@[ -n '$(JDK)' ] || { echo "spd4j needs a JDK of version 22 or later: install one or set JAVA_HOME to it" >&2; exit 1; }
	@command -v mvn >/dev/null || { echo "spd4j needs Maven (mvn) of version 3.8 or later on the path" >&2; exit 1; }

ifeq ($(CC_FOUND),)
native native-test:
	@rm -rf target/native target/classes/META-INF/native
	@echo "spd4j: no C compiler found (gcc or clang): going on without the native library" >&2
else
native: $(LIBRARY)
native-test: $(C_TESTS:%=target/c-test/%) $(C_TESTS:%=target/c-test/%-shipped)
	@for t in $^; do echo "== $$t" && $$t || exit 1; done
endif

# What the objects were built with: another compiler builds them anew.
COMPILER := target/obj/compiler
$(shell mkdir -p target/obj && echo '$(CC)' | cmp -s - $(COMPILER) || echo '$(CC)' > $(COMPILER))

$(LIBRARY): $(OBJECTS)
	@mkdir -p $(@D)
	@echo "ld $@"
	@$(CC) -shared -o $@ $^ -lm

define tier_rule
target/obj/%-$(1).o: native/cpu/%.c $(HEADERS) $(COMPILER) Makefile
	@mkdir -p $$(@D)
	@echo "cc $$< ($(1))"
	@$(CC) $(CFLAGS) $($(1)_FLAGS) -DSPD4J_TIER=$(1) -c $$< -o $$@

target/c-obj/%-$(1).o: native/cpu/%.c $(HEADERS) target/c-obj/sanitize
	@$(CC) $(SANITIZE_CFLAGS) $($(1)_FLAGS) -DSPD4J_TIER=$(1) -c $$< -o $$@
endef
$(foreach t,$(TIERS),$(eval $(call tier_rule,$(t))))

target/obj/%.o: native/cpu/%.c $(HEADERS) $(COMPILER) Makefile
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) $(CFLAGS) -c $< -o $@

# What the compiler can sanitize: its own arguments, in a file.
target/c-obj/sanitize: $(COMPILER) Makefile
	@mkdir -p $(@D)
	@echo 'int main(void) { return 0; }' > $@.c
	@if $(CC) $(SANITIZE) $@.c -o $@.out 2>/dev/null && $@.out 2>/dev/null; then echo '$(SANITIZE)' > $@; \
	else : > $@; echo "spd4j: $(CC) comes without sanitizers: the C tests run without them" >&2; fi

target/c-obj/%.o: native/cpu/%.c $(HEADERS) target/c-obj/sanitize
	@$(CC) $(SANITIZE_CFLAGS) -c $< -o $@

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

# --- Java. ------------------------------------------------------------------------------------------------------------
jar: jdk
	$(MVN) -q install -DskipTests
	$(MVN) -q -f bench/pom.xml package -DskipTests

test: jdk native-test
	$(MVN) install
	$(MVN) -f bench/pom.xml verify

TRACES := $(filter-out %/minilm_batch.safetensors,$(wildcard src/test/resources/reference/*.safetensors))

replay: jar
	$(BENCH) replay $(TRACES)

finetune: jar
	$(BENCH) finetune $(ARGS)

bench: jar
	$(BENCH) train-step
	@for shape in vit-b16 lora many:10000x64; do for backend in native vector; do \
	  $(BENCH) step --shape $$shape --backend $$backend --rule adamw || exit 1; \
	  $(BENCH) step --shape $$shape --backend $$backend --rule l2sp || exit 1; \
	  $(BENCH) step --shape $$shape --backend $$backend --rule spd --select none || exit 1; \
	  $(BENCH) step --shape $$shape --backend $$backend --rule spd --select all || exit 1; \
	done; done

bindings:
	jextract/generate.sh

format: jdk
	$(MVN) -q spotless:apply
	$(MVN) -q -f bench/pom.xml spotless:apply

clean:
	rm -rf target bench/target
