#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A running job's progress is live: newer than its last heartbeat while Redis is there, and still told when it is not.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
# No second heartbeat falls into this test.
export PROXACT_HEARTBEAT_MS=60000 PROXACT_LEASE_MS=600000
service_start 1
cd "$work" || exit 1
api() { curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" "$@"; }
dataset=$(api --json '{"name": "progress", "obs_dim": 11, "act_dim": 3}' "$PROXACT_URL/v1/datasets" | jq -r .id)
api -X POST -H 'Content-Type: application/x-hdf5' -T "$demo_data" "$PROXACT_URL/v1/datasets/$dataset/trajectories" >upload.json
job=$(api --json '{"kind": "train_policy", "spec": {"dataset": "'"$dataset"'", "policy": {"algo": "bc", "updates": 10000000}}}' \
  "$PROXACT_URL/v1/jobs" | jq -r .id)
document() { api "$PROXACT_URL/v1/jobs/$job"; }
# Until the step told is greater than $1; prints it.
step_beyond() {
  local step
  for _ in $(seq $((200 * PX_PATIENCE))); do
    step=$(document | jq '.progress.step')
    if [ "$step" -gt "$1" ]; then echo "$step"; return 0; fi
    sleep 0.1
  done
  return 1
}
first=$(step_beyond 0)
expect "a step is told before the first heartbeat" test "${first:-0}" -gt 0
expect "and a later one after it" step_beyond "$first"
document >running.json
expect "with the seconds left" jq -e '.progress.eta_s > 0 and .progress.total == 10000000 and .phase == "train"' running.json
kill "$(cut -d" " -f1 "$PROXACT_VAR/redis.pid")"
expect "without Redis the document is the database's" jq -e '.state == "running"' <(document)
expect "the job is cancelled" api -X POST "$PROXACT_URL/v1/jobs/$job:cancel"
finish
