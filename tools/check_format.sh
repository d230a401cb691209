#!/usr/bin/env bash
# Fails when a source file is not as clang-format leaves it; `make format` mends it.
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files --cached --others --exclude-standard '*.h' '*.cpp' | xargs clang-format-19 --dry-run -Werror
