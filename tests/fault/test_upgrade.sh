#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A rolling upgrade under load: a build with one more migration, made in a copy of the sources, takes the place of the
# present one, server by server and worker by worker. No request fails, and no job loses an attempt.
# Usage: tests/fault/test_upgrade.sh [ROUNDS]   further ones go back to the build of before and forth again (make drill)
set -u
# shellcheck source=tests/fault/lib/hosts.sh
. "$(dirname "$0")/lib/hosts.sh"

# --- the next build
name=$(basename "$build") next=$work/next/$name san=${name#build}
mkdir -p "$next"
cp -a "$root"/{Makefile,mk,lib,server,worker,clients,schema,migrations} "$work/next/" || exit 1
cp -a "$build"/{gen,lib,server,worker,libproxact.a,libserver.a,libworker.a} "$next/" || exit 1
head=$(basename -a "$root"/migrations/*.sql | tail -n 1 | sed 's/^0*\([0-9]*\)_.*/\1/')
printf -- "-- serves: %d\nalter table jobs add column note text;\ncomment on column jobs.note is 'Something later';\n" "$head" \
  >"$work/next/migrations/$(printf %04d $((head + 1)))_next.sql"
echo "comment on function new_id is 'Something later';" >>"$work/next/schema/functions/base.sql"
sed -i 's/PX_KIND(TRAIN_IDM, train_idm, 1,/PX_KIND(TRAIN_IDM, train_idm, 2,/' "$work/next/schema/kinds.def"
must grep -q 'train_idm, 2,' "$work/next/schema/kinds.def"
must make -s -C "$work/next" SAN="${san#-}" "$name/proxact-server" "$name/proxact-worker"

must pg_new one
PROXACT_DB_URL=$(pg_url one)
export PROXACT_DB_URL
must service_prepare
ok "the next build does not serve before its migration" grep -q "needs $((head + 1))" <("$next/proxact-server" serve --listen=127.0.0.1:0 2>&1)
ok "nor does its worker start" grep -q "needs $((head + 1))" <("$next/proxact-worker" 2>&1)

must server_start a
must server_start b
must worker_start worker-1
must worker_start worker-2
must make_data
quiet=$(train 1000)
must wait_until 120 job_is "$quiet" succeeded
must train 10000 >/dev/null # one that is running whenever a worker goes
for seed in 0 1 2 3 4 5 6 7; do train 1000 "$seed" >/dev/null; done
follow_begin 4 a b
acked() { wc -l <"$work/acked" 2>/dev/null; }
more() { [ "$(acked)" -gt "$1" ]; }
# Some more requests are answered.
goes_on() { wait_until 60 more $(($(acked) + 20)); }
must goes_on
busy() { [ -n "$(sql one "select id from jobs where state = 'running' and lease_owner like '%:$(pid_of "$work/$1.pid"):%'")" ]; }
open_jobs() { sql one "select count(*) from jobs where state in ('ready', 'running')"; }
# Two at a time, until this worker has one.
made_busy() { busy "$1" || { [ "$(open_jobs)" -ge 2 ] || train 40000 "$RANDOM" >/dev/null; false; }; }

ok "the migration is applied under load" "$next/proxact-server" migrate
ok "the servers of before are ready with it" server_ready "${port[a]}"
ok "and serve" goes_on
later() { [ "$(sql one "select obj_description('new_id'::regproc)")" = "Something later" ]; }
ok "the functions are those of the next build" later
ok "the build of before has nothing to migrate" grep -q '0 migrations applied, 0 files' <("$build/proxact-server" migrate)
ok "and leaves them" later
for ((i = 0; i < 5; i++)); do
  sql one "update schema_functions set sha256 = 'x' where name = 'jobs'"
  ok "functions are replaced under load" grep -q '1 file of functions changed' <("$next/proxact-server" migrate)
  must goes_on
done
for ((round = 0; round < ${1:-1}; round++)); do
  case $((round % 2)) in 0) generation=$next ;; *) generation=$build ;; esac
  server=$generation/proxact-server worker=$generation/proxact-worker
  for host in a b; do
    ok "server $host drains" end "$host"
    ok "the other one serves alone" goes_on
    ok "another build takes its place" server_start "$host"
    ok "and serves" goes_on
  done
  for n in 1 2; do
    must wait_until 120 made_busy worker-$n
    ok "worker $n drains" end worker-$n
    ok "another build takes its place" worker_start worker-$n
  done
done
nothing_left() { [ "$(sql one "select count(*) from jobs where state not in ('succeeded', 'failed', 'cancelled')")" = 0 ]; }
ok "all work ends" wait_until 240 nothing_left
ok "no request failed" follow_end
say "  $(tail -n 1 "$work/log/follow.log")"
grep -v '^follow:' "$work/log/follow.log"
sql one 'select name from datasets' | sort >"$work/there"
ok "what was acknowledged is there" same "$(sort "$work/acked" | comm -23 - "$work/there")" ""
ok "no attempt was spent" same "$(sql one "select string_agg(distinct state || attempt || lost_leases, ' ') from jobs")" succeeded10
given_back=$(sql one "select count(*) from job_events where reason = 'drained'")
say "  given back by workers that drained: $given_back"
ok "a worker that drains gives its job back" test "$given_back" -ge 1
twin=$(sql one "select id from jobs where spec = (select spec from jobs where id = '$quiet') and id <> '$quiet'")
ok "the weights are those of undisturbed work" same "$(weights_digest "$twin")" "$(weights_digest "$quiet")"

# --- a job whose spec only the next build knows
worker=$build/proxact-worker must worker_start old
end worker-1
end worker-2
server=$next/proxact-server must server_start c
later=$(api POST /v1/jobs --json '{"kind": "train_idm", "spec": {"dataset": "d", "idm": {"profile": "fast", "steps": 20, "k": 0}}}' | jq -r .id)
earlier=$(train 50)
ok "a worker of before does what it knows" wait_until 60 job_is "$earlier" succeeded
ok "and leaves a spec of a later revision to others" same "$(job_field "$later" .state)" queued

# --- a migration that the present build does not work with
sql one "update schema_migrations set serves = version where name = 'next'"
server=$build/proxact-server worker=$build/proxact-worker
ok "the build of before refuses a schema that does not serve it" grep -q 'Install the newer version' <("$server" serve --listen=127.0.0.1:0 2>&1)
ok "a worker of before notices" wait_until 30 grep -q 'event=schema_not_served' "$work/log/old.log"
idle=$(train 50)
ok "and claims nothing" same "$(sleep 1; job_field "$idle" .state)" queued
worker=$next/proxact-worker
must worker_start worker-1
ok "which the next build does" wait_until 60 job_is "$idle" succeeded
ok "as it does the later revision" wait_until 60 job_is "$later" succeeded
finish
