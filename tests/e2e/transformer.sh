#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Decision Transformer in the service: cloned beside another policy, rolled out, judged from data, and told what return
# to aim at.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
service_start 2
cd "$work" || exit 1
api() { curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" "$@"; }
url=$PROXACT_URL/v1
# ended JOB: waits for its end and leaves it in job.json.
ended() {
  local state
  for _ in $(seq $((30 * PX_PATIENCE))); do
    state=$(api "$url/jobs/$1?wait=10s" | tee job.json | jq -r .state)
    case $state in succeeded | failed | cancelled) break ;; esac
  done
}

expect "a labelled file is made" \
  /usr/bin/python3 "$root/clients/examples/cartpole.py" cartpole.npz --episodes 30 --labelled 1
expect "a dataset is created" \
  api --json '{"name": "cartpole", "obs_dim": 4, "act_count": 2, "env": "cartpole"}' "$url/datasets"
expect "the upload is stored" api -X POST -T cartpole.npz "$url/datasets/cartpole/trajectories?filename=cartpole.npz"
dt='{"algo": "dt", "updates": 40, "warmup": 5, "batch": 16, "hidden": 32, "layers": 2, "heads": 2, "context": 5, "lr": 0.01}'
body='{"dataset": "cartpole", "episodes": 3, "evaluation": "both", "ope": {"updates": 50, "hidden": 16},
  "policies": ['$dt', {"algo": "bc", "updates": 40, "hidden": 16}], "idm": {"members": 2, "hidden": 16, "steps": 40}}'
ended "$(api --json "$body" "$url/pipelines" | jq -r .id)"
expect "the pipeline succeeds" jq -e '.state == "succeeded"' job.json || jq . job.json
jq .result job.json >report.json
expect "both policies are in its report" jq -e '[.runs[].policy] | sort == ["bc", "dt"]' report.json
expect "both were judged from data" jq -e '[.runs[].assessed.fqe.td_rms] | length == 2 and all(. > 0)' report.json
dt_model=$(jq -r '.runs[] | select(.policy == "dt").model' report.json)
bc_model=$(jq -r '.runs[] | select(.policy == "bc").model' report.json)

# evaluated MODEL MORE: an evaluation of it, with more fields.
evaluated() {
  local spec='{"model": "'$1'", "env": "cartpole", "episodes": 2'$2'}'
  ended "$(api --json '{"kind": "evaluate", "spec": '"$spec"'}' "$url/jobs" | jq -r .id)"
}
evaluated "$dt_model" ""
expect "it aims at the best return of its data" jq -e '.result.target_return > 100' job.json
evaluated "$dt_model" ', "target_return": 17'
expect "or at what it is told" jq -e '.state == "succeeded" and .result.target_return == 17' job.json
evaluated "$bc_model" ""
expect "others aim at nothing" jq -e '.state == "succeeded" and (.result | has("target_return") | not)' job.json
curl -sS -H "Authorization: Bearer $PROXACT_TOKEN" --json \
  '{"kind": "evaluate", "spec": {"model": "'"$bc_model"'", "env": "cartpole", "target_return": 17}}' "$url/jobs" >refused.json
expect "and say so when told to" jq -e '.status == 422 and .errors[0].pointer == "/spec/target_return"' refused.json
finish
