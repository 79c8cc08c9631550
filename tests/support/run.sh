#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs test programs and scripts, some at a time, and sums them up.
# Usage: tests/support/run.sh PROGRAM...
#   PX_TEST_JOBS=N      so many at a time (default: one more than there are cores, since many of them wait; at most 4)
#   PX_TEST_LIMIT_S=N   a program that has not ended after so many seconds is stopped and has failed (900)
# A program passes when it exits 0; a CUnit program counts its tests, any other counts as one. A line
# `SKIP name: reason` counts as skipped, and a line `NOTE text` is shown. The exit status is 1 if anything failed or nothing ran.
# Inside tests/support/stack.sh every program gets an empty database and an empty Redis. With PX_TALLY=FILE the sums
# go there, one line "passed failed skipped", and the closing line is left to the caller.
set -u
limit_s=${PX_TEST_LIMIT_S:-900} cores=$(nproc)
jobs=${PX_TEST_JOBS:-$((cores < 3 ? cores + 1 : 4))}
GRACE_S=${PX_TEST_GRACE_S:-60} # to clean up in, once told to stop
passed=0 failed=0 skipped=0 broken=()
work=$(mktemp -d) || exit 1
declare -A number_of=() lane_of=() # by the process that runs a program
lanes=()
for ((i = 1; i <= jobs; i++)); do lanes+=("$i"); done
cleanup() {
  local pid
  trap - EXIT
  trap '' INT TERM
  for pid in "${!number_of[@]}"; do kill -TERM "$pid" 2>/dev/null; done
  wait
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Under CI a skip is a failure, unless the machine does not allow what the test needs (namespaces of its own, say).
unexpected_skip() { [ "${CI:-}" = true ] && grep '^SKIP ' "$1" | grep -qvF 'not allowed here'; }

# Settings of a service that the caller uses are nothing to the tests: they see where things are built, and their stack.
for name in ${!PROXACT_*}; do
  case $name in
    PROXACT_BUILD | PROXACT_DATA | PROXACT_FIRST_PORT) ;;
    PROXACT_VAR | PROXACT_DB_URL | PROXACT_REDIS_URL) [ -n "${PX_TEST_STACK:-}" ] || unset "$name" ;;
    *) unset "$name" ;;
  esac
done

stack_url=${PROXACT_DB_URL:-} stack_redis=${PROXACT_REDIS_URL:-}
# Programs of different lanes run at the same time: a lane has a database of each program, and one of Redis's databases.
fresh_stack() {
  [ -n "${PX_TEST_STACK:-}" ] || return 0
  local name
  name=t${2}_$(basename "$1" | tr -c 'a-z0-9\n' _)
  psql -XAtqc "drop database if exists $name with (force)" -c "create database $name template template0" "$stack_url" \
    2>/dev/null && redis-cli -s "${stack_redis#unix://}" -n "$2" flushdb >/dev/null || return 1
  export PROXACT_DB_URL=${stack_url/@\/proxact?/@\/$name?} PROXACT_REDIS_URL="$stack_redis?db=$2"
}

# What a stopped program has left in sessions of its own is known by its environment, which names this run and program.
end_left_overs() {
  local environ
  while IFS= read -r environ; do
    environ=${environ#/proc/}
    kill -KILL "${environ%/environ}" 2>/dev/null
  done < <(grep -lsz "^PX_TEST_RUN=$work/$1\$" /proc/[0-9]*/environ)
}

# run_one NUMBER LANE PROGRAM: its output goes to $work/NUMBER.log, its status and milliseconds to $work/NUMBER.end
run_one() {
  local start rc pid=""
  start=$(date +%s%N)
  trap '[ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null' TERM
  fresh_stack "$3" "$2" >"$work/$1.log" 2>&1 || { rc=1; echo "there is no fresh database" >>"$work/$1.log"; }
  if [ -z "${rc:-}" ]; then
    # timeout leads a process group, to which it sends the signal on.
    PX_TEST_RUN=$work/$1 timeout --kill-after="$GRACE_S" "$limit_s" "$3" >"$work/$1.log" 2>&1 </dev/null &
    pid=$!
    wait "$pid"
    rc=$?
    while kill -0 "$pid" 2>/dev/null; do wait "$pid"; rc=$?; done # a signal interrupts wait
  fi
  if [ "$rc" -eq 124 ] || [ "$rc" -eq 137 ]; then end_left_overs "$1"; fi
  echo "$rc $((($(date +%s%N) - start) / 1000000))" >"$work/$1.end"
}

# tell NUMBER PROGRAM: its line, and all it said if it failed
tell() {
  local log=$work/$1.log program=$2 rc ms counts ran ok bad skips
  read -r rc ms 2>/dev/null <"$work/$1.end" || { rc=1 ms=0; }
  # CUnit: "tests  12  12  12  0  0" = total, ran, passed, failed, inactive.
  counts=$(awk '$1 == "tests" && NF >= 6 { ran += $3; ok += $4; bad += $5 } END { print ran + 0, ok + 0, bad + 0 }' "$log")
  read -r ran ok bad <<<"$counts"
  skips=$(grep -c '^SKIP ' "$log")
  if [ "$ran" -eq 0 ]; then
    ran=1 ok=0 bad=0
    if [ "$rc" -ne 0 ]; then bad=1; elif [ "$skips" -eq 0 ]; then ok=1; fi
  elif [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ]; then
    bad=1 # a crash after the tests, a leak report
  fi
  if unexpected_skip "$log"; then bad=$((bad + 1)); fi
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skips))
  grep -E '^(SKIP|NOTE) ' "$log"
  if [ "$rc" -eq 0 ] && [ "$bad" -eq 0 ]; then
    printf 'ok   %-58s %4d tests %7d ms\n' "$program" "$ran" "$ms"
  else
    printf 'FAIL %-58s exit %d after %d ms\n' "$program" "$rc" "$ms"
    cat "$log"
    if [ "$ms" -ge $((limit_s * 1000)) ]; then echo "$program was stopped: it had not ended after $limit_s s (PX_TEST_LIMIT_S)"; fi
    broken+=("$program")
  fi
  rm -f "$work/$1".*
}

# await_one: until a program has ended, whose lane is free again then
await_one() {
  local pid
  wait -n -p pid "${!number_of[@]}"
  lanes+=("${lane_of[$pid]}")
  tell "${number_of[$pid]}" "${programs[number_of[$pid]]}"
  unset "number_of[$pid]" "lane_of[$pid]"
}
programs=("$@")
for ((n = 0; n < $#; n++)); do
  [ ${#lanes[@]} -gt 0 ] || await_one
  run_one "$n" "${lanes[0]}" "${programs[n]}" &
  number_of[$!]=$n lane_of[$!]=${lanes[0]}
  lanes=("${lanes[@]:1}")
done
while [ ${#number_of[@]} -gt 0 ]; do await_one; done

[ ${#broken[@]} -eq 0 ] || printf 'failed: %s\n' "${broken[@]}"
if [ -n "${PX_TALLY:-}" ]; then
  echo "$passed $failed $skipped" >>"$PX_TALLY"
else
  echo "$passed passed, $failed failed, $skipped skipped"
fi
[ "$failed" -eq 0 ] && [ ${#broken[@]} -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
