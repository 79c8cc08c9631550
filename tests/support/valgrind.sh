#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs test programs under valgrind, one after another: an error of memory or a definite leak fails. The status is 1 then.
# Usage: tests/support/valgrind.sh PROGRAM...
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program in "$@"; do
  if valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite "$program" >"$log" 2>&1; then
    printf 'ok   valgrind %s\n' "$program"
  else
    printf 'FAIL valgrind %s\n' "$program"
    tail -n 60 "$log"
    failed=1
  fi
done
exit $failed
