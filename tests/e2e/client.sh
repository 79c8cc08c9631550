#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line client against a real service: every command once, and how it fails.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
export PROXACT_HEALTH_FILE=$work/alive
service_start 2
cd "$work" || exit 1

expect "login keeps the address and the token" "$proxact" login --url "$PROXACT_URL" --token "$PROXACT_TOKEN"
expect "the token is its owner's only" same "$(stat -c %a "$XDG_CONFIG_HOME/proxact/credentials")" 600
unset PROXACT_URL PROXACT_TOKEN
expect "a wrong token is refused" refused "$proxact" login --token pxa_wrong
expect_said "and it names the problem" token
expect "the stored login still works" "$proxact" datasets

expect "a dataset is created" "$proxact" datasets create hopper --obs 11 --act 3 --env hopper
dataset=$("$proxact" datasets --json | jq -r '.items[0].id')
expect "a name is taken once" refused "$proxact" datasets create hopper --obs 11 --act 3
expect "a file is stored" "$proxact" upload "$dataset" "$demo_data"
expect "its transitions are there" test "$("$proxact" datasets show "$dataset" | jq .steps)" -gt 1000
expect "an unknown ending is refused" refused "$proxact" upload "$dataset" "$0"
expect "a file that is not there is refused" refused "$proxact" upload "$dataset" none.npz
expect_said "with a hint for who is here" "folder you are in"
expect "--json may stand first" test "$("$proxact" --json datasets | jq -r '.items[0].name')" = hopper
expect "-h helps everywhere" "$proxact" datasets show -h
expect_said "with the command's own words" "the current label set"
expect "numbers have the fewest digits" refused grep -E '[0-9]\.[0-9]*(0{6,}|9{6,})[0-9],?$' <("$proxact" datasets show "$dataset")
printf '{"observations": [[1, 2]], "rewards": [0]}\n' >wrong.jsonl
expect "wrong dimensions are refused" refused "$proxact" upload "$dataset" wrong.jsonl
expect_said "and the place is named" trajectory
expect "an id with a slash cannot leave its path" refused "$proxact" datasets show ../jobs
expect "an unknown dataset is refused" refused "$proxact" datasets show ds_none

small='{"idm": {"steps": 60, "members": 2, "hidden": 32, "validate_every": 30}, "policies": [{"algo": "td3bc", "updates": 100, "hidden": 32}]}'
expect "a pipeline runs to its end" "$proxact" pipeline "$dataset" --mask 10,50 --episodes 2 --baselines labelled_only \
  --spec "$small" --watch
pipeline=$("$proxact" jobs --json | jq -r '[.items[] | select(.kind == "pipeline")][0].id')
expect "its report has the policies" test "$("$proxact" jobs show "$pipeline" | jq '.result.policies | length')" -ge 2
expect "a spec out of bounds is refused" refused "$proxact" pipeline "$dataset" --episodes 5 --spec '{"idm": {"members": 99}}'
expect_said "and the field is named" members
expect "jobs are listed by state" "$proxact" jobs --state succeeded
expect_said "and are these" train_policy

policy=$("$proxact" policy --json | jq -r '[.items[] | select(.role == "policy")][0].id')
expect "the policy's weights come down" "$proxact" policy download "$policy" --output policy.safetensors
expect "they are safetensors" test "$(od -An -tu8 -N8 policy.safetensors)" -lt "$(stat -c %s policy.safetensors)"
expect "it comes as ONNX" "$proxact" policy download "$policy" --format onnx --output policy.onnx
expect "which ONNX's checker takes" /usr/bin/python3 -c 'import onnx; onnx.checker.check_model("policy.onnx")'
expect "labels are listed" "$proxact" labels
expect "a dataset of a folder is created" "$proxact" datasets create folder --obs 11 --act 3
expect "an export is a LeRobot folder" "$proxact" labels export "$dataset" --format lerobot --output again.lerobot
mkdir -p again/videos && tar -x -f again.lerobot -C again && head -c 100000 /dev/urandom >again/videos/a.mp4
expect "a folder is stored" "$proxact" upload folder again/
expect "all of it is there" same "$("$proxact" datasets show folder | jq '[.steps, .trajectories, .labelled_steps]')" \
  "$("$proxact" datasets show "$dataset" | jq '[.steps, .trajectories, .labelled_steps]')"
expect "a folder of something else is refused" refused "$proxact" upload folder again/videos
expect_said "with what is missing" "meta/info.json"
expect "they come down with the data" "$proxact" labels export "$dataset" --format npz --output labelled.npz
expect "a download that fails leaves no file" refused "$proxact" policy download mdl_none --output none.safetensors
expect "none at all" refused ls none.safetensors none.safetensors.part
expect "a policy is evaluated" "$proxact" eval "$policy" --env hopper --episodes 1 --watch
expect "a policy is judged from data" "$proxact" ope "$policy" "$dataset" --updates 100 --watch
expect "a job that is not there is not removed" refused "$proxact" jobs delete job_00000000000000000000
expect "a part of a pipeline is not removed alone" refused "$proxact" jobs delete "$("$proxact" jobs show "$pipeline" | jq -r '.children[0].id')"
expect_said "and the hint names the whole" "$pipeline"
expect "a model is removed" "$proxact" models delete "$policy"
expect "and is gone" refused "$proxact" policy show "$policy"
expect "a pipeline is removed with its jobs" "$proxact" jobs delete "$pipeline"
expect "and is gone too" refused "$proxact" jobs show "$pipeline"
# The command of docker-compose.yml, on a worker that runs and on one that has long been silent.
alive() { test -n "$(find "$PROXACT_HEALTH_FILE" -newermt "-30 seconds")"; }
expect "a worker keeps its health file young" alive
touch -d "31 seconds ago" "$work/old"
PROXACT_HEALTH_FILE=$work/old expect "an old one is told apart" refused alive
finish
