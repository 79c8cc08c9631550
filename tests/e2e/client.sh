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
expect_said "with a hint for who types commands" "'proxact datasets'"
expect "trajectories are listed" "$proxact" datasets trajectories "$dataset" --limit 3
expect "so many as asked for, below a title" same "$(wc -l <"$work/out")" 4
expect "the last ones" same "$("$proxact" datasets trajectories hopper --from 85 --json | jq -c '[.items[].n]')" "[85,86,87]"
expect "what lint found is listed" "$proxact" datasets lint "$dataset"
expect_said "below a title" "SEVERITY"
expect_said "with its place in words" "clipped_observation"
expect "one of them is shown" test "$("$proxact" datasets trajectory hopper 0 | jq '.steps == (.actions | length)')" = true

# --- data that changes
expect "a dataset that will change" "$proxact" datasets create changing --obs 1 --act 1
printf '{"observations": [[1], [2], [3]], "rewards": [0, 0], "terminated": true}\n' >free.jsonl
expect "is filled" "$proxact" upload changing free.jsonl
expect "twice" "$proxact" upload changing free.jsonl
printf '{\n  "actions": [[0.5], null]\r\n}\n' >one.json
printf '{"trajectory": %d, "step": 1, "actions": [[0.25]]}\n' 0 1 >many.jsonl
expect "an action comes later" "$proxact" datasets actions changing one.json --trajectory 0
expect_said "and the version is told" "1 steps got an action"
expect "others too" "$proxact" datasets actions changing many.jsonl
expect "one that is there stays" refused "$proxact" datasets actions changing many.jsonl
expect_said "and is named" "trajectory 0, step 1"
expect_said "with the way out" "replace"
expect "unless it is to go" "$proxact" datasets actions changing many.jsonl --replace
expect "an outdated version is refused" refused "$proxact" datasets actions changing one.json --trajectory 0 --replace --version 2
expect "a name that tells no format of actions is refused" refused "$proxact" datasets actions changing "$0"
expect_said "with those that there are" ".jsonl"
expect "they are stored" same "$("$proxact" datasets trajectory changing 0 | jq -c .actions)" "[[0.5],[0.25]]"
expect "segments are listed" same "$("$proxact" datasets segments changing --json | jq -c '[.items[].first_trajectory]')" "[0,1]"
expect "one is taken out" "$proxact" datasets delete-segment changing 0
expect "versions are listed" same "$("$proxact" datasets versions changing --json | jq -c '[.items[].change]')" \
  '["delete","actions","actions","actions","append","append"]'
expect "and what they differ in" same "$("$proxact" datasets diff changing 3 | jq -c '[.segments_removed, .segments_relabelled]')" "[[0],[1]]"

# --- ranges, formats, and what an upload is told
expect "a dataset has ranges" "$proxact" datasets create ranges --obs 3 --act 2 --act-low -2,-1 --act-high 3
expect "they are these" same "$("$proxact" datasets show ranges | jq -c '[.act_low, .act_high]')" "[[-2,-1],[3,3]]"
expect "a range that is no number is refused" refused "$proxact" datasets create wrong --obs 3 --act 2 --act-low=-2,x
expect_said "with the option's name" "--act-low"
/usr/bin/python3 - <<'PY'
import numpy as np
n = 1100 * 800
rng = np.random.default_rng(0)
np.savez("large.npz", observations=rng.normal(size=(n, 3)).astype("f4"), actions=rng.uniform(-1, 1, (n, 2)).astype("f4"),
         rewards=np.ones(n, "f4"), terminals=np.zeros(n, "u1"), timeouts=(np.arange(n) % 800 == 799).astype("u1"))
