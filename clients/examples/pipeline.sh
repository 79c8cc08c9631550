#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The whole job in curl and jq: a dataset, a pipeline, the report, labels and policy.
# Usage: . var/env; clients/examples/pipeline.sh FILE NAME OBS_DIM ACT_DIM [ENV]
#   FILE     trajectories: .hdf5 (D4RL or Minari), .npz, .jsonl, .csv, .safetensors, .tar or .zip (LeRobot); some or all with actions
#   NAME     of the dataset; ENV: hopper, walker2d, halfcheetah or cartpole, to measure the policy in a simulator
# PIPELINE holds more fields of the pipeline as JSON, for example '{"seeds": [0, 1, 2]}'.
# Leaves report.json, labelled.hdf5 and policy.safetensors in the current folder.
set -euo pipefail
file=$1 name=$2 obs_dim=$3 act_dim=$4 env=${5:-}
: "${PROXACT_URL:?. var/env sets it}" "${PROXACT_TOKEN:?. var/env sets it}"

# --fail-with-body: a problem document is shown, and ends the script.
api() { curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" "$@"; }

# A job is followed by long polls: with If-None-Match the answer comes when something has changed (304: nothing yet).
follow() {
  local etag="" state=queued
  while [ "$state" = queued ] || [ "$state" = blocked ] || [ "$state" = running ]; do
    api -D headers -H "If-None-Match: $etag" "$PROXACT_URL/v1/jobs/$1?wait=20s" >answer.json
    [ -s answer.json ] || continue
    mv answer.json job.json
    etag=$(tr -d '\r' <headers | sed -n 's/^etag: //Ip')
    state=$(jq -r .state job.json)
    jq -r '"\(.kind) \(.state) \(.phase // "") \(.progress.step)/\(.progress.total)"' job.json >&2
  done
  [ "$state" = succeeded ] || { jq '{state, reason, error}' job.json >&2; return 1; }
}

case $file in
  *.hdf5 | *.h5) type=application/x-hdf5 ;;
  *.npz) type=application/x-npz ;;
  *.jsonl) type=application/jsonl ;;
  *.csv) type=text/csv ;;
  *.tar | *.zip) type=application/x-tar ;; # of a LeRobot folder
  *.safetensors) type=application/x-safetensors ;;
  *) echo "unknown format: $file" >&2; exit 2 ;;
esac

# 1. A dataset, and a file of trajectories into it.
dataset=$(jq -n --arg name "$name" --arg env "$env" --argjson o "$obs_dim" --argjson a "$act_dim" \
  '{name: $name, obs_dim: $o, act_dim: $a} + if $env == "" then {} else {env: $env} end' |
  api --json @- "$PROXACT_URL/v1/datasets" | jq -r .id)
api -X POST -H "Content-Type: $type" -T "$file" "$PROXACT_URL/v1/datasets/$dataset/trajectories" | jq -c . >&2

# 2. Inverse dynamics model, labels, policies, evaluation, report: one call.
pipeline=$(jq -n --arg dataset "$dataset" --argjson more "${PIPELINE:-"{}"}" '{dataset: $dataset} + $more' |
  api --json @- "$PROXACT_URL/v1/pipelines" | jq -r .id)
follow "$pipeline"

# 3. What came out: the report, the dataset with its proxy actions, the policy's weights. A true action goes before its
#    proxy, also where a mask hid it; actions=proxy gives the proxies of all steps.
jq .result job.json | tee report.json
policy=$(jq -r '[.children[] | select(.kind == "train_policy")][0].id' job.json)
api -o labelled.hdf5 "$PROXACT_URL/v1/datasets/$dataset/export?format=hdf5&actions=both"
api -o policy.safetensors "$PROXACT_URL/v1/models/mdl_${policy#job_}/weights"
