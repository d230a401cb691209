#!/usr/bin/env bash
# Every check of the project, in order of how fast it fails. Prints one summary line per stage and, last, the sum of
# what passed, failed and was skipped. TT_QUICK=1 leaves out the sanitizer and fuzzing stages.
set -euo pipefail
cd "$(dirname "$0")/.."

log=build/test-logs
mkdir -p "$log"
passed=0 failed=0 skipped=0
failed_stages=()

# stage NAME COMMAND...: runs it with its output in a log; the log is shown when it fails.
stage() {
  local name=$1
  shift
  local started=$SECONDS
  if "$@" >"$log/$name.log" 2>&1; then
    printf '%-28s ok      %4d s\n' "$name" $((SECONDS - started))
    return 0
  fi
  printf '%-28s FAILED  %4d s\n' "$name" $((SECONDS - started))
  tail -n 120 "$log/$name.log"
  failed_stages+=("$name")
  return 1
}

# count NAME: adds what ctest printed in a stage's log.
count() {
  local total bad skip
  total=$(grep -oE '[0-9]+ tests failed out of [0-9]+' "$log/$1.log" | grep -oE '[0-9]+$' | tail -1 || true)
  bad=$(grep -oE '[0-9]+ tests failed out of' "$log/$1.log" | grep -oE '^[0-9]+' | tail -1 || true)
  skip=$(grep -cE '\*\*\*Skipped' "$log/$1.log" || true)
  total=${total:-0} bad=${bad:-0} skip=${skip:-0}
  passed=$((passed + total - bad - skip)) failed=$((failed + bad)) skipped=$((skipped + skip))
  printf '%-28s %d passed, %d failed, %d skipped\n' "" $((total - bad - skip)) "$bad" "$skip"
  grep -E '\*\*\*Skipped' "$log/$1.log" | sed 's/^/    skipped: /; s/ *\.*\*\*\*.*//' || true
}

# ctest_stage NAME FOLDER [ctest arguments...]
ctest_stage() {
  local name=$1 folder=$2
  shift 2
  stage "$name" ctest --test-dir "$folder" --output-on-failure -j2 "$@" || true
  count "$name"
}

stage layers python3 tools/check_layers.py || true
stage words python3 tools/check_words.py || true
stage format tools/check_format.sh || true

stage build tools/build.sh test || exit 1

# Real models for the tests that want them; without a network those tests are skipped, and counted as such.
models=${XDG_CACHE_HOME:-$HOME/.cache}/tattletale/models
stage fetch-smollm2 tools/fetch_model.sh || echo "  tests with the SmolLM2 model will be skipped"
stage fetch-gemma3 tools/fetch_model.sh gemma3 || echo "  tests with the Gemma 3 model will be skipped"
export TATTLETALE_MODELS=$models

ctest_stage tests build
stage proofs proofs/run.sh && tail -n 6 "$log/proofs.log" || true
# From here on the CPU alone: drivers, the interpreter and what does not depend on the instruction set have run above.
export TATTLETALE_TEST_DEVICES=cpu
# The same kernels and models on the instruction sets that other machines have.
kernels='^(cpu|kernels|model|engine)\.'
same_everywhere='Portable|Optimised|OpCases'
TATTLETALE_CPU_DISABLE=amx ctest_stage tests-no-amx build -R "$kernels" -E "$same_everywhere"
TATTLETALE_CPU_DISABLE=amx,avx512 ctest_stage tests-avx2 build -R "$kernels" -E "$same_everywhere"

if [ -z "${TT_QUICK:-}" ]; then
  # Drivers are not made for sanitizers: their backends' tests stay out, all that reads files or kernels is in.
  layers='base tensor tokenizer chat weights quant ir compiler cache kernels model engine capi cli'
  stage build-asan tools/build.sh asan $(printf 'test_%s ' $layers) fuzzers || exit 1
  # No driver is found from here on: their leaks are not ours to mend.
  export VK_DRIVER_FILES=/dev/null VK_ICD_FILENAMES=/dev/null OCL_ICD_VENDORS=/dev/null
  # Whole models are too slow under sanitizers; the tests that want them are skipped here, and have run above.
  unset TATTLETALE_MODELS
  ASAN_OPTIONS=detect_leaks=1 ctest_stage tests-asan build-asan -E '_NOT_BUILT|Portable|Optimised|^(opencl|vulkan|webgpu|cuda)\.'
  stage fuzz tools/fuzz.sh 15 || true
  stage build-tsan tools/build.sh tsan test_cpu test_engine test_capi test_cache || exit 1
  # What runs on several threads: the team, the device, kernels that share their work, and all that stands above.
  ctest_stage tests-tsan build-tsan -R '^(engine|capi|cache)\.|^cpu\.(ThreadTeam|CpuDevice|Models/BatchInvariance)'
fi

echo
if [ ${#failed_stages[@]} -gt 0 ]; then echo "failed: ${failed_stages[*]}"; fi
echo "$passed passed, $failed failed, $skipped skipped"
[ ${#failed_stages[@]} -eq 0 ] && [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
