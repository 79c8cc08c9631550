#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A storm: a quiet run, the same work under faults, and the comparison. The last line is check's; its status is this one's.
# Usage: tests/fault/storm.sh [FAULTS [SEED]]
#   FAULTS   how many faults (default 60); one comes every 340 ms
#   SEED     of the schedule (default: from the clock); the same seed gives the same schedule
#   WORKERS=N (3)  PARALLEL=N users at a time (4)  KEEP=1 keeps the folder with logs, histories and database
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit 2
build=${PROXACT_BUILD:-$root/build}
faults=${1:-60} seed=${2:-$(date +%s)}
variants=4
mean_gap_ms=340 # of lib/schedule.c
# The storm's clients go on as long as it does.
seconds=$((faults * mean_gap_ms / 1000 + 1))

work=$(mktemp -d "${TMPDIR:-/tmp}/proxact-storm-XXXXXX") || exit 1
chmod 755 "$work"
export PROXACT_VAR=$work PROXACT_BUILD=$build
cleanup() {
  [ -z "${nemesis:-}" ] || { kill "$nemesis" 2>/dev/null && wait "$nemesis"; }
  if [ -n "${KEEP:-}" ]; then
    deploy/stack.sh stop
    echo "kept: $work (PROXACT_VAR=$work deploy/stack.sh start | destroy)"
  else
    deploy/stack.sh destroy
    rm -rf "$work"
  fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Not a throw-away stack: what was acknowledged has to outlast an immediate stop.
deploy/stack.sh start || exit 1
eval "$(deploy/stack.sh env)"
# check compares when rows were committed; a start is what it takes to switch that on.
psql -XAtqc 'alter system set track_commit_timestamp = on' "$PROXACT_DB_URL" && deploy/stack.sh stop && deploy/stack.sh start || exit 1
"$build/proxact-server" migrate >"$work/log/migrate.log" || exit 1
PROXACT_TOKEN=$("$build/proxact-server" token create storm) || exit 1
export PROXACT_TOKEN

# under FAULTS COMMAND...: runs it against the service; its status
under() {
  local n=$1
  shift
  "$build/tests/fault/tools/nemesis" --seed="$seed" --faults="$n" --workers="${WORKERS:-3}" -- "$@" &
  nemesis=$!
  wait "$nemesis"
  local rc=$?
  nemesis=""
  return $rc
}

echo "seed=$seed faults=$faults seconds=$seconds"
under 0 "$build/tests/fault/tools/load" --history="$work/quiet.history" --prefix=quiet --sessions=$variants --variants=$variants \
  --parallel=2 || { echo "the quiet run failed"; tail -n 5 "$work"/log/server-1.*.log "$work"/log/worker-1.*.log "$work/quiet.history"; exit 1; }
under "$faults" "$build/tests/fault/tools/load" --history="$work/storm.history" --prefix=storm --seconds="$seconds" \
  --variants=$variants --parallel="${PARALLEL:-4}"
stormed=$?
mv "$work/asked.log" "$work/storm.asked"
under 0 "$build/tests/fault/tools/verify_history" --quiet="$work/quiet.history" --storm="$work/storm.history" --faults="$work/faults.log" \
  --asked="$work/storm.asked" \
  --seed="$seed" >"$work/verdict"
checked=$?
[ $stormed -eq 0 ] || echo "not every session came to its end"
cat "$work/verdict"
[ $stormed -eq 0 ] && [ $checked -eq 0 ]
