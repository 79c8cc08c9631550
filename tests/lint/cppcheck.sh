#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No finding of cppcheck in any C file: cppcheck.suppressions says which of its checks are off, and why.
# Usage: tests/lint/cppcheck.sh [ROOT]
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "${1:-$here/../..}" || exit 2
mapfile -t c < <(find lib server worker clients tests -name '*.c' 2>/dev/null | sort)
[ "${#c[@]}" -gt 0 ] || { echo "no source was found"; exit 1; }
echo "NOTE cppcheck: ${#c[@]} files"
printf '%s\n' "${c[@]}" | cppcheck -j2 --quiet --file-list=- --error-exitcode=1 --std=c11 -I. -D_GNU_SOURCE --library="$here/cppcheck.cfg" \
  --enable=warning,performance,portability,style --inline-suppr --suppressions-list="$here/cppcheck.suppressions" \
  --template='{file}:{line}: {severity}: {message} [{id}]'