np.savez("small.npz", observations=np.zeros((4, 3)), actions=np.zeros((4, 2)), rewards=np.ones(4), terminals=[0, 0, 0, 1])
PY
mv small.npz small.data
expect "a name that tells no format is refused" refused "$proxact" upload ranges small.data
expect_said "with the way out" "--format"
expect "a format is told" "$proxact" upload ranges small.data --format npz
expect "in parts, without its actions" "$proxact" upload ranges large.npz --ignore-actions
expect "what is odd in the data is told" "$proxact" datasets lint ranges
expect_said "with its name" constant_reward
expect "so they are unlabelled" same "$("$proxact" datasets show ranges | jq -c '[.steps, .labelled_steps]')" "[880004,4]"
expect "a list goes over several pages" same "$("$proxact" datasets trajectories ranges --limit 1099 --json | jq '[.items[].n] == [range(1099)]')" true
expect "keys of observations are for files that have several" refused "$proxact" upload ranges small.data --format npz --obs-keys a,b
partial=$(curl -sS -D - -o /dev/null -X POST -H "Authorization: Bearer $(sed -n 's/^token = //p' "$XDG_CONFIG_HOME/proxact/credentials")" \
  -H 'Tus-Resumable: 1.0.0' -H 'Upload-Length: 9' -H "Upload-Metadata: dataset $(printf ranges | base64),filename $(printf a.npz | base64)" \
  "$(sed -n 's/^url = //p' "$XDG_CONFIG_HOME/proxact/credentials")/v1/uploads" | tr -d '\r' | sed -n 's,^[Ll]ocation: .*/,,p')
expect "an upload in parts is shown" same "$("$proxact" uploads show "$partial" | jq -c '[.state, .size_bytes]')" '["receiving",9]'
expect "and given up" "$proxact" uploads delete "$partial"
expect "for good" refused "$proxact" uploads show "$partial"
expect "a dataset is removed" "$proxact" datasets delete ranges
expect "and is gone" refused "$proxact" datasets show ranges

expect "a plan is printed" "$proxact" pipeline "$dataset" --policy bc,cql --dry-run
expect_said "with its jobs" train/ss/cql/0
expect_said "and says that it is one" "nothing was started"
expect "nothing was" same "$("$proxact" jobs --kind pipeline --json | jq '.items | length')" 0

small='{"idm": {"steps": 60, "members": 2, "hidden": 32, "validate_every": 30}, "policies": [{"algo": "td3bc", "updates": 100, "hidden": 32}]}'
expect "a pipeline runs to its end" "$proxact" pipeline "$dataset" --mask 10,50 --episodes 2 --baselines labelled_only \
  --spec "$small" --watch
pipeline=$("$proxact" jobs --json | jq -r '[.items[] | select(.kind == "pipeline")][0].id')
expect "its report has the policies" test "$("$proxact" jobs show "$pipeline" | jq '.result.policies | length')" -ge 2
expect "a spec out of bounds is refused" refused "$proxact" pipeline "$dataset" --episodes 5 --spec '{"idm": {"members": 99}}'
expect_said "and the field is named" members
expect "jobs are listed by state" "$proxact" jobs --state succeeded
expect_said "and are these" train_policy

training=$("$proxact" jobs --kind train_policy --parent "$pipeline" --json | jq -r '.items[0].id')
expect "a job's changes are listed" "$proxact" jobs events "$training"
expect_said "to the last" succeeded
expect "a training's curves are listed" "$proxact" jobs metrics "$training"
expect_said "with their names" loss
expect "a single job is submitted" "$proxact" jobs submit export --spec '{"dataset": "'"$dataset"'", "format": "npz"}' --watch
export_job=$(head -n 1 "$work/out")
expect "its files are listed" "$proxact" jobs artifacts "$export_job"
name=$("$proxact" jobs artifacts "$export_job" --json | jq -r '.items[0].name')
expect "and come down" "$proxact" jobs artifact "$export_job" "$name" --output export.npz
expect "whole" same "$(stat -c %s export.npz)" "$("$proxact" jobs artifacts "$export_job" --json | jq '.items[0].size_bytes')"
expect "a plan of one job is printed" "$proxact" jobs submit export --spec '{"dataset": "'"$dataset"'"}' --dry-run
expect "a spec that is no JSON is refused" refused "$proxact" jobs submit export --spec '{'
long=(pipeline "$dataset" --policy td3bc --spec '{"idm": {"steps": 100000}}' --dedupe-key once)
first=$("$proxact" "${long[@]}")
expect "with a key it is started once" same "$("$proxact" "${long[@]}")" "$first"
expect "it is cancelled" "$proxact" jobs cancel "$first"
again=$("$proxact" jobs retry "$first")
expect "and started again" test "$again" != "$first"
expect "as another" "$proxact" jobs cancel "$again"
expect "a list has its limit" same "$("$proxact" jobs --limit 2 --json | jq '(.items | length == 2) and .next != null')" true
expect "workers are listed" same "$("$proxact" workers | wc -l)" 3

