#!/usr/bin/env bash
# build.sh PRESET [TARGET...]: configures when needed and builds. Prints only what matters.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
shift
case $preset in release | test | bench) folder=build ;; *) folder=build-$preset ;; esac
stamp=$folder/.preset
if [ ! -f "$folder/build.ninja" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$preset" ]; then
  # A build folder made for tests serves the plain build as well: do not throw its configuration away.
  if [ "$preset" != release ] || [ ! -f "$folder/build.ninja" ]; then
    cmake --preset "$preset" >"/tmp/tattletale-configure.$$" 2>&1 || { cat "/tmp/tattletale-configure.$$" >&2; exit 1; }
    rm -f "/tmp/tattletale-configure.$$"
    echo "$preset" >"$stamp"
    [ "$folder" = build ] && ln -sf build/compile_commands.json compile_commands.json
  fi
fi
targets=()
for target in "$@"; do targets+=(--target "$target"); done
# Ninja's own progress goes to stderr, so that a caller's stdout stays clean; silent when nothing is to be done.
if ! cmake --build "$folder" "${targets[@]}" >"$folder/build.log" 2>&1; then
  cat "$folder/build.log" >&2
  exit 1
fi
