#!/usr/bin/env bash
# run.sh [STAGE...]: checks the proofs of the cache and holds the model against the C++ that ships. Without arguments:
#   prove       compile every proof from scratch and print what each headline theorem assumes: nothing
#   lockstep    random operations and the fuzzer's corpus through the C++ trie and the extracted model
#   protocol    scheduler, requests and device explored exhaustively for small bounds (SPIN)
# PROOFS_FOLDER, PROOFS_SOURCES, CACHE_TRACE and PROTOCOL_FAULT serve planted_faults.sh; LOCKSTEP_OPERATIONS, LOCKSTEP_SEED and
# LOCKSTEP_SECONDS as named.
set -euo pipefail
cd "$(dirname "$0")/.."
sources=${PROOFS_SOURCES:-proofs}
folder=${PROOFS_FOLDER:-build/proofs}
trace=${CACHE_TRACE:-build/proofs/lockstep/cache_trace}
operations=${LOCKSTEP_OPERATIONS:-2400000}

# Nothing may be assumed: neither an unfinished proof nor an axiom, in any form the prover knows.
no_holes() {
  if grep -nwE 'Admitted|admit|give_up|Axioms?|Conjecture|Parameters?|Hypothes[ie]s|Variables?|Unset Guard|bypass_check' \
      "$sources"/*.v | grep -vE ':(Variables?|Hypothesis) |^[^:]*:[0-9]+:\(\*'; then
    echo "proofs: something is assumed" >&2
    return 1
  fi
}

prove() {
  no_holes
  rm -rf "$folder/coq"
  mkdir -p "$folder/coq"
  cp "$sources"/*.v "$sources/_CoqProject" "$folder/coq/"
  (
    cd "$folder/coq"
    coq_makefile -f _CoqProject -o Makefile.coq >/dev/null
    make -f Makefile.coq -j2 --no-print-directory >compile.log 2>&1 || { tail -n 40 compile.log >&2; exit 1; }
    coqc -R . Tattletale Assumptions.v >assumptions.log
    local names proved
    names=$(grep -c '^Print Assumptions' Assumptions.v)
    proved=$(grep -c '^Closed under the global context' assumptions.log || true)
    if [ "$names" -eq 0 ] || [ "$names" -ne "$proved" ] || grep -q Axioms assumptions.log; then
      cat assumptions.log >&2
      echo "proofs: $proved of $names headline theorems are free of assumptions" >&2
      exit 1
    fi
    grep '^Print Assumptions' Assumptions.v | sed 's/^Print Assumptions \(.*\)\.$/\1: closed under the global context/'
    echo "proofs: $(cat ./*.v | grep -cE '^ *(Theorem|Lemma|Corollary)') lemmas, $proved headline theorems, none assumes anything"
  )
}

lockstep() {
  cp "$sources/lockstep/check_trace.ml" "$folder/coq/"
  (
    cd "$folder/coq"
    ocamlopt -w -a -inline 100 -unsafe model.mli model.ml check_trace.ml -o ../check_trace
  )
  timeout "${LOCKSTEP_SECONDS:-900}" "$trace" "$operations" "${LOCKSTEP_SEED:-1}" fuzz/corpus/cache/* | "$folder/check_trace"
}

# explore WHAT FLAGS PAN_FLAGS COMPILE_FLAGS: one exhaustive search; fails on any error and on an unfinished search.
explore() {
  local where
  where=$(mktemp -d)
  (
    trap 'rm -rf "$where"' EXIT
    cd "$where"
    # shellcheck disable=SC2086
    spin $2 -a "$model" >spin.log
    # shellcheck disable=SC2086
    clang-19 -O2 -w -DNFAIR=3 -DCOLLAPSE $4 -o pan pan.c
    # shellcheck disable=SC2086
    ./pan $3 -m2000000 >pan.log 2>&1
    if ! grep -q 'errors: 0' pan.log || grep -qE 'max search depth too small|out of memory' pan.log; then
      grep -E '^pan|errors:' pan.log >&2
      exit 1
    fi
    echo "protocol: $1 ($2): $(grep -oE '[0-9.e+]+ states, stored' pan.log), errors: 0"
  )
}

protocol() {
  model=$(realpath "$sources/protocol/requests.pml")
  explore "no page in use is handed out, no state where all wait" "${PROTOCOL_FAULT:-} -DREQUESTS=2 -DPAGES=1 -DCONTENTS=2 -DSTEPS=2" "" "-DSAFETY -DNOCLAIM"
  explore "no page in use is handed out, no state where all wait" "${PROTOCOL_FAULT:-} -DREQUESTS=3 -DPAGES=2 -DCONTENTS=3 -DSTEPS=2" "" "-DSAFETY -DNOCLAIM"
  explore "every request ends" "${PROTOCOL_FAULT:-} -DREQUESTS=2 -DPAGES=1 -DCONTENTS=2 -DSTEPS=2" "-a -f" ""
  explore "every request ends" "${PROTOCOL_FAULT:-} -DREQUESTS=3 -DPAGES=2 -DCONTENTS=2 -DSTEPS=1" "-a -f" ""
}

if [ $# -eq 0 ]; then set -- prove lockstep protocol; fi
for stage in "$@"; do "$stage"; done
