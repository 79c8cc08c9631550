#!/bin/bash
# Runs test programs and scripts one after another and sums them up.
# Usage: tests/support/run.sh PROGRAM...
# A program passes when it exits 0; a CUnit program counts its tests, any other counts as one. A line
# `SKIP name: reason` counts as skipped. The exit status is 1 if anything failed or nothing ran.
# Inside tests/support/stack.sh every program gets an empty database and an empty Redis. With PX_TALLY=FILE the sums
# go there, one line "passed failed skipped", and the closing line is left to the caller.
set -u
passed=0 failed=0 skipped=0 broken=()
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Under CI a skip is a failure, unless it names the folder of real data, which is not part of the project, and that
# folder is absent, or says that the machine does not allow it (a container without namespaces of its own).
data=${PROXACT_DATA:-../shared/data}
unexpected_skip() {
  [ "${CI:-}" = true ] || return 1
  local known=(-e 'not allowed here')
  [ -d "$data" ] || known+=(-e "$data" -e PROXACT_DATA)
  grep '^SKIP ' "$log" | grep -qvF "${known[@]}"
}

stack_url=${PROXACT_DB_URL:-}
fresh_database() {
  [ -n "${PX_TEST_STACK:-}" ] || return 0
  local name
  name=t_$(basename "$1" | tr -c 'a-z0-9\n' _)
  psql -XAtqc "drop database if exists $name with (force)" -c "create database $name template template0" "$stack_url" \
    2>/dev/null && redis-cli -s "${PROXACT_REDIS_URL#unix://}" flushall >/dev/null || return 1
  PROXACT_DB_URL=${stack_url/@\/proxact?/@\/$name?}
}

for program in "$@"; do
  start=$(date +%s%N)
  fresh_database "$program" >"$log" 2>&1 && "$program" >"$log" 2>&1
  rc=$?
  ms=$((($(date +%s%N) - start) / 1000000))
  # CUnit: "tests  12  12  12  0  0" = total, ran, passed, failed, inactive.
  counts=$(awk '$1 == "tests" && NF >= 6 { ran += $3; ok += $4; bad += $5 } END { print ran + 0, ok + 0, bad + 0 }' "$log")
  read -r ran ok bad <<<"$counts"
  skips=$(grep -c '^SKIP ' "$log")
  if [ "$ran" -eq 0 ]; then
    ran=1 ok=0 bad=0
    if [ $rc -ne 0 ]; then bad=1; elif [ "$skips" -eq 0 ]; then ok=1; fi
  elif [ $rc -ne 0 ] && [ "$bad" -eq 0 ]; then
    bad=1 # a crash after the tests, a leak report
  fi
  if unexpected_skip; then bad=$((bad + 1)); fi
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skips))
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
if [ -n "${PX_TALLY:-}" ]; then
  echo "$passed $failed $skipped" >>"$PX_TALLY"
else
  echo "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" -eq 0 ] && [ ${#broken[@]} -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
