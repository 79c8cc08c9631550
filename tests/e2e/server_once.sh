#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Idempotency-Key and dedupe keys on a real server: repeats, races, a server killed in the middle, and a connection to the
# database that is cut at the commit.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"

"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create e2e)
server_start
sql() { psql -XAtqc "$1" "$PROXACT_DB_URL"; }
# keyed KEY METHOD PATH [curl's options]
keyed() {
  local key=$1
  shift
  api "$@" -H "Idempotency-Key: $key"
}
dataset() { printf '{"name": "%s", "obs_dim": 3, "act_dim": 2}' "$1"; }
replayed() { [ "$(header idempotent-replayed)" = true ]; }

# --- repeats
keyed one POST /v1/datasets --json "$(dataset a)"
is "the first of a key is carried out" 201
ok "and is no replay" refused replayed
cp "$work/body" "$work/first"
location=$(header location) etag=$(header etag)
keyed one POST /v1/datasets --json "$(dataset a)"
is "a repeat gets the same answer" 201
ok "byte for byte" cmp "$work/first" "$work/body"
ok "its headers too" same "$(header location) $(header etag) $(header content-type)" "$location $etag application/json"
ok "and is marked" replayed
keyed '"one"' POST /v1/datasets --json "$(dataset a)"
is "a key in quotes is the same key" 201
ok "it is" replayed
api POST /v1/datasets --json "$(dataset a)"
is "without a key it is a new request" 409 '.code == "conflict"'
keyed one POST /v1/datasets --json "$(dataset b)"
is "another body under the key is refused" 422 '.code == "key_reused"'
keyed one POST "/v1/jobs?dry_run=true" --json "$(dataset a)"
is "another path too" 422 '.code == "key_reused"'
keyed two POST /v1/datasets --json "$(dataset a)"
is "a failure" 409
api DELETE /v1/datasets/a
keyed two POST /v1/datasets --json "$(dataset a)"
is "is not remembered" 201
ok "and what comes after it is no replay" refused replayed
keyed "$(printf 'k%.0s' {1..255})" POST /v1/datasets --json "$(dataset c)"
is "the longest key" 201
for key in "$(printf 'k%.0s' {1..256})" '""' '"a' 'a\"' $'\xc3\xa4'; do
  keyed "$key" POST /v1/datasets --json "$(dataset d)"
  [ "$key" = 'a\"' ] || is "a key that is none: ${key:0:8}" 400 '.code == "bad_request"'
done
api POST /v1/datasets --json "$(dataset e)" -H 'Idempotency-Key: a' -H 'Idempotency-Key: b'
is "two keys" 400
keyed one GET /v1/datasets
is "a key on what changes nothing is not looked at" 200

# --- uploads: the body is part of the request
printf '{"observations": [[0,0,0],[1,1,1]], "rewards": [1], "actions": [[0.5,0.5]], "terminated": true, "truncated": false}\n' >"$work/t.jsonl"
send() { keyed "$1" POST /v1/datasets/a/trajectories -H 'Content-Type: application/jsonl' --data-binary @"$work/t.jsonl"; }
send up1
is "an upload" 201 '.trajectories == 1 and .version == 2'
cp "$work/body" "$work/first"
send up1
is "its repeat" 201 '.version == 2'
ok "is the first answer" cmp "$work/first" "$work/body"
send up2
is "with another key it is stored again" 201 '.version == 3'
keyed up3 POST "/v1/datasets/a/trajectories?async=true" -H 'Content-Type: application/jsonl' --data-binary @"$work/t.jsonl"
is "an upload for a job" 202
job=$(field .id)
keyed up3 POST "/v1/datasets/a/trajectories?async=true" -H 'Content-Type: application/jsonl' --data-binary @"$work/t.jsonl"
is "its repeat names the same job" 202 ".id == \"$job\""
ok "and there is one" same "$(sql "select count(*) from jobs where kind = 'ingest'") $(sql 'select count(*) from uploads')" "1 1"
ok "no blob is left over" wait_until 5 bash -c "[ \$(psql -XAtqc 'select count(*) from blobs where not attached' '$PROXACT_DB_URL') = 0 ]"

