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
      libvulkan1 mesa-vulkan-drivers spirv-tools chromium
      coq ocaml-nox spin)
bench=(libbenchmark-dev)
# For WebGPU's checks in a browser; kept where another distribution of Node is installed.
command -v npm >/dev/null || test+=(nodejs npm)

case "${1:-build}" in
  build) packages=("${build[@]}") ;;
  test) packages=("${build[@]}" "${test[@]}") ;;
  bench) packages=("${build[@]}" "${bench[@]}") ;;
  *) echo "setup.sh: unknown set \"$1\"; one of build, test, bench" >&2; exit 2 ;;
esac

# Python packages that tests load libraries from, in a folder of their own. Where there is no network their tests
# are skipped, with the reason.
python_packages() {
  local folder=${XDG_CACHE_HOME:-$HOME/.cache}/tattletale/python
  [ -e "$folder/nvidia/cu13/lib/libnvrtc.so.13" ] && return
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade \
    --target "$folder" 'nvidia-cuda-nvrtc>=13' >&2 || echo "setup.sh: NVRTC could not be installed" >&2
}

# Libraries of WebGPU and the packages of its JavaScript checks, the same way.
webgpu_packages() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/tattletale
  if [ ! -e "$cache/webgpu/libwgpu_native.so" ]; then
    local folder
    folder=$(mktemp -d)
    if python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$folder" \
        wgpu==0.32.0 >&2 && unzip -qoj "$folder"/wgpu-*.whl '*/libwgpu_native-release.so' -d "$folder"; then
      mkdir -p "$cache/webgpu"
      mv "$folder/libwgpu_native-release.so" "$cache/webgpu/libwgpu_native.so"
    else
      echo "setup.sh: wgpu-native could not be installed" >&2
    fi
    rm -rf "$folder"
  fi
  if command -v npm >/dev/null && [ ! -e "$cache/node/node_modules/playwright-core" ]; then
    mkdir -p "$cache/node"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$cache/node" \
      webgpu@0.6.2 bun-webgpu-linux-x64@0.1.7 playwright-core@1 >&2 ||
      echo "setup.sh: the JavaScript packages of WebGPU could not be installed" >&2
  fi
}

if ! command -v dpkg-query >/dev/null; then
  echo "setup.sh: this is not a Debian system; install the equivalents of: ${packages[*]}" >&2
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  if [ "${1:-build}" = test ]; then python_packages; webgpu_packages; fi
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || { echo "setup.sh: run as root once to install: ${missing[*]}" >&2; exit 1; }
  sudo=(sudo)
fi
echo "Installing: ${missing[*]}" >&2
"${sudo[@]}" apt-get update -qq >&2
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
if [ "${1:-build}" = test ]; then python_packages; webgpu_packages; fi
