#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Redis with a replica and a sentinel: the master is killed, and wake-ups go to the one that takes its place. With all of
# it gone work goes on, and Redis is left alone but for a try now and then, which /metrics tell.
set -u
# shellcheck source=tests/fault/lib/hosts.sh
. "$(dirname "$0")/lib/hosts.sh"

redis_start() {
  local name=$1 tries
  shift
  mkdir -p "$work/$name"
  # A port that was free may have been taken by another test meanwhile: then it ends at once, and tries another.
  for tries in 1 2 3 4 5; do
    port[$name]=$(free_port $((22000 + RANDOM % 6000)))
    spawn "$work/$name.pid" "$work/log/$name.log" redis-server "$@" --port "${port[$name]}" --bind 127.0.0.1 --dir "$work/$name" --save '' --appendonly no
    wait_until 20 redis_settled "$name"
    if is_running "$name" && redis_answers "$name"; then return 0; fi
    echo "try $tries: no Redis at port ${port[$name]}"
  done
  return 1
}
redis_settled() { redis_answers "$1" || ! is_running "$1"; }
redis() { redis-cli -p "${port[$1]}" "${@:2}" 2>/dev/null; }
redis_answers() { [ "$(redis "$1" ping)" = PONG ]; }
must redis_start red
must redis_start blue --replicaof 127.0.0.1 "${port[red]}"
in_step() { redis blue info replication | grep -q 'master_link_status:up'; }
must wait_until 30 in_step
port[sentinel]=$(free_port $((28000 + RANDOM % 2000)))
mkdir -p "$work/sentinel"
cat >"$work/sentinel/conf" <<END
port ${port[sentinel]}
bind 127.0.0.1
dir $work/sentinel
sentinel monitor px 127.0.0.1 ${port[red]} 1
sentinel down-after-milliseconds px 500
sentinel failover-timeout px 5000
END
spawn "$work/sentinel.pid" "$work/log/sentinel.log" redis-server "$work/sentinel/conf" --sentinel
knows() { redis sentinel sentinel replicas px | grep -q "${port[blue]}"; }
must wait_until 60 knows

must pg_new one
PROXACT_DB_URL=$(pg_url one)
# The first sentinel is not there.
PROXACT_REDIS_URL=redis+sentinel://127.0.0.1:1,127.0.0.1:${port[sentinel]}/px/3
export PROXACT_DB_URL PROXACT_REDIS_URL
must service_prepare
must server_start server
must worker_start worker-1 --poll-ms=60000 --reap-ms=600000 # only a wake-up makes it look
must make_data
metric() { api GET /metrics | sed -n "s/^proxact_redis_$1 //p"; }
listens_at() { redis "$1" client list | grep -q 'cmd=brpop'; }
ok "a worker waits at the master" wait_until 30 listens_at red
# A hint may be lost, and then the next one comes; without any this worker would sleep for a minute.
job=$(train 20)
woken() { [ "$(job_field "$job" .state)" != queued ] || { train 20 >/dev/null; false; }; }
ok "and is woken there" wait_until 30 woken
ok "the breaker is closed" wait_until 10 same "$(metric breaker_open)" 0

end red KILL
blue_is_master() { [ "$(redis blue role | head -n 1)" = master ]; }
ok "the replica takes the master's place" wait_until 60 blue_is_master
ok "the worker waits there" wait_until 60 listens_at blue
mended() { [ "$(metric breaker_open)" = 0 ]; }
ok "so does the server" wait_until 60 mended
wait_until 60 job_has_ended "$job"
job=$(train 20)
ok "and is woken there too" wait_until 60 woken
ok "that Redis failed is counted" test "$(metric failures_total)" -gt 0

end sentinel KILL
end blue KILL
gone() { [ "$(metric breaker_open)" -ge 1 ]; }
ok "with all of it gone the breaker opens" wait_until 30 gone
end worker-1
must worker_start worker-2
tries=$(metric failures_total) since=$SECONDS
job=$(train 300)
ok "and work goes on" wait_until 60 job_is "$job" succeeded
for seed in 1 2 3; do
  job=$(train 20 "$seed")
  wait_until 60 job_is "$job" succeeded
done
# Three connections of the server: requests, waiting clients, and the look that /readyz tells.
more=$(($(metric failures_total) - tries)) most=$((3 * (SECONDS - since + 2)))
say "  Redis was tried $more times in $((SECONDS - since)) s, and left alone $(metric skipped_total) times"
ok "Redis is tried at most once a second over each connection" test "$more" -le "$most"
finish
