#!/usr/bin/env bash
# Runs every check that needs a GPU: the kernels' own test, by itself and under compute-sanitizer; the recorded traces; the
# times of steps; the comparison with PyTorch. Ends with a list of what passed, failed and was not run, and with status 1 if
# something failed. Keeps the output in bench/results/cuda.
#
#     make jar && JAVA=/path/to/jdk/bin/java bench/cuda.sh     # or only some parts: bench/cuda.sh test replay step peers
#
#     JAVA      version 22 or later; default: java        PYTHON   has PyTorch for CUDA; default: python3
#     BENCH     default: $JAVA -jar bench/compare/target/spd4j-bench.jar
#     SHAPES    default: vit-b16 lora many:10000x64 one:1G
#
# The test is built if there is an nvcc; otherwise the script uses the one that `make cuda-test` left in target/cuda-test. A
# machine without a JDK, Maven and nvcc needs the sources, that test, spd4j-bench.jar and a Java runtime, together 60 MB (30
# when packed), from another machine of its architecture:
#
#     make jar cuda-test
#     jlink --add-modules java.base,java.management,jdk.incubator.vector --strip-debug --no-header-files \
#       --no-man-pages --compress zip-9 --output target/gpu/java
#     JAVA=target/gpu/java/bin/java bench/cuda.sh
set -uo pipefail
cd "$(dirname "$0")/.." || exit
PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin
read -ra bench <<< "${BENCH:-${JAVA:-java} -jar bench/compare/target/spd4j-bench.jar}" # splits words without expanding wildcards
read -ra shapes <<< "${SHAPES:-vit-b16 lora many:10000x64 one:1G}"
python=${PYTHON:-python3}
results=bench/results/cuda
mkdir -p $results
summary=()
status=0

# Runs a check. Arguments: a name and a command.
check() {
  echo "== $1"
  if "${@:2}" 2>&1 | tee "$results/$1.txt"; then
    summary+=("passed   $1")
  else
    summary+=("FAILED   $1")
    status=1
  fi
}

# Records a check that was not run. Arguments: a name and the reason.
not_run() {
  summary+=("not run  $1: $2")
}

test_part() {
  local test=target/cuda-test/test_cuda
  if command -v nvcc > /dev/null; then
    check build-test make --no-print-directory cuda-test
  fi
  if [ ! -x $test ]; then
    not_run test "$test does not exist"
    return
  fi
  check test $test
  for tool in memcheck racecheck; do
    if command -v compute-sanitizer > /dev/null; then
      check $tool compute-sanitizer --tool $tool --error-exitcode 1 $test
    else
      not_run $tool "there is no compute-sanitizer"
    fi
  done
}

replay() {
  local traces table replayed
  traces=$(ls src/test/resources/reference/*.safetensors | grep -v minilm_batch) # not a trace
  for state in float32 split bf16 8bit; do
    echo "state $state"
    # shellcheck disable=SC2086
    table=$("${bench[@]}" replay --state $state $traces)
    replayed=$?
    echo "$table"
    [ $replayed = 0 ] || return 1
    grep -q '^  cuda ' <<< "$table" || { echo "no trace was replayed on CUDA: it is not available here"; return 1; }
  done
}

step() {
  local failed=0
  for shape in "${shapes[@]}"; do
    for rule in adamw l2sp "spd --select none" "spd --select all" \
      "adamw --state 8bit" "spd --select none --state "{split,bf16,8bit} "spd --select all --state "{split,bf16,8bit}; do
      # shellcheck disable=SC2086 # $rule holds a rule and its options
      "${bench[@]}" step --backend cuda --graph --shape "$shape" --rule $rule || failed=1
    done
  done
  return $failed
}

peers_part() {
  if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
    check peers "$python" bench/peers/cuda_step.py --bench "${bench[*]}" --json $results/peers.json \
      --shapes "$(IFS=, && echo "${shapes[*]}")"
  else
    not_run peers "$python has no PyTorch with a GPU"
  fi
}

if [ $# = 0 ] || [ "$*" != test ]; then
  "${bench[@]}" --help > /dev/null 2>&1 || {
    echo "bench/cuda.sh: '${bench[*]}' does not run: make jar first, and set JAVA to a java of version 22 or later" >&2
    exit 2
  }
fi
if ! command -v nvidia-smi > /dev/null; then
  echo "nvidia-smi was not found: without a GPU every check will fail" >&2
else
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv | tee $results/gpu.txt
fi
[ $# -gt 0 ] || set -- test replay step peers
for part in "$@"; do
  case $part in
    test | peers) "${part}_part" ;;
    replay | step) check "$part" "$part" ;;
    *) echo "bench/cuda.sh: there is no part '$part': test, replay, step or peers" >&2; exit 2 ;;
  esac
done
echo "== summary"
printf '%s\n' "${summary[@]}" | tee $results/summary.txt
exit $status
