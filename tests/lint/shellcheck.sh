#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No finding of shellcheck in any shell script: .shellcheckrc says which of its checks are off, and why.
# Usage: tests/lint/shellcheck.sh [ROOT]
set -u
cd "${1:-$(dirname "$0")/../..}" || exit 2
mapfile -t scripts < <(find .ci deploy schema clients tests -name node_modules -prune -o -name '*.sh' -print -o -path '.ci/*' -print 2>/dev/null | sort)
[ "${#scripts[@]}" -gt 0 ] || { echo "no script was found"; exit 1; }
echo "NOTE shellcheck: ${#scripts[@]} scripts"
printf '%s\0' "${scripts[@]}" | xargs -0 -P2 -n 10 shellcheck -f gcc || exit 1
