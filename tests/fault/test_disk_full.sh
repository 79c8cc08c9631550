#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Full disks, one after another: PostgreSQL's data, its WAL, the server's spool, the workers' temporary files. While uploads
# (whole and in parts), trainings with checkpoints, labellings and exports go on, the volume gets no byte more than it has,
# until that was felt; then there is room again, and everything has to go on by itself. The last line is check's.
# PostgreSQL stops when its WAL cannot grow (it panics) and is started again by its manager, as any service manager would;
# server and workers are the same processes from begin to end.
#   ROUNDS=N   times that each volume is filled (1)     HOLD_S=N   how long it stays so once it was felt (1)
set -u
cd "$(dirname "$0")/../.." || exit 2
apart=(unshare -m)
[ "$(id -u)" = 0 ] || apart=(unshare -Um --map-current-user --keep-caps)
if [ -z "${PX_APART:-}" ]; then
  # A mount namespace of its own: nothing that is mounted outlives this.
  "${apart[@]}" sh -c 'd=$(mktemp -d) && mount -t tmpfs -o size=1m full "$d" && umount "$d" && rmdir "$d"' 2>/dev/null ||
    { echo "SKIP disk_full: mounting a tmpfs in a namespace of one's own is not allowed here"; exit 0; }
  PX_APART=1 exec "${apart[@]}" "$0" "$@"
fi
# shellcheck source=tests/support/server.sh
. tests/support/server.sh
export PROXACT_VAR=$work/var PROXACT_BUILD=$build
ROOMY=2g WORKERS=2 VARIANTS=4
chmod 755 "$work"

