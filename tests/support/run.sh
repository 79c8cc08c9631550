#!/bin/bash
# Runs test programs and scripts one after another and sums them up.
# Usage: tests/support/run.sh PROGRAM...
# A program passes when it exits 0. The closing line counts the CUnit tests and
# the scripts that ran; the exit status is 1 if anything failed or nothing ran.
set -u
passed=0 failed=0 skipped=0 broken=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program in "$@"; do
  start=$(date +%s%N)
  "$program" >"$log" 2>&1
  rc=$?
  ms=$((($(date +%s%N) - start) / 1000000))
  # CUnit: "tests  12  12  12  0  0" = total, ran, passed, failed, inactive.
  counts=$(awk '$1 == "tests" && NF >= 6 { ran += $3; ok += $4; bad += $5 } END { print ran + 0, ok + 0, bad + 0 }' "$log")
  read -r ran ok bad <<<"$counts"
  if [ "$ran" -eq 0 ]; then
    ran=1; [ $rc -eq 0 ] && ok=1 bad=0 || { ok=0; bad=1; }
  elif [ $rc -ne 0 ] && [ "$bad" -eq 0 ]; then
    bad=1 # a crash after the tests, a leak report
  fi
  passed=$((passed + ok)) failed=$((failed + bad))
  skipped=$((skipped + $(grep -c '^SKIP ' "$log")))
  grep '^SKIP ' "$log"
  if [ $rc -eq 0 ] && [ "$bad" -eq 0 ]; then
    printf 'ok   %-58s %4d tests %7d ms\n' "$program" "$ran" "$ms"
  else
    printf 'FAIL %-58s exit %d\n' "$program" "$rc"
    cat "$log"
    broken+=("$program")
  fi
done
[ ${#broken[@]} -eq 0 ] || printf 'failed: %s\n' "${broken[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ ${#broken[@]} -eq 0 ] && [ "$passed" -gt 0 ]
