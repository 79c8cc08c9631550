#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clocks an hour off: one worker's is an hour ahead, one's an hour behind, one's right, and the server's is an hour ahead, then
# behind. Nothing may change: leases and results, long polls, repeated requests, the expiry of uploads. Time is the database's.
set -u
cd "$(dirname "$0")/../.." || exit 2
[ -n "${PX_TEST_STACK:-}" ] || exec tests/support/stack.sh "$0" "$@"
# shellcheck source=tests/support/server.sh
. tests/support/server.sh
VARIANTS=2
root_build=$build
"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create clock) || exit 1
sql() { psql -XAtqc "$1" "$PROXACT_DB_URL"; }
stop_workers() { for file in "$work"/worker-*.pid; do [ ! -e "$file" ] || pid_stop "$file" TERM 30; done; }
on_end stop_workers

# server_off SECONDS [options]
server_off() {
  local s=$1
  shift
  mkdir -p "$work/bin"
  printf '#!/bin/sh\nexec env LD_PRELOAD="%s" PX_CLOCK_OFF_S=%d "%s/proxact-server" "$@"\n' "$root_build/tests/fault/clock.so" "$s" "$root_build" \
    >"$work/bin/proxact-server"
  chmod +x "$work/bin/proxact-server"
  build=$work/bin
  server_start "$@"
  export PROXACT_URL=$url PROXACT_TOKEN=$token
}
start_worker() { # NAME SECONDS
  spawn "$work/worker-$1.pid" "$work/worker-$1.log" env LD_PRELOAD="$root_build/tests/fault/clock.so" PX_CLOCK_OFF_S="$2" OMP_NUM_THREADS=1 \
    "$root_build/proxact-worker" --lease-ms=60000 --heartbeat-ms=500 --reap-ms=200 --poll-ms=100
}
worker_stop() { pid_stop "$work/worker-$1.pid" TERM 30; }
load() { "$root_build/tests/fault/tools/load" --history="$work/$1.history" --prefix="$1${2:-}" --sessions="$VARIANTS" --variants="$VARIANTS" --parallel=2; }
hours_off() { # LOG: by how many hours its last line is off
  local at
  at=$(sed -n 's/^time=\([^ ]*\) .*/\1/p' "$1" | tail -n 1)
  echo $(((($(date -d "$at" +%s) - $(date +%s)) + 5400 + 864000) / 3600 - 241))
}

server_off 0
for n in a b; do start_worker $n 0; done
ok "the quiet run" load quiet
for n in a b; do worker_stop $n; done
server_stop

server_off 3600 --upload-expires-s=2
start_worker ahead 3600
start_worker behind -3600
start_worker right 0
ok "with clocks an hour off everything succeeds" load off
ok "the clocks are off: server" same "$(hours_off "$work/server.log")" 1
ok "worker ahead" same "$(hours_off "$work/worker-ahead.log")" 1
ok "worker behind" same "$(hours_off "$work/worker-behind.log")" -1
ok "no lease was lost" same "$(sql 'select sum(lost_leases) from jobs')" 0
has_worked() { [ -n "$(sql "select 1 from job_events where to_state = 'running' and split_part(worker, ':', 2) = '$(pid_of "$work/worker-$1.pid")' limit 1")" ]; }
# One that the others have left nothing to does the work alone.
for n in ahead behind right; do has_worked $n || idle=$n; done
if [ -n "${idle:-}" ]; then
  for n in ahead behind right; do has_worked $n && worker_stop $n; done
  ok "idle ones have work of their own" load off again
fi
for n in ahead behind right; do [ ! -e "$work/worker-$n.pid" ] || ok "worker $n ran jobs" has_worked $n; done
for n in ahead behind right; do worker_stop $n; done

look() {
  local name=$1
  # A long poll on a job that nobody runs waits as long as it was asked to, and no longer.
  api POST /v1/datasets --json "{\"name\": \"poll-$name\", \"obs_dim\": 3, \"act_dim\": 2}" -H "Idempotency-Key: key-$name"
  is "server $name: a request with a key" 201
  local first
  first=$(field .id)
  api POST /v1/datasets --json "{\"name\": \"poll-$name\", \"obs_dim\": 3, \"act_dim\": 2}" -H "Idempotency-Key: key-$name"
  is "server $name: its repeat gets the first answer" 201 ".id == \"$first\""
  ok "server $name: and says so" same "$(header idempotent-replayed)" true
  sql "insert into jobs (id, kind, name, spec, state, run_after) values ('job_poll$name', 'report', 'waits', '{}', 'ready', clock_timestamp() + interval '1 day')"
  api GET "/v1/jobs/job_poll$name"
  local tag before
  tag=$(header etag) before=$(date +%s%N)
  api GET "/v1/jobs/job_poll$name?wait=1s" -H "If-None-Match: $tag"
  is "server $name: a long poll ends" 304
  ok "server $name: after the time it was asked for" test $((($(date +%s%N) - before) / 1000000)) -ge 950
  sql "delete from jobs where id = 'job_poll$name'"
  # An upload in parts lives as long as it may, by the database's clock.
  api POST /v1/uploads -H 'Tus-Resumable: 1.0.0' -H 'Upload-Length: 10' -H "Upload-Metadata: dataset $(printf %s "poll-$name" | base64),filename $(printf t.jsonl | base64)"
  is "server $name: an upload begins" 201
  local up said
  up=$(header location) said=$(date -d "$(header upload-expires)" +%s)
  ok "server $name: it tells when it expires, by the database's clock" test $((said - $(date +%s))) -le 3 -a $((said - $(date +%s))) -ge -20
  gone() { api GET "$up" && [ "$status" = 404 ]; }
  ok "server $name: and is gone then" wait_until 20 gone
}
look ahead
server_stop
server_off -3600 --upload-expires-s=2
ok "the server's clock is behind" same "$(hours_off "$work/server.log")" -1
look behind
ok "nothing is lost, the bytes are those of the quiet run" "$root_build/tests/fault/tools/verify_history" --quiet="$work/quiet.history" --storm="$work/off.history"
tail -n 1 "$work/out"
finish
