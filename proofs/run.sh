#!/usr/bin/env bash
# run.sh [STAGE...]: checks the proofs of the cache and holds the model against the C++ that ships. Without arguments:
#   prove       compile every proof from scratch and print what each headline theorem assumes: nothing
#   lockstep    random operations and the fuzzer's corpus through the C++ trie and the extracted model
# PROOFS_FOLDER, PROOFS_SOURCES and CACHE_TRACE serve planted_faults.sh; LOCKSTEP_OPERATIONS and LOCKSTEP_SEED as named.
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
  "$trace" "$operations" "${LOCKSTEP_SEED:-1}" fuzz/corpus/cache/* | "$folder/check_trace"
}

if [ $# -eq 0 ]; then set -- prove lockstep; fi
for stage in "$@"; do "$stage"; done
