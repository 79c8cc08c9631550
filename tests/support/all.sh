#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs test tiers, each a make target, all of them even when one fails, and closes with the sum of all.
# Usage: tests/support/all.sh TARGET...
set -u
cd "$(dirname "$0")/../.." || exit 2
PX_TALLY=$(mktemp)
export PX_TALLY
trap 'rm -f "$PX_TALLY"' EXIT
broken=()
for tier in "$@"; do
  echo "== $tier"
  before=$(wc -l <"$PX_TALLY")
  start=$SECONDS
  "${MAKE:-make}" --no-print-directory "$tier" || broken+=("$tier")
  # A tier that did not come as far as its tests (it does not link, say) is a failure of its own.
  [ "$(wc -l <"$PX_TALLY")" -gt "$before" ] || echo "0 1 0" >>"$PX_TALLY"
  echo "== $tier: $((SECONDS - start)) s"
done
[ ${#broken[@]} -eq 0 ] || printf 'failed tier: %s\n' "${broken[@]}"
awk '{ passed += $1; failed += $2; skipped += $3 }
  END { print passed + 0 " passed, " failed + 0 " failed, " skipped + 0 " skipped"; exit failed > 0 || passed == 0 }' "$PX_TALLY" &&
  [ ${#broken[@]} -eq 0 ]
