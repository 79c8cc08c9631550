#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bounds of jobs on a real server: checks before the work, lists that know what they are asked for, versions that a removal
# compares, a token's share, memory that no worker has, and the removal of jobs and models.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
sql() { psql -XAtqc "$1" "$PROXACT_DB_URL"; }

"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create limits) || exit 1
server_start --jobs-per-token=40 --simulators-per-token=2 --simulator-bytes-per-token=100000

# --- a dataset of 12 observation dimensions
row() { printf '[%s' "$1"; for ((c = 1; c < $2; c++)); do printf ',%s' "$1"; done; printf ']'; }
line="{\"observations\": [$(row 0.5 12), $(row 0.25 12), $(row 0.125 12)], \"actions\": [$(row 0.5 3), $(row 0.1 3)], \"rewards\": [1, 1], \"terminated\": false, \"truncated\": true}"
api POST /v1/datasets --json '{"name": "wide", "obs_dim": 12, "act_dim": 3}'
is "a dataset" 201
for i in 1 2 3; do printf '%s\n' "$line"; done >"$work/t.jsonl"
api POST "/v1/datasets/wide/trajectories?format=jsonl" --data-binary @"$work/t.jsonl"
is "with three trajectories" 201

# --- the same answer from a pipeline, its dry run, a job and its dry run
bad() { # NAME POINTER PIPELINE_FIELDS [KIND JOB_FIELDS]
  local dry
  for dry in '' '?dry_run=true'; do
    api POST "/v1/pipelines$dry" --json "{\"dataset\": \"wide\", $3}"
    is "$1, a pipeline $dry" 422 ".code == \"bad_field\" and .errors[0].pointer == \"$2\" and (.hint | length > 0)"
    [ $# -gt 3 ] || continue
    api POST "/v1/jobs$dry" --json "{\"kind\": \"$4\", \"spec\": {\"dataset\": \"wide\", $5}}"
    is "$1, a job $dry" 422 ".code == \"bad_field\" and (.errors[0].pointer | startswith(\"/spec/\"))"
  done
}
bad "hopper has other dimensions" /env '"env": "hopper"'
bad "rebrac with 100 hidden units" /policies/0/hidden '"policies": [{"algo": "rebrac", "hidden": 100}]' train_policy '"policy": {"algo": "rebrac", "hidden": 100}'
bad "dt with 3 heads" /policies/0/hidden '"policies": [{"algo": "dt", "heads": 3}]' train_policy '"policy": {"algo": "dt", "heads": 3}'
bad "a head for classes" /idm/head '"idm": {"head": "softmax"}' train_idm '"idm": {"head": "softmax"}'
bad "no seeds" /seeds '"seeds": []'
bad "a loss without likelihood" /idm/mean_loss '"idm": {"head": "deterministic", "mean_loss": "nll"}' train_idm '"idm": {"head": "deterministic", "mean_loss": "nll"}'
api POST /v1/jobs --json '{"kind": "export", "spec": {"dataset": "wide", "actions": "proxy"}}'
is "an export of labels that are not there" 422 '.errors[0].pointer == "/spec/actions"'
api POST /v1/jobs --json '{"kind": "train_policy", "spec": {"dataset": "wide", "label_set": "ls_00000000000000000000"}}'
is "a label set that is not there" 404 '.errors[0].pointer == "/spec/label_set"'
api POST '/v1/pipelines?dry_run=true' --json '{"dataset": "wide", "policies": [{"algo": "bc", "updates": 100.0}], "mask": "none"}'
is "numbers as JSON Schema takes them" 200 '.jobs | all(.memory_bytes >= 0)'
api POST /v1/datasets --json '{"name": "x", "obs_dim": 3, "act_dim": 2, "colour": 1}'
is "known fields are all listed" 422 '.hint | test("act_low") and test("act_high")'
api POST /v1/jobs --json '{"kind": "report", "spec": {}, "colour": 1}'
is "of a job too" 422 '.hint | test("spec") and test("kind")'

# --- lists
for path in jobs models label_sets; do
  api GET "/v1/$path?dataset=wide"
  is "$path of a dataset by its name" 200 '.items | type == "array"'
  api GET "/v1/$path?dataset=none"
  is "$path of no dataset" 404 '.errors[0].pointer == "dataset"'
  api GET "/v1/$path?before=job"
  is "$path behind no cursor" 422 '.errors[0].pointer == "before"'
done
api GET "/v1/jobs?parent=job_00000000000000000000"
is "jobs of no pipeline" 404 '.errors[0].pointer == "parent"'

# --- removal
api POST /v1/jobs --json '{"kind": "train_policy", "spec": {"dataset": "wide", "policy": "bc"}}'
is "a job waits" 202 '.memory_bytes > 0 and .limit_s > 0'
job=$(field .id)
api DELETE "/v1/jobs/$job"
is "it is not removed before its end" 409 '.code == "conflict"'
api POST "/v1/jobs/$job:cancel" -H 'If-Match: "1"'
is "a version is not passed over" 412 '.code == "precondition_failed"'
api POST "/v1/jobs/$job:cancel"
is "it is cancelled" 200
api GET "/v1/jobs/$job"
etag=$(header etag)
api DELETE "/v1/jobs/$job" -H 'If-Match: "1"'
is "another version is not removed" 412
api DELETE "/v1/jobs/$job" -H "If-Match: \"0\", $etag"
is "this one is" 204
api DELETE "/v1/jobs/$job"
is "once" 404
api DELETE /v1/models/mdl_00000000000000000000
is "no model" 404
api POST /v1/pipelines --json '{"dataset": "wide", "policies": ["bc"]}'
is "a pipeline" 202
pipeline=$(field .id) child=$(field '.children[0].id')
api POST "/v1/jobs/$pipeline:cancel"
is "is cancelled" 200
api DELETE "/v1/jobs/$child"
is "its parts go with it" 409 ".hint | test(\"$pipeline\")"
api DELETE "/v1/jobs/$pipeline"
is "it is removed" 204
ok "with its children" same "$(sql 'select count(*) from jobs')" 0

# --- a token's share, and memory
fill() { for ((i = 0; i < 40; i++)); do api POST /v1/jobs --json '{"kind": "train_policy", "spec": {"dataset": "wide", "policy": "bc"}}'; [ "$status" = 202 ] || return 1; done; }
ok "a token may have 40 jobs" fill
api POST /v1/jobs --json '{"kind": "export", "spec": {"dataset": "wide"}}'
is "and no more" 429 '.code == "too_many_jobs" and (.detail | test("40 unfinished"))'
ok "429 says when to come back" test -n "$(header retry-after)"
api POST "/v1/datasets/wide/trajectories?format=jsonl&async" --data-binary @"$work/t.jsonl"
is "nor by uploads" 429 '.code == "too_many_jobs"'
mine=$token token=$("$build/proxact-server" token create other)
api POST /v1/jobs --json '{"kind": "export", "spec": {"dataset": "wide"}}'
is "another token has a share of its own" 202
token=$mine
sql "update jobs set state = 'cancelled' where state = 'ready'"
api POST /v1/jobs --json '{"kind": "export", "spec": {"dataset": "wide"}}'
is "with room again it is taken" 202
sql "insert into workers (id, host, pid, version, memory_bytes) values ('w', 'h', 1, 'v', 64 << 20)"
api POST /v1/jobs --json '{"kind": "train_policy", "spec": {"dataset": "wide", "policy": {"algo": "td3bc", "hidden": 2048, "layers": 4}}}'
is "what fits no worker is refused with the figure" 422 '.code == "needs_memory" and (.detail | test("64 MiB"))'
api POST '/v1/pipelines?dry_run=true' --json '{"dataset": "wide", "policies": [{"algo": "td3bc", "hidden": 2048, "layers": 4}]}'
is "by a dry run too" 422 '.code == "needs_memory"'

# --- a token's simulators
simulator() { # NAME [PADDING]
  jq -n --arg name "$1" --arg more "<!-- $(head -c "${2:-1}" /dev/zero | tr '\0' x) -->" '{name: $name, observations: ["qpos", "qvel"],
    mjcf: ("<mujoco><worldbody><body><joint name=\"j\"/><geom size=\".1\"/></body></worldbody><actuator><motor joint=\"j\"/></actuator></mujoco>" + $more)}' >"$work/simulator.json"
  api POST /v1/simulators --json @"$work/simulator.json"
}
simulator large 110000
is "a model of more bytes than all may have" 409 '.code == "too_many_simulators" and (.detail | test("may have 100000")) and (.hint | test("DELETE"))'
simulator one
is "a simulator" 201
one=$(field .id)
simulator two
is "and another" 201
simulator three
is "and no more" 409 '.code == "too_many_simulators" and (.detail | test("has 2 simulators, and may have 2"))'
mine=$token token=$("$build/proxact-server" token create third)
simulator three
is "another token has its own" 201
token=$mine
api DELETE "/v1/simulators/$one"
is "with one deleted" 204
simulator four
is "there is room again" 201

# --- a dataset's version
api GET /v1/datasets/wide
etag=$(header etag)
sql "update jobs set state = 'cancelled' where state = 'ready'"
api DELETE /v1/datasets/wide -H 'If-Match: "999"'
is "a dataset of another version stays" 412 '.code == "precondition_failed"'
api DELETE /v1/datasets/wide -H "If-Match: W/$etag"
is "a weak tag never matches" 412
api DELETE /v1/datasets/wide -H "If-Match: $etag"
is "of this one it goes" 204
ok "every answer is as the API describes it" check_answers
[ "$failures" -eq 0 ]