# --- jobs
export_job='{"kind": "export", "spec": {"dataset": "a"}}'
keyed job POST /v1/jobs --json "$export_job"
is "a job" 202
job=$(field .id)
keyed job POST /v1/jobs --json "$export_job"
is "its repeat" 202 ".id == \"$job\""
keyed cancel POST "/v1/jobs/$job:cancel"
is "is cancelled" 200 '.state == "cancelled"'
keyed cancel POST "/v1/jobs/$job:cancel"
is "and again" 200 '.state == "cancelled"'
api POST "/v1/jobs/$job:cancel"
is "which without a key is a conflict" 409
keyed retry POST "/v1/jobs/$job:retry"
is "a retry" 202
again=$(field .id)
keyed retry POST "/v1/jobs/$job:retry"
is "makes one job" 202 ".id == \"$again\""
ok "only" same "$(sql "select count(*) from jobs where kind = 'export'")" 2

# --- dedupe keys
api POST "/v1/jobs?dedupe_key=nightly" --json "$export_job"
is "a job with a dedupe key" 202
job=$(field .id)
api POST "/v1/jobs?dedupe_key=nightly" --json "$export_job"
is "while it is unfinished, a second submission answers it" 200 ".id == \"$job\" and .state == \"queued\""
ok "its Location" same "$(header location)" "/v1/jobs/$job"
keyed dedupe POST "/v1/jobs?dedupe_key=nightly" --json "$export_job"
is "with an Idempotency-Key too" 200 ".id == \"$job\""
api POST "/v1/pipelines?dedupe_key=nightly" --json '{"dataset": "a"}'
is "and from a pipeline" 200 ".id == \"$job\""
api POST "/v1/jobs/$job:cancel"
api POST "/v1/jobs?dedupe_key=nightly" --json "$export_job"
is "when it has ended the key is free" 202 ".id != \"$job\""
api POST "/v1/pipelines?dedupe_key=weekly" --json '{"dataset": "a"}'
is "a pipeline with a dedupe key" 202
job=$(field .id) jobs=$(sql 'select count(*) from jobs')
api POST "/v1/pipelines?dedupe_key=weekly" --json '{"dataset": "a", "seeds": [1, 2]}'
is "answers the unfinished pipeline, whatever the spec" 200 ".id == \"$job\""
ok "and none of its jobs was made twice" same "$(sql 'select count(*) from jobs')" "$jobs"
api POST "/v1/jobs?dedupe_key=" --json "$export_job"
is "an empty dedupe key" 422 '.errors[0].pointer == "dedupe_key"'
api POST "/v1/jobs?dedupe_key=$(printf 'k%.0s' {1..201})" --json "$export_job"
is "one that is too long" 422

# --- many at once
race() {
  local i statuses pids=()
  for i in {1..8}; do
    curl -sS -o /dev/null -w '%{http_code}\n' -H "Authorization: Bearer $token" -H 'Idempotency-Key: race' \
      --json "$(dataset raced)" "$url/v1/datasets" >"$work/race.$i" &
    pids+=($!)
  done
  wait "${pids[@]}"
  statuses=$(sort "$work"/race.* | uniq | tr '\n' ' ')
  case $statuses in "201 " | "201 409 ") ;; *) echo "$statuses"; return 1 ;; esac
  [ "$(sql "select count(*) from datasets where name = 'raced'")" = 1 ]
}
ok "of eight at once one is carried out" race

# --- in flight: the table is locked, so that a request waits in the middle
hold_table() {
  mkfifo "$work/hold"
  psql -XAtq "$PROXACT_DB_URL" <"$work/hold" >"$work/held" &
  holder=$!
  exec 6>"$work/hold"
  printf 'begin; lock table datasets in share row exclusive mode; select 1;\n' >&6
  wait_until 10 test -s "$work/held"
}
release_table() { exec 6>&-; wait "$holder"; rm "$work/hold"; : >"$work/held"; }
begin_slow() {
  curl -sS -o "$work/slow.body" -w '%{http_code}' -H "Authorization: Bearer $token" -H "Idempotency-Key: $1" \
    --json "$(dataset "$1")" "$url/v1/datasets" >"$work/slow" 2>/dev/null 6>&- &
  slow=$!
}
waits_for_table() { [ "$(sql "select count(*) from pg_locks where not granted and relation = 'datasets'::regclass")" = 1 ]; }
hold_table
begin_slow slow
ok "a request is in the middle of its work" wait_until 10 waits_for_table
keyed slow POST /v1/datasets --json "$(dataset slow)"
is "its repeat is told to wait" 409 '.code == "key_in_use"'
ok "and for how long" test "$(header retry-after)" -ge 1
release_table
wait $slow
ok "the first is carried out" same "$(cat "$work/slow")" 201
keyed slow POST /v1/datasets --json "$(dataset slow)"
is "and then the repeat gets its answer" 201
ok "as a replay" replayed

