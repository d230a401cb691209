#!/usr/bin/env bash
# fuzz.sh SECONDS: runs every fuzz target for that long on its seed corpus, under ASan and UBSan.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
tools/build.sh asan fuzzers
status=0
for target in build-asan/fuzz/fuzz_*; do
  [ -x "$target" ] && [ -f "$target" ] || continue
  name=$(basename "$target")
  name=${name#fuzz_}
  grown=build-asan/fuzz/grown/$name
  mkdir -p "$grown" "build-asan/fuzz/found"
  echo "== $name"
  "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build-asan/fuzz/found/$name-" "$grown" "fuzz/corpus/$name" >"$grown.log" 2>&1 || {
    tail -n 60 "$grown.log"
    status=1
  }
  grep -E 'stat::number_of_executed_units' "$grown.log" || true
done
exit $status
