#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Three hosts, each a network namespace: the database and the server on one, a worker on each of the others. The network
# between one worker and the database stops carrying anything: its job runs elsewhere. When it is mended, nothing of what
# was computed behind the partition is written, and that worker goes on with new work.
set -u
here_we_are=px$$
if [ "$(id -u)" -ne 0 ] || ! command -v ip >/dev/null || ! ip netns add "$here_we_are-hub" 2>/dev/null; then
  echo "SKIP partition: network namespaces are not allowed here"
  exit 0
fi
# shellcheck source=tests/fault/lib/hosts.sh
. "$(dirname "$0")/lib/hosts.sh"
net_cleanup() {
  hosts_cleanup
  local name
  for name in hub db w1 w2; do ip netns del "$here_we_are-$name" 2>/dev/null; done
}
at_end=(net_cleanup)

# host NAME ADDRESS: joined to the hub's bridge by a cable, whose other end is called NAME.
host() {
  ip netns add "$here_we_are-$1" && ip -n "$here_we_are-$1" link set lo up &&
    ip link add eth0 netns "$here_we_are-$1" type veth peer name "$1" netns "$here_we_are-hub" &&
    ip -n "$here_we_are-hub" link set "$1" master bridge up && ip -n "$here_we_are-$1" addr add "$2/24" dev eth0 &&
    ip -n "$here_we_are-$1" link set eth0 up
}
on() { here=(ip netns exec "$here_we_are-$1"); }
build_network() { ip -n "$here_we_are-hub" link add bridge type bridge && ip -n "$here_we_are-hub" link set bridge up &&
  host db 10.77.0.1 && host w1 10.77.0.2 && host w2 10.77.0.3; }
if ! build_network >"$work/out" 2>&1; then
  echo "SKIP partition: network namespaces are not allowed here ($(head -n 1 "$work/out"))"
  exit 0
fi
# Nothing passes, and nobody is told: the cable is plugged out of the bridge at the far end.
cut_off() { ip -n "$here_we_are-hub" link set "$1" nomaster; }
mend() { ip -n "$here_we_are-hub" link set "$1" master bridge; }

must pg_new one
pg_end one
echo 'host all all 10.77.0.0/24 trust' >>"$work/one.pg/data/pg_hba.conf"
on db
must pg_start one -c listen_addresses=10.77.0.1
PROXACT_DB_URL=$(pg_url one)
export PROXACT_DB_URL
must service_prepare
must server_start server
must make_data
export PROXACT_DB_URL=postgresql://proxact@10.77.0.1/proxact
on w1
must worker_start one-worker --lease-ms=3000
on db
kept() { [ "$(sql one "select count(*) from job_metrics where job_id = '$job'")" -gt 0 ]; }
# Stops the process that trains once something of its work is kept, so that it cannot have ended before it is cut off.
caught() {
  child=$(pgrep -P "$(pid_of "$work/one-worker.pid")") && kill -STOP "$child" 2>/dev/null || return 1
  until kept; do
    kill -CONT "$child" 2>/dev/null
    sleep 0.05
    kill -STOP "$child" 2>/dev/null || return 1
    job_is "$job" running || return 1
  done
}
# A machine may be so fast that a training ends before it is caught: then one twice as long.
for steps in 50000 100000 200000 400000 800000; do
  quiet=$(train $steps)
  ok "undisturbed work ends" wait_until 120 job_is "$quiet" succeeded
  job=$(train $steps)
  must wait_until 60 job_is "$job" running
  if caught; then break; fi
done
on w2
must worker_start other-worker --lease-ms=3000
on db
epoch=$(sql one "select epoch from jobs where id = '$job'")
must job_is "$job" running
cut_off w1
must kill -CONT "$child"
elsewhere() { [ "$(sql one "select epoch from jobs where id = '$job'")" -gt "$epoch" ]; }
since=$SECONDS
ok "the job runs elsewhere after its lease" wait_until 60 elsewhere
say "  after $((SECONDS - since)) s; its lease is 3 s"
written() {
  sql one "select (select count(*) from job_metrics where job_id = '$job' and epoch = $epoch),
    (select count(*) from job_checkpoints where job_id = '$job' and epoch = $epoch)"
}
before=$(written)
mend w1
noticed() { grep -q 'event=job_lost' "$work/log/one-worker.log"; }
ok "behind the partition, mended, that is noticed" wait_until 60 noticed
ok "the job ends elsewhere" wait_until 120 job_is "$job" succeeded
ok "nothing was written under the lost epoch" same "$(written)" "$before"
ok "the result is of the other epoch" test "$(sql one "select epoch from models where job_id = '$job'")" -gt "$epoch"
ok "with the same weights" same "$(weights_digest "$job")" "$(weights_digest "$quiet")"
end other-worker
job=$(train 200 7)
ok "the worker that was cut off goes on with new work" wait_until 60 job_is "$job" succeeded
finish