# --- the server dies in the middle
hold_table
begin_slow killed
ok "a request is in the middle again" wait_until 10 waits_for_table
server_kill
wait $slow
server_start 6>&-
keyed_until() { # KEY: tries as a client would, while it is told to wait
  keyed "$1" POST /v1/datasets --json "$(dataset "$1")"
  [ "$status" != 409 ]
}
release_table
ok "after a restart the repeat gets in" wait_until 20 keyed_until killed
is "and is answered" 201
ok "and the work was done once" same "$(sql "select count(*) from datasets where name = 'killed'")" 1

# --- the answer to a commit is lost
server_stop
mkdir "$work/pg"
socket=$(sed -n 's/.*[?&]host=\([^&]*\).*/\1/p' <<<"$PROXACT_DB_URL")/.s.PGSQL.5432
: >"$work/cut"
spawn "$work/cutter.pid" "$work/cutter.log" /usr/bin/python3 "$root/tests/support/commit_cutter.py" \
  "$work/pg/.s.PGSQL.5432" "$socket" "$work/cut"
on_end pid_stop "$work/cutter.pid" TERM 5
wait_until 10 test -S "$work/pg/.s.PGSQL.5432" || exit 1
direct=$PROXACT_DB_URL
export PROXACT_DB_URL=${PROXACT_DB_URL/host=*/host=$work\/pg}
server_start --threads=1 --db-wait-ms=0
export PROXACT_DB_URL=$direct
# Cut once, it is opened again at once, and the server itself finds out what became of the commit.
settled() { # WHEN KEY
  echo "$1" >"$work/cut"
  keyed "$2" POST /v1/datasets --json "$(dataset "$2")"
  is "cut $1 the commit: the client is answered" 201 ".name == \"$2\""
  ok "cut $1 the commit: it was" test ! -s "$work/cut"
  ok "cut $1 the commit: done once" same "$(sql "select count(*) from datasets where name = '$2'")" 1
  keyed "$2" POST /v1/datasets --json "$(dataset "$2")"
  is "cut $1 the commit: the repeat" 201
  ok "cut $1 the commit: the repeat is a replay" replayed
}
settled after lost-answer
settled before lost-commit
# unsettled WORDS KEY DONE: cut again and again, it gives up, and the client repeats its request
unsettled() {
  echo "$1" >"$work/cut"
  keyed "$2" POST /v1/datasets --json "$(dataset "$2")"
  is "$1: the client is told that nothing is certain" 504 '.code == "unsettled" and (.hint | test("Idempotency-Key"))'
  ok "$1: Retry-After is told" test "$(header retry-after)" -ge 1
  ok "$1: done $3 times" same "$(sql "select count(*) from datasets where name = '$2'")" "$3"
  : >"$work/cut"
  keyed "$2" POST /v1/datasets --json "$(dataset "$2")"
  is "$1: the repeat is answered" 201 ".name == \"$2\""
  ok "$1: in the end done once" same "$(sql "select count(*) from datasets where name = '$2'")" 1
}
unsettled "after after after after" done-uncertain 1
ok "by the first request" replayed
unsettled "before before before before" undone-uncertain 0
ok "by the repeat" refused replayed
upload_cut() { # of an upload's commits the first stores the segment, the second adds it to the dataset
  local before
  before=$(sql "select trajectories_n from datasets where name = 'a'")
  echo "$1" >"$work/cut"
  send "$2"
  while [ "$status" != 201 ]; do send "$2"; done
  [ "$(sql "select trajectories_n from datasets where name = 'a'")" = $((before + 1)) ]
}
for cut in before after "before before" "after after" "after before"; do ok "an upload cut $cut its commits" upload_cut "$cut" "cut $cut"; done

ok "every answer is as described" check_answers
ok "the server was never in trouble but with the database" refused \
  bash -c "grep -E 'level=error|Sanitizer' '$work/server.log' | grep -vE 'unavailable|unsettled'"
finish
