#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# C files are as `make format` leaves them, no line of them has over 100 columns, and every source names its licence.
# Usage: tests/arch/format.sh [ROOT]
set -u
cd "${1:-$(dirname "$0")/../..}" || exit 2
failures=0
mapfile -t c < <(find lib server worker clients tests -name '*.[ch]' | sort)
mapfile -t scripts < <(find lib server worker clients tests deploy schema -name '*.sh' -o -name '*.py' | sort)
[ "${#c[@]}" -gt 0 ] || { echo "no source was found"; exit 1; }
grep -nE '^.{101,}' "${c[@]}" && { echo "over 100 columns"; failures=1; }
grep -L 'SPDX-License-Identifier: Apache-2.0' "${c[@]}" "${scripts[@]}" | grep . && { echo "no SPDX tag"; failures=1; }
if [ -f .clang-format ]; then
  printf '%s\0' "${c[@]}" | xargs -0 -P2 -n 40 clang-format --dry-run -Werror 2>&1 | grep -E 'error:|not found' | head -20 | grep . &&
    { echo "make format mends this"; failures=1; }
fi
exit $failures
