#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every edit of tests/fault/mutants.list still finds its place, so that no safeguard is left untried unnoticed.
# Usage: tests/arch/mutants.sh [ROOT]
set -u
cd "${1:-$(dirname "$0")/../..}" || exit 2
n=0 failures=0
mutant() {
  local name=$1
  shift 2
  while [ $# -gt 0 ]; do
    n=$((n + 1))
    perl -0777 -ne "exit(($2) ? 0 : 1)" "$1" || { echo "$name: $1 has no place for $2"; failures=$((failures + 1)); }
    shift 2
  done
}
# shellcheck source=tests/fault/mutants.list
. tests/fault/mutants.list
[ "$n" -gt 40 ] || { echo "$n edits: the test looks in the wrong place"; exit 1; }
[ "$failures" -eq 0 ]
