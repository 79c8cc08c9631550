#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No finding of clang-tidy in any C file: .clang-tidy says which of its checks are off, and why. With FULL=1 clang's
# analyzer looks too, which takes minutes more.
# Usage: tests/lint/clang_tidy.sh [ROOT]
set -u
here=$(cd "$(dirname "$0")" && pwd)
flags=()
eval "flags=($(make -s -C "$here/../.." lint-flags))"
cd "${1:-$here/../..}" || exit 2
mapfile -t c < <(find lib server worker clients tests -name '*.c' 2>/dev/null | sort)
[ "${#c[@]}" -gt 0 ] || { echo "no source was found"; exit 1; }
echo "NOTE clang-tidy${FULL:+ with the analyzer}: ${#c[@]} files"
# It counts what it does not show on stderr; a line there that is no count is an error.
printf '%s\0' "${c[@]}" | xargs -0 -P2 -n 6 sh -c '
  checks=$1 flags=$2; shift 2; eval "set -- \"\$@\" -- $flags"
  clang-tidy --quiet --checks="$checks" "$@" 2>&1' clang-tidy "${FULL:+clang-analyzer-*}" "${flags[*]@Q}" |
  grep -vE '^[0-9]+ warnings? (generated|treated)|^$'
[ "${PIPESTATUS[1]}" -eq 0 ]
