#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A training whose process is killed goes on, and one that diverges leaves its last good state, through the API.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
# A checkpoint after every update, so that nothing here depends on time.
export PROXACT_CHECKPOINT_MS=0 PROXACT_HEARTBEAT_MS=200
service_start 1
cd "$work" || exit 1
api() { curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" "$@"; }
holds() { api "$PROXACT_URL/v1/jobs/$job" >job.json && jq -e "$1" job.json >/dev/null; }
# await FILTER: until jq's filter holds of the job's document.
await() { wait_until 60 holds "$1" || { cat job.json; return 1; }; }
submit() {
  job=$(api --json "{\"kind\": \"train_policy\", \"spec\": {\"dataset\": \"$1\", \"policy\": $2}}" "$PROXACT_URL/v1/jobs" | jq -r .id)
}
# Prints the step that a file of safetensors says it is of.
step_in() { head -c 4096 "$1" | tail -c +9 | grep -ao '"step":"[0-9]*"' | grep -o '[0-9]*'; }

expect "a dataset" api --json '{"name": "hopper", "obs_dim": 11, "act_dim": 3}' "$PROXACT_URL/v1/datasets"
expect "its trajectories" api -X POST -T "$demo_data" "$PROXACT_URL/v1/datasets/hopper/trajectories?filename=h.hdf5"

submit hopper '{"algo": "td3bc", "updates": 1000, "hidden": 64, "batch": 64}'
expect "a running training shows its checkpoint" await '.checkpoint.step > 0 and .resumed_from == null'
child=$(pgrep -P "$(cut -d" " -f1 "$PROXACT_VAR/worker-1.pid")")
expect "its process is there" kill -STOP "$child" # it goes no further until it is killed
curl -sS -D headers -o state.safetensors -H "Authorization: Bearer $PROXACT_TOKEN" "$PROXACT_URL/v1/jobs/$job/checkpoint"
expect "which comes down" grep -qi '^content-type: application/x-safetensors' headers
expect "and says its step" test "$(step_in state.safetensors)" -gt 0
kill -9 "$child"
expect "killed, it goes on in the middle" await '.resumed_from > 0 and .epoch == 2'
expect "and ends" await '.state == "succeeded" and .resumed_from > 0'
expect "then it has no checkpoint any more" jq -e '.checkpoint == null' job.json
expect "and is told so" refused api -o none "$PROXACT_URL/v1/jobs/$job/checkpoint"
expect "with a reason" jq -e '.status == 404 and (.detail | test("no checkpoint"))' none

# Rewards too large for the critics, and nothing that bounds what they add up to.
expect "another dataset" api --json '{"name": "steep", "obs_dim": 2, "act_dim": 1}' "$PROXACT_URL/v1/datasets"
jq -nc 'range(8) | {observations: [range(21) | [., . * . / 20]], actions: [range(20) | [(. % 3 - 1) / 2]],
  rewards: [range(20) | 100000], terminated: false, truncated: true}' >steep.jsonl
expect "of steep rewards" api -X POST -T steep.jsonl "$PROXACT_URL/v1/datasets/steep/trajectories?filename=steep.jsonl"
submit steep '{"algo": "td3bc", "updates": 20000, "hidden": 32, "batch": 16, "lr": 1, "gamma": 1, "tau": 1}'
expect "a training that diverges fails" await '.state == "failed" and .reason == "nan_loss"'
good=$(jq '.checkpoint.step' job.json)
expect "it names the last good state" jq -e --arg step "step $good," '.error.detail | contains($step)' job.json
expect "the client fetches it" "$proxact" jobs checkpoint "$job" --output good.safetensors
expect "which is that" same "$(step_in good.safetensors)" "$good"
expect "it says what to change" jq -e '.error.hint | test("Divide the rewards, which reach 100000") and test("/checkpoint")' job.json
finish
