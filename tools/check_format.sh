#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every C file is as clang-format would write it. `tools/check_format.sh --fix` rewrites them.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(find src include tests bench examples -name '*.[ch]' | sort)
if [ "${1:-}" = --fix ]; then clang-format -i "${files[@]}"; else clang-format --dry-run -Werror "${files[@]}"; fi