policy=$("$proxact" policy --json --role policy | jq -r '[.items[] | select(.role == "policy")][0].id')
expect "the policy's weights come down" "$proxact" policy download "$policy" --output policy.safetensors
expect "they are safetensors" test "$(od -An -tu8 -N8 policy.safetensors)" -lt "$(stat -c %s policy.safetensors)"
expect "it comes as ONNX" "$proxact" policy download "$policy" --format onnx --output policy.onnx
expect "which ONNX's checker takes" /usr/bin/python3 -c 'import onnx; onnx.checker.check_model("policy.onnx")'
printf '{"observations": [%s]}' "$(seq -s, 11 | sed 's/.*/[&]/')" >observations.json
expect "a policy acts on the server" same "$("$proxact" policy predict "$policy" observations.json | jq '.actions[0] | length')" 3
expect "labels are listed" "$proxact" labels
labels=$("$proxact" labels --dataset "$dataset" --json | jq -r '.items[0].id')
expect "and shown" same "$("$proxact" labels show "$labels" | jq -r .labeller.kind)" idm
expect "one set is written" "$proxact" labels export "$dataset" --format csv --labels "$labels" --output labels.csv
expect "with proxies" grep -qE ',proxy,|,2,' labels.csv
expect "a trajectory has them" same "$("$proxact" datasets trajectory "$dataset" 0 --labels "$labels" | jq '.proxy_actions | length > 0')" true
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

# --- a simulator
expect "a simulator is brought" "$proxact" simulators create mine "$root/tests/data/models/hopper.xml" --observations 'qpos[1:],qvel' --spec '{"frame_skip": 4}'
simulator=$(head -n 1 "$work/out")
expect "it is listed" "$proxact" simulators
expect_said "by its name" mine
expect "and shown" same "$("$proxact" simulators show "$simulator" | jq -r .name)" mine
expect "and removed" "$proxact" simulators delete "$simulator"
expect "a model that is none is refused" refused "$proxact" simulators create other "$0" --observations qpos

# --- the service itself
expect "the server says who it is" same "$("$proxact" server | jq -r .name)" proxact
expect "and whether it can work" same "$("$proxact" server ready | jq -r .status)" ok
expect "and what it counted" grep -q '^proxact_' <("$proxact" server metrics)
expect "and what it can" same "$("$proxact" server openapi | jq -r '.paths | has("/v1/jobs")')" true
expect "the doctor finds nothing" "$proxact" doctor
for check in address server clock version database redis disk token workers; do expect_said "it looked at $check" "$check"; done
expect "as JSON too" same "$("$proxact" doctor --json | jq -c '[.[].state] | unique')" '["ok"]'
expect "a wrong token is a finding" refused env PROXACT_TOKEN=pxa_wrong "$proxact" doctor
expect_said "with what to do" "proxact login"
expect "no server is one" refused "$proxact" doctor --url http://127.0.0.1:1
expect_said "and says where it looked" "127.0.0.1:1"
expect_said "with what to do about it" "Is the server running there?"

# The command of docker-compose.yml, on a worker that runs and on one that has long been silent.
alive() { test -n "$(find "$PROXACT_HEALTH_FILE" -newermt "-30 seconds")"; }
expect "a worker keeps its health file young" alive
touch -d "31 seconds ago" "$work/old"
PROXACT_HEALTH_FILE=$work/old expect "an old one is told apart" refused alive
finish
