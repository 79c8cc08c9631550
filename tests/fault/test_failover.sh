#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A primary with a standby, both in one URL: the primary is gone at once, the standby is promoted, and all goes on by
# itself. With synchronous replication nothing that was acknowledged is lost. What comes back of the old primary is refused.
set -u
# shellcheck source=tests/fault/lib/hosts.sh
. "$(dirname "$0")/lib/hosts.sh"

must pg_new one
must pg_copy two one -R -C -S standby
must pg_start two
pg_end one
must pg_start one -c synchronous_standby_names='*' -c synchronous_commit=remote_apply
in_step() { [ "$(sql one "select sync_state from pg_stat_replication")" = sync ]; }
must wait_until 30 in_step
export PROXACT_DB_URL="postgresql://proxact@/proxact?host=$work/one.run,$work/two.run&target_session_attrs=read-write"
must service_prepare
must server_start server --db-wait-ms=60000
must worker_start worker-1
must worker_start worker-2
must make_data

long=$(train 3000)
# The same work, undisturbed, is the other worker's.
quiet=$(train 3000)
ok "undisturbed work ends" wait_until 120 job_is "$quiet" succeeded
must wait_until 60 job_has_ended "$long"
# Long enough to be seen running, and to run when the primary goes, on a fast machine too.
storm=$(train 200000) storm_two=$(train 3000)
must wait_until 60 job_is "$storm" running
follow_begin 2 server
many() { [ "$(wc -l <"$work/acked")" -gt "$1" ]; }
must wait_until 30 many 20
before=$(wc -l <"$work/acked")
away=$(date +%s%N)
pg_end one QUIT
must pg_promote two
at_promotion=$(wc -l <"$work/acked") promoted=$(date +%s%N)
must wait_until 60 many "$at_promotion"
say "  $at_promotion acknowledged when the standby was promoted, $(((promoted - away) / 1000000)) ms after the primary was stopped; the next one" \
  "$((($(date +%s%N) - promoted) / 1000000)) ms later"
ok "requests go on at the standby that became primary" wait_until 60 many $((before + 40))
follow_end
say "  $(tail -n 1 "$work/log/follow.log")"
sql two 'select name from datasets order by name' | sort >"$work/there"
lost() { sort "$work/acked" | comm -23 - "$work/there"; }
ok "nothing acknowledged is lost" same "$(lost)" ""
ok "a training goes on there and ends" wait_until 120 job_is "$storm_two" succeeded
ok "with the same weights" same "$(weights_digest "$storm_two")" "$(weights_digest "$quiet")"
ok "at no cost to any job" same "$(sql two "select string_agg(distinct attempt || ' ' || lost_leases, ',') from jobs where kind = 'train_policy' and started_at is not null")" "1 0"
ok "another incarnation has begun" same "$(sql two 'select count(*) from incarnations')" 2

# The old primary starts again as if nothing had happened: it takes writes, and comes first in the URL.
must pg_start one
sql two "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'proxact%' or application_name like '%:%'" >/dev/null
left_behind() { grep -q 'a failover left it behind' "$work/log/worker-1.log" "$work/log/worker-2.log"; }
ok "a primary that was left behind is noticed" wait_until 60 left_behind
api POST /v1/datasets --json '{"name": "astray", "obs_dim": 3, "act_dim": 1}' --max-time 5 >/dev/null 2>&1
ok "and gets nothing" same "$(sql one "select count(*) from datasets where name = 'astray'")" 0
pg_end one
server_is_ready() { server_ready "${port[server]}"; }
ok "once it is stopped all goes on" wait_until 60 server_is_ready
ok "and work ends" wait_until 180 job_is "$storm" succeeded
finish
