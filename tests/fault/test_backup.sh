#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Backups taken while work goes on, by pg_dump and by pg_basebackup: the restored service starts, has everything that was
# committed, and ends what was unfinished with the bytes of the original, which was not disturbed: the jobs are the same.
# Usage: tests/fault/test_backup.sh [JOBS]   (make drill has more of them)
set -u
# shellcheck source=tests/fault/lib/hosts.sh
. "$(dirname "$0")/lib/hosts.sh"
jobs=${1:-4}

# What is there, one line each, with the digests of the very bytes. The second list is all that jobs leave.
CONTENT="select b.id, encode(sha256(string_agg(c.bytes, '' order by c.no)), 'hex') as digest from blobs b join blob_chunks c on c.blob_id = b.id group by b.id"
segments_of() {
  sql "$1" "with content as ($CONTENT) select 'segment', s.dataset_id, s.seq, digest, encode(s.sha256, 'hex') = digest
    from segments s join content on content.id = s.blob_id order by 2, 3"
}
results_of() {
  sql "$1" "with content as ($CONTENT)
    select 'model', m.id, digest, encode(m.sha256, 'hex') = digest from models m join content on content.id = m.blob_id
    union all select 'artifact', a.job_id || a.name, digest, true from artifacts a join content on content.id = a.blob_id
    union all select 'labels', l.label_job_id || l.seq, digest, encode(l.sha256, 'hex') = digest
      from label_segments l join content on content.id = l.blob_id join jobs s on s.id = l.job_id and s.state = 'succeeded' and s.epoch = l.epoch
    union all select 'label_set', id, encode(sha256, 'hex'), true from label_sets
    union all select 'job', id, state, true from jobs order by 1, 2"
}
nothing_left() { [ "$(sql "$1" "select count(*) from jobs where state not in ('succeeded', 'failed', 'cancelled')")" = 0 ]; }
ended() { [ "$(sql "$1" "select count(*) from jobs where state = 'succeeded'")" -ge "$2" ]; }
running() { [ "$(sql "$1" "select count(*) from jobs where state = 'running'")" -gt 0 ]; }
# Whether the lines of a file are all in another one.
within() { comm -23 <(sort "$1") <(sort "$2") | tee "$work/missing" | head -n 5; [ ! -s "$work/missing" ]; }

must pg_new one
PROXACT_DB_URL=$(pg_url one)
export PROXACT_DB_URL
must service_prepare
must server_start server
must worker_start worker-1
must worker_start worker-2
must make_data
api POST /v1/pipelines --json '{"dataset": "d", "idm": {"members": 2, "steps": 150, "hidden": 16, "layers": 1, "batch": 64, "validate_every": 50},
  "shards": 2, "policies": [{"algo": "bc", "updates": 200, "hidden": 16, "batch": 32}]}' >"$work/pipeline"
api POST /v1/jobs --json '{"kind": "export", "spec": {"dataset": "d", "format": "npz", "actions": "true"}}' >/dev/null
for ((i = 0; i < jobs; i++)); do train 1500 "$i" >/dev/null; done
must wait_until 120 ended one 3
# What is surely at work while the backups are taken: it has only begun.
long=$(train 20000 99)
must wait_until 120 job_is "$long" running
segments_of one >"$work/segments"
sql one "select 'job', id, state, true from jobs where state = 'succeeded'" >"$work/committed"
follow_begin 1 server
writing() { [ -s "$work/acked" ]; }
must wait_until 30 writing
cp "$work/acked" "$work/acked.before"
ok "pg_dump while work goes on" pg_dump -Fc -f "$work/dump" "$(pg_url one)"
ok "pg_basebackup while work goes on" pg_copy copy one
follow_end
ok "the original goes on meanwhile" wait_until 1200 nothing_left one
results_of one >"$work/results"
ok "and has done nothing wrong" refused grep -qE '\|f$' "$work/results"
end worker-1
end worker-2
end server
pg_end one

# restored NAME WHAT: the whole service on that cluster ends what is left, with the same bytes.
restored() {
  local name=$1 what=$2
  PROXACT_DB_URL=$(pg_url "$name")
  say "  $what: $(sql "$name" "select string_agg(n || ' ' || state, ', ') from (select count(*) as n, state from jobs group by state order by state) x")"
  ok "$what: there was something left to do" running "$name"
  segments_of "$name" >"$work/$name.segments"
  results_of "$name" >"$work/$name.results"
  ok "$what: every segment is there with its bytes" within "$work/segments" "$work/$name.segments"
  ok "$what: every job that had ended is there" within "$work/committed" "$work/$name.results"
  sql "$name" 'select name from datasets' >"$work/there"
  ok "$what: every request answered before is there" within "$work/acked.before" "$work/there"
  ok "$what: migrate" "$build/proxact-server" migrate
  ok "$what: restored" "$build/proxact-server" restored
  ok "$what: the server starts" server_start server
  ok "$what: workers start" worker_start worker-1
  must worker_start worker-2
  ok "$what: work ends" wait_until 1200 nothing_left "$name"
  results_of "$name" >"$work/$name.results"
  ok "$what: with the bytes of undisturbed work" diff "$work/results" "$work/$name.results"
  ok "$what: no attempt was spent" same "$(sql "$name" "select string_agg(distinct attempt || ' ' || lost_leases, ',') from jobs where kind <> 'pipeline'")" "1 0"
  end worker-1
  end worker-2
  end server
  pg_end "$name"
}
must pg_new fresh
must pg_restore -d "$(pg_url fresh)" "$work/dump"
restored fresh "pg_dump"
must pg_start copy
restored copy "pg_basebackup"
finish
