#!/usr/bin/env bash
# Installs the Debian packages that building and testing need, if any is missing. Quiet and fast when all are there.
#   tools/setup.sh build   compiler and libraries (what `make run` needs)
#   tools/setup.sh test    also the test tools
set -euo pipefail

build=(clang-19 lld-19 cmake ninja-build ccache pkg-config make git
       libhwy-dev libpcre2-dev libsimdjson-dev nlohmann-json3-dev libcli11-dev libxxhash-dev opencl-headers libvulkan-dev
       python3 python3-pip unzip)
test=(libgtest-dev libgmock-dev libclang-rt-19-dev llvm-19 clang-format-19
      pocl-opencl-icd ocl-icd-libopencl1
      libvulkan1 mesa-vulkan-drivers spirv-tools)
bench=(libbenchmark-dev)

case "${1:-build}" in
  build) packages=("${build[@]}") ;;
  test) packages=("${build[@]}" "${test[@]}") ;;
  bench) packages=("${build[@]}" "${bench[@]}") ;;
  *) echo "setup.sh: unknown set \"$1\"; one of build, test, bench" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "setup.sh: this is not a Debian system; install the equivalents of: ${packages[*]}" >&2
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup.sh: run as root once to install: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "Installing: ${missing[*]}" >&2
"${sudo[@]}" apt-get update -qq >&2
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
