#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No finding of gcc -fanalyzer in the folders that read what strangers send. In others gcc 12 says more that is false than
# true. Whether a value is set is left to -Wmaybe-uninitialized: the analyzer does not know how long an array of the caller's is.
# Usage: tests/lint/gcc_analyzer.sh [ROOT]
set -u
here=$(cd "$(dirname "$0")" && pwd)
flags=()
eval "flags=($(make -s -C "$here/../.." lint-flags))"
cd "${1:-$here/../..}" || exit 2
mapfile -t c < <(find lib/base lib/read server/http -name '*.c' 2>/dev/null | sort)
[ "${#c[@]}" -gt 0 ] || { echo "no source was found"; exit 1; }
echo "NOTE gcc -fanalyzer: ${#c[@]} files"
printf '%s\0' "${c[@]}" |
  xargs -0 -P2 -I '{}' gcc "${flags[@]}" -Wno-psabi -Werror -fanalyzer -Wno-analyzer-use-of-uninitialized-value -S -o /dev/null '{}' || exit 1