# --- PostgreSQL, with data and WAL on volumes of their own, and whoever starts it again when it has ended
manage() {
  until [ -e "$work/stop-managing" ]; do
    pid_of "$PROXACT_VAR/postgres.pid" >/dev/null || { date >>"$work/restarts"; deploy/stack.sh start >>"$work/manager.log" 2>&1; }
    sleep 0.1
  done
}
volume() { # NAME: a folder in memory, which takes the place of what is there
  mv "$1" "$1.disk" && mkdir "$1" && chmod --reference="$1.disk" "$1" && mount -t tmpfs -o size=$ROOMY full "$1" &&
    chmod --reference="$1.disk" "$1" && chown --reference="$1.disk" "$1" && cp -a "$1.disk/." "$1" && rm -rf "$1.disk"
}
start_postgres() {
  deploy/stack.sh start && eval "$(deploy/stack.sh env)" && deploy/stack.sh stop || exit 1
  home=${PROXACT_DB_URL#*host=} home=${home%/run}
  volume "$home/pg" && mv "$home/pg/pg_wal" "$home/wal" && volume "$home/wal" && ln -s "$home/wal" "$home/pg/pg_wal" || exit 1
  deploy/stack.sh start || exit 1
  manage &
  manager=$!
}
end() {
  touch "$work/stop" "$work/stop-managing"
  for pid in ${manager:-} ${users:-} ${uploads:-}; do wait "$pid"; done
  for n in $(seq "$WORKERS"); do pid_stop "$work/worker-$n.pid" TERM 30; done
  server_stop
  deploy/stack.sh stop
  umount "$home/wal" "$home/pg" "$work/spool" "$work/scratch"
  rm -rf "$home/wal"
  deploy/stack.sh destroy
}
on_end end

# --- the service
start_workers() {
  for n in $(seq "$WORKERS"); do
    spawn "$work/worker-$n.pid" "$work/worker-$n.log" env OMP_NUM_THREADS=1 TMPDIR="$work/scratch" "$build/proxact-worker" \
      --lease-ms=5000 --heartbeat-ms=500 --reap-ms=300 --poll-ms=200 --checkpoint-ms=200
  done
}
still_there() { # the very processes that were started
  server_pid >/dev/null || return 1
  for n in $(seq "$WORKERS"); do pid_of "$work/worker-$n.pid" >/dev/null || return 1; done
}
use() { # until told to stop
  for ((round = 0; ; round++)); do
    "$build/tests/fault/tools/load" --history="$work/full.history" --prefix="full$round" --sessions=$VARIANTS --variants=$VARIANTS \
      --parallel=2 >>"$work/load.log" || return 1
    [ ! -e "$work/stop" ] || return 0
  done
}

# --- filling and freeing
sql() { psql -XAtqc "$1" "$PROXACT_DB_URL" 2>/dev/null; }
# No page more than it has, also when something of it is removed. (A tmpfs of size 0 would have no bound.)
fill() {
  local used
  until [ -e "$work/free" ]; do
    used=$(df --output=used -B4096 "$1" | tail -n 1)
    mount -o "remount,size=$(((used > 0 ? used : 1) * 4096))" "$1" 2>/dev/null
    sleep 0.02
  done
}
lines() { grep -c "$1" "$work/full.history"; }
refusals() { lines '"outcome": *"refused"'; }
acks() { lines '"op": *"\(upload.[0-9]*\|part.[0-9]*\)".*"outcome": *"acked"'; }
jobs_that_felt() { sql "select count(*) from job_events where reason = 'no_space'"; }
restarts() { [ ! -e "$work/restarts" ] || wc -l <"$work/restarts"; }
more_than() { local n; n=$("$1") && [ "${n:-0}" -gt "$2" ]; }
ms() { echo $(($(date +%s%N) / 1000000)); }

# full NAME FOLDER SIGN: SIGN counts what shows that it was felt
full() {
  local name=$1 folder=$2 sign=$3 before refused acked again
  before=$("$sign") refused=$(refusals)
  rm -f "$work/free"
  fill "$folder" & local filler=$!
  [ "$sign" != restarts ] || sql 'select pg_switch_wal()' >/dev/null
  ok "$name: that it is full is felt" wait_until 60 more_than "$sign" "${before:-0}"
  sleep "$HOLD_S"
  touch "$work/free"
  wait "$filler"
  refused=$(($(refusals) - refused)) acked=$(acks) again=$(ms)
  mount -o "remount,size=$ROOMY" "$folder"
  ok "$name: with room again uploads are taken" wait_until 60 more_than acks "$acked"
  echo "$name: $refused requests refused while it was full; the first one taken $(($(ms) - again)) ms after it was freed"
}
ROUNDS=${ROUNDS:-1} HOLD_S=${HOLD_S:-1}

start_postgres
"$build/proxact-server" migrate >"$work/out" || exit 1
mkdir "$work/scratch"
for folder in spool scratch; do mount -t tmpfs -o size=$ROOMY full "$work/$folder" || exit 1; done
token=$("$build/proxact-server" token create full) || exit 1
server_start --free-floor-bytes=1
start_workers
export PROXACT_URL=$url PROXACT_TOKEN=$token
"$build/tests/fault/tools/load" --history="$work/quiet.history" --prefix=quiet --sessions=$VARIANTS --variants=$VARIANTS --parallel=2 || exit 1

touch "$work/full.history"
use & users=$!
tests/fault/tools/bulk.py "$work/full.history" "$work/stop" & uploads=$!
ok "users are at work" wait_until 60 more_than acks 3
for ((i = 0; i < ROUNDS; i++)); do
  full data "$home/pg" refusals
  full wal "$home/wal" restarts
  full spool "$work/spool" refusals
  full scratch "$work/scratch" jobs_that_felt
done
touch "$work/stop"
ok "users came to their end" wait "$users"
ok "uploads came to their end" wait "$uploads"
users="" uploads=""
ok "server and workers are the same processes" still_there
answers() { jq -r 'select(.outcome != "acked" and .op != "done") | "\(.session | sub("[0-9-]*$"; "")) \(.op | sub("[.].*"; "")) \(.outcome) \(.http) \(.code // "")"' "$work/full.history" | sort | uniq -c; }
echo "what clients were told that was no success:"; answers
lies() { jq -e -s 'map(select(.outcome == "refused") | .http) - [500, 503, 507] | length == 0' "$work/full.history"; }
ok "nobody was told anything else than that it cannot be done now" lies
echo "PostgreSQL was started again $(restarts) times; jobs that failed for want of room: $(jobs_that_felt)"
ok "nothing acknowledged is lost, nothing is there twice or half" "$build/tests/fault/tools/verify_history" --quiet="$work/quiet.history" --storm="$work/full.history"
cat "$work/out"
finish
