#!/usr/bin/env bash
# Shows that the checks see what they are for: each fault is planted in a copy of the model, where a proof must fail, and
# in a copy of the C++, where the lockstep run must; the protocol's faults must be found by the exhaustive search.
# Needs a build of cache_trace (tools/build.sh test cache_trace) and takes a few minutes.
set -uo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
missed=0

# replace FILE FROM TO: exactly one place must match.
replace() {
  python3 - "$@" <<'PYTHON'
import sys
name, old, new = sys.argv[1:]
text = open(name).read()
assert text.count(old) == 1, f"{name}: {text.count(old)} places match: {old}"
open(name, "w").write(text.replace(old, new))
PYTHON
}

# report NAME WHERE LOG STATUS PATTERN: seen means failed, and for the reason expected.
report() {
  if [ "$4" -ne 0 ] && grep -qE "$5" "$3"; then
    printf '%-36s %-10s seen: %s\n' "$1" "$2" "$(grep -E "$5" "$3" | head -1 | cut -c1-150)"
  else
    printf '%-36s %-10s MISSED\n' "$1" "$2"
    tail -5 "$3"
    missed=1
  fi
}

# fault NAME MODEL_FILE FROM TO CPP_FILE FROM TO
fault() {
  rm -rf "$work/proofs" "$work/src"
  cp -r proofs "$work/proofs" && cp -r src "$work/src"
  replace "$work/proofs/$2" "$3" "$4" || exit 1
  PROOFS_SOURCES=$work/proofs PROOFS_FOLDER=$work/out proofs/run.sh prove >"$work/log" 2>&1
  report "$1" model "$work/log" $? '^File "./[A-Za-z]+\.v", line'
  replace "$work/src/cache/$5" "$6" "$7" || exit 1
  clang++-19 -std=c++23 -O2 -w -I "$work/src" -I tests -I include -o "$work/cache_trace" proofs/lockstep/cache_trace.cpp \
    "$work"/src/cache/*.cpp src/base/error.cpp || exit 1
  CACHE_TRACE=$work/cache_trace CACHE_TRACE_UNBUFFERED=1 LOCKSTEP_SECONDS=20 LOCKSTEP_OPERATIONS=100000 proofs/run.sh lockstep >"$work/log" 2>&1
  report "$1" C++ "$work/log" $? '(^|: )check_trace: record [0-9]+:'  # two programs write to one log
}

proofs/run.sh prove >"$work/log" 2>&1 && LOCKSTEP_OPERATIONS=100000 proofs/run.sh lockstep >"$work/log" 2>&1 ||
  { cat "$work/log"; echo "planted_faults: the unharmed proofs must pass first" >&2; exit 1; }

fault "a rotation forgets a demotion" \
  WavlTree.v '(Node rx outer x (Node (r - 1) inner p v), 1)' '(Node rx outer x (Node r inner p v), 1)' \
  wavl_tree.h 'rotate_up(links, root, x);
        links.flip(p);' 'rotate_up(links, root, x);'
fault "a release on another path" \
  RadixTrie.v '    release_hold (l_node l) st
  end.' '    release_hold (match find_node (l_node l) (nodes st) with Some n => parent n | None => [] end) st
  end.' \
  radix_trie.cpp '  release_hold(held.node);
  held.in_use = 0;' '  release_hold(nodes_[nodes_[held.node].parent].num_holds != 0 ? nodes_[held.node].parent : held.node);
  held.in_use = 0;'
fault "an eviction that ignores a lease" \
  RadixTrie.v '        if negb (holds n =? 0) then
          evict_loop' '        if false then
          evict_loop' \
  trie_structure.cpp 'if (nodes_[oldest].num_holds != 0) {' 'if (false) {'
fault "a split that leaves the pages behind" \
  RadixTrie.v 'set_edge (n_path n) at_ (skipn (at_ / P - start n / P) (pages n)) n.' 'set_edge (n_path n) at_ (pages n) n.' \
  trie_structure.cpp '  low.first_page = first_of_lower;' '  if (low.num_tokens() == 0) low.first_page = first_of_lower;'
fault "a hold counted twice" \
  RadixTrie.v 'set_holds (S (holds n)) n) ns.' 'set_holds (S (S (holds n))) n) ns.' \
  trie_structure.cpp '  ++nodes_[node].num_holds;' '  nodes_[node].num_holds += 2;'

for flag in RELEASE_EARLY FREE_BEFORE_COPIED LOSE_WAKEUP DEVICE_FORGETS; do
  PROTOCOL_FAULT=-D$flag proofs/run.sh protocol >"$work/log" 2>&1
  report "$flag" protocol "$work/log" $? '^pan:1:'
done

if [ "$missed" -ne 0 ]; then echo "planted_faults: a fault was missed" >&2; exit 1; fi
echo "planted_faults: every fault was seen"
