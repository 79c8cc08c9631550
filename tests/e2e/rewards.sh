#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Data without rewards, with curl: uploaded, cloned with labels, judged by the agreement of actions, exported and uploaded again.
# What needs returns is refused before any work; one trajectory without rewards is enough for that.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
service_start 2
cd "$work" || exit 1
api() { curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" "$@"; }
url=$PROXACT_URL/v1
# answers WHAT CODE POINTER COMMAND...: the request is refused with that problem.
answers() {
  local what=$1 code=$2 pointer=$3
  shift 3
  api "$@" >answer.json 2>/dev/null
  expect "$what" jq -e --arg c "$code" --arg p "$pointer" '.code == $c and .errors[0].pointer == $p' answer.json
}
follow() { # JOB: leaves its document in job.json once it has ended
  SECONDS=0
  until state=$(api "$url/jobs/$1?wait=10s" | tee job.json | jq -r .state) && [[ $state =~ ^(succeeded|failed|cancelled)$ ]]; do
    [ "$SECONDS" -lt $((300 * PX_PATIENCE)) ] || break
  done
}

# A point that an action pushes; every third trajectory has its actions.
awk 'BEGIN { srand(7); print "episode,step,obs_0,act_0,terminated,truncated"
  for (e = 0; e < 60; e++) { x = rand() - 0.5
    for (t = 0; t < 20; t++) { a = -x / 2 + rand() / 5 - 0.1
      printf "%d,%d,%.6f,%s,0,%d\n", e, t, x, e % 3 ? "" : sprintf("%.6f", a), t == 19; x += a }
    printf "%d,20,%.6f,,,\n", e, x } }' >free.csv
expect "a dataset is created" api --json '{"name": "free", "obs_dim": 1, "act_dim": 1}' "$url/datasets"
expect "a file without rewards is stored" api -o upload.json -X POST -T free.csv "$url/datasets/free/trajectories?filename=free.csv"
expect "and that is said" jq -e '.trajectories == 60 and .steps == 1200 and .labelled_steps == 400 and
  (.notes[-1] | test("60 of the 60 trajectories have no rewards"))' upload.json
expect "the dataset has no returns" jq -e '.returns == null and .rewarded_trajectories == 0 and .lengths.mean == 20' \
  <(api "$url/datasets/free")
expect "nor have its pages" jq -e '.items | all(.return == null and .has_final)' <(api "$url/datasets/free/trajectories")
expect "nor a trajectory" jq -e 'has("rewards") and .rewards == null' <(api "$url/datasets/free/trajectories/0")

for dry in "" "?dry_run=true"; do
  answers "an algorithm of rewards is refused $dry" no_rewards /policies/0/algo \
    --json '{"dataset": "free", "policies": ["iql"]}' "$url/pipelines$dry"
  answers "a choice by return is refused $dry" no_rewards /spec/policy/top_percent \
    --json '{"kind": "train_policy", "spec": {"dataset": "free", "policy": {"algo": "bc", "top_percent": 50}}}' "$url/jobs$dry"
  answers "a mask by return is refused $dry" no_rewards /mask/q \
    --json '{"dataset": "free", "mask": {"protocol": "coupled", "p": 20, "q": 50}}' "$url/pipelines$dry"
done
expect "with a hint" jq -e '.hint | test("q 100")' answer.json

job=$(api --json '{"dataset": "free", "policies": [{"algo": "bc", "updates": 500, "hidden": 32}],
  "mask": {"protocol": "coupled", "p": 50, "q": 100}, "idm": {"members": 2, "hidden": 32, "steps": 300}}' "$url/pipelines" | jq -r .id)
follow "$job"
expect "the pipeline succeeds" test "$state" = succeeded || jq . job.json
jq .result job.json >report.json
expect "the labels are judged, and nothing is inside or outside of returns" \
  jq -e '.label | .basis == "hidden" and .r2 > 0.5 and .inside == null and .outside == null' report.json
expect "the policy is judged by its actions, and no value is told" \
  jq -e '.policies.ss | .held_out_action_mse < 0.2 and (has("fqe_value") or has("behaviour_value") | not)' report.json || jq . report.json
expect "the report has no NaN and says why" jq -e '[.. | .code? // empty] | index("no_rewards")' report.json

for format in hdf5 npz jsonl csv lerobot safetensors; do
  suffix=$format
  [ "$format" != lerobot ] || suffix=tar
  expect "the export as $format" api -o "back.$format" "$url/datasets/free/export?format=$format&actions=true"
  api -o again.json -X POST -T "back.$format" "$url/datasets/free/trajectories?filename=back.$suffix&on_duplicate=skip"
  expect "is the same dataset by digest" jq -e '.trajectories == 0 and .duplicates == 60' again.json || jq . again.json
done
expect "arrays have no rewards" /usr/bin/python3 -c 'import numpy; assert "rewards" not in numpy.load("back.npz").files'

# Some trajectories with rewards beside.
printf '{"observations": [[0.1], [0.2]], "actions": [[0.1]], "rewards": [2], "terminated": true}\n' >rewarded.jsonl
expect "a trajectory with rewards comes beside" api -X POST -T rewarded.jsonl "$url/datasets/free/trajectories?filename=rewarded.jsonl"
expect "and is counted" jq -e '.rewarded_trajectories == 1 and .returns.mean == 2' <(api "$url/datasets/free")
answers "the others still forbid what needs returns" no_rewards /policies/0/algo \
  --json '{"dataset": "free", "policies": ["rebrac"]}' "$url/pipelines"
for format in hdf5 npz jsonl csv lerobot safetensors; do
  suffix=$format
  [ "$format" != lerobot ] || suffix=tar
  api -o "mixed.$format" "$url/datasets/free/export?format=$format&actions=true"
  api -o again.json -X POST -T "mixed.$format" "$url/datasets/free/trajectories?filename=mixed.$suffix&on_duplicate=skip"
  expect "the mix as $format is the same by digest" jq -e '.trajectories == 0 and .duplicates == 61' again.json || jq . again.json
done
finish
