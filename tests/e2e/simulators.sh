#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A simulator that a user brings, with curl: posted, held against the data, labelling with a certificate. What is hostile or
# does not fit is refused, and server and worker go on.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
service_start 1
cd "$work" || exit 1
api() { curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" "$@"; }
url=$PROXACT_URL/v1
# answers WHAT CODE POINTER TEXT COMMAND...: the request is refused with that problem, whose detail holds the text.
answers() {
  local what=$1 code=$2 pointer=$3 text=$4
  shift 4
  api "$@" >answer.json 2>/dev/null
  expect "$what" jq -e --arg c "$code" --arg p "$pointer" --arg t "$text" \
    '.code == $c and (.errors[0].pointer // "") == $p and (.detail | contains($t))' answer.json || cat answer.json
}
follow() {
  [[ $1 == job_* ]] || { fail "no job: $1"; state=none; return; }
  SECONDS=0
  until state=$(api "$url/jobs/$1?wait=10s" | tee job.json | jq -r .state) && [[ $state =~ ^(succeeded|failed|cancelled)$ ]]; do
    [ "$SECONDS" -lt $((120 * PX_PATIENCE)) ] || break
  done
}
# model NAME FILE [jq's filter]: the body of a POST, in body.json
model() {
  jq -n --arg name "$1" --rawfile mjcf "$2" \
    '{name: $name, mjcf: $mjcf, observations: ["qpos[1:]", {of: "qvel", clip: [-10, 10]}], frame_skip: 4}'"${3:+ | $3}" >body.json
}
post() { api --json @body.json "$url/simulators"; }
hopper=$root/tests/data/models/hopper.xml
[ -e "$hopper" ] || hopper=$root/worker/env/mjcf/hopper.xml

# ---- one that fits
model mine "$hopper"
expect "a model is posted" api -o sim.json --json @body.json "$url/simulators"
sim=$(jq -r .id sim.json)
expect "its layout is laid out" jq -e '.obs_dim == 11 and .act_dim == 3 and .model.nq == 6 and .layout.actions[0].of == "ctrl"' sim.json
expect "it is listed" jq -e --arg id "$sim" '.items | length == 1 and .[0].id == $id' <(api "$url/simulators")
expect "and shown with its text" jq -e '.mjcf | contains("<mujoco")' <(api "$url/simulators/$sim")
answers "a name is taken once" conflict "" "named 'mine'" --json @body.json "$url/simulators"

# ---- what is refused at once
hostile() {
  printf '%s' "$2" >hostile.xml
  model "hostile" hostile.xml "$4"
  answers "$1" bad_field "${5:-/mjcf}" "$3" --json @body.json "$url/simulators"
}
body='<worldbody><body><joint name="j"/><geom size=".1"/></body></worldbody><actuator><motor joint="j"/></actuator>'
plain='.observations = ["qpos", "qvel"]'
hostile "a file of the server" "<mujoco><asset><mesh file=\"/etc/passwd\"/></asset>$body</mujoco>" "<mesh> has the attribute file" "$plain"
hostile "an include" "<mujoco><include file=\"/proc/self/environ\"/>$body</mujoco>" "<include> is not taken" "$plain"
hostile "a plugin" "<mujoco><extension><plugin plugin=\"a.so\"/></extension>$body</mujoco>" "<extension> is not taken" "$plain"
hostile "a bomb of entities" "<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]><mujoco>$body</mujoco>" \
  "declarations" "$plain"
hostile "a step of a nanosecond" "<mujoco><option timestep=\"1e-9\"/>$body</mujoco>" "physics step of 1e-09 s" "$plain"
hostile "a step of a nanosecond of the layout" "<mujoco>$body</mujoco>" "time_step must be" "$plain | .time_step = 1e-9" /time_step
hostile "numbers that are none" "<mujoco><option gravity=\"nan nan nan\"/>$body</mujoco>" "" "$plain"
hostile "a height field of gigabytes" "<mujoco><asset><hfield name=\"h\" nrow=\"60000\" ncol=\"60000\" size=\"1 1 1 1\"/></asset>$body</mujoco>" \
  "" "$plain"
hostile "a million bodies" "<mujoco><worldbody><body><freejoint/><composite type=\"grid\" count=\"1000 1000 1\" spacing=\".1\">
  <geom size=\".01\"/></composite></body></worldbody></mujoco>" "" "$plain"
hostile "what MuJoCo does not know, in its words" "<mujoco><bogus/>$body</mujoco>" "bogus" "$plain"
hostile "no XML" "hello" "text between elements" "$plain"
hostile "velocities that the model lacks" "<mujoco>$body</mujoco>" "qvel[3]" '.observations = ["qpos", "qvel[3]"]' /observations/1
hostile "a field that there is not" "<mujoco>$body</mujoco>" "plugins" '.plugins = 1' /plugins
head -c 600000 /dev/zero | tr '\0' ' ' >hostile.xml
model "large" hostile.xml
answers "a text that is too large" bad_field /mjcf "524288" --json @body.json "$url/simulators"
expect "nothing of it was stored" jq -e '.items | length == 1' <(api "$url/simulators")

# ---- labels by it
expect "a dataset that names no simulator" api -o dataset.json --json '{"name": "hops", "obs_dim": 11, "act_dim": 3}' "$url/datasets"
dataset=$(jq -r .id dataset.json)
expect "its data" api -o upload.json -X POST -T "$root/tests/data/hopper-medium.hdf5" "$url/datasets/hops/trajectories?filename=a.hdf5"
answers "without a simulator none labels" bad_field /spec/labeller/simulator "names none" \
  --json '{"kind": "label", "spec": {"dataset": "hops", "labeller": "simulator"}}' "$url/jobs?dry_run=true"
answers "nor one that is not there" not_found /spec/labeller/simulator "no simulator sim_0" \
  --json '{"kind": "label", "spec": {"dataset": "hops", "labeller": {"kind": "simulator", "simulator": "sim_0"}}}' "$url/jobs?dry_run=true"
label() { jq -n --arg sim "$1" '{kind: "label", spec: {dataset: "hops", labeller: {kind: "simulator", simulator: $sim, restarts: 2}}}'; }
job=$(label "$sim" | api --json @- "$url/jobs" | jq -r .id)
answers "it stays while a job names it" conflict "" "still needs this simulator" -X DELETE "$url/simulators/$sim"
follow "$job"
expect "it labels" test "$state" = succeeded || jq . job.json
api "$url/label_sets/$(jq -r .result.label_set job.json)" >set.json
expect "nearly all is verified" jq -e --arg sim "$sim" '.verified_share > 0.97 and .simulator_steps == .known_steps and
  .labeller.simulator == $sim and .mean_residual < 0.01' set.json
api "$url/datasets/$dataset/trajectories/0" >one.json
expect "a page shows residuals" jq -e '(.proxy_residual | length) == .steps and (.proxy_verified | map(type == "boolean" or . == null) | all)' one.json
expect "the labels are the true actions" jq -e '[.actions, .proxy_actions, .proxy_verified] | transpose
  | map(select(.[2])) | (map([.[0], .[1]] | transpose | map((.[0] - .[1]) | . * .) | add) | add / length / 3) < 0.001' one.json
expect "a report judges them by all true actions" jq -e '.state' <(api --json \
  "{\"kind\": \"report\", \"spec\": {\"dataset\": \"hops\", \"label_set\": \"$(jq -r .id set.json)\"}}" "$url/jobs" | tee report.json)
follow "$(jq -r .id report.json)"
expect "as basis known" jq -e '.result.label | .labeller == "simulator" and .basis == "known" and .labellers.verified.mse < 0.001' job.json
for format in hdf5 npz jsonl safetensors; do
  expect "the export as $format" api -o "all.$format" "$url/datasets/hops/export?format=$format&actions=proxy"
done
expect "its sources say simulator" /usr/bin/python3 -c '
import h5py
with h5py.File("all.hdf5") as f:
    source, verified = f["action_source"][:], f["action_verified"][:]
assert set(source.tolist()) == {0, 3} or set(source.tolist()) == {3}, set(source.tolist())
assert verified[source == 3].mean() > 0.97 and not verified[source == 0].any()'

# ---- a net that inverts it, without solving
job=$(jq -n --arg sim "$sim" '{kind: "label", spec: {dataset: "hops", labeller: {kind: "simulator", simulator: $sim, solve: false,
  net: {pairs: 2000, steps: 300, batch: 128, hidden: 32, layers: 1}}}}' | api --json @- "$url/jobs" | jq -r .id)
follow "$job"
expect "a net labels" test "$state" = succeeded || jq . job.json
api "$url/label_sets/$(jq -r .result.label_set job.json)" >net.json
expect "with residuals, and hardly a certificate" jq -e '.simulator_steps == .known_steps and .mean_residual > 0.01 and
  .verified_share < 0.5 and .labeller.net.hidden == 32' net.json
expect "the net is a model" jq -e '.items | length == 1 and .[0].algo == "net"' <(api "$url/models?dataset=hops&role=inverse")
net=$(api "$url/models?dataset=hops&role=inverse" | jq -r '.items[0].id')
answers "it has no ONNX form" bad_field format "proxact-simulator-net-1" "$url/models/$net/weights?format=onnx"
answers "a net without pairs" bad_field /spec/labeller/net/pairs "100" \
  --json '{"kind": "label", "spec": {"dataset": "hops", "labeller": {"kind": "simulator", "net": {"pairs": 1}}}}' "$url/jobs?dry_run=true"
cp net.json set.json

# ---- one that does not fit the data
model turned "$hopper" '.observations |= reverse'
wrong=$(post | jq -r .id)
job=$(label "$wrong" | api --json @- "$url/jobs" | jq -r .id)
follow "$job"
expect "velocities taken for positions label nothing" test "$state" = failed
check=$(api "$url/jobs?dataset=hops&kind=check_simulator&state=failed" | jq -r '.items[0].id')
expect "and says by how much it misses" jq -e '.error.detail | contains("median residual") and contains("worst observation dims")' <(api "$url/jobs/$check")
expect "the labels of before stay" jq -e --arg id "$(jq -r .id set.json)" '.label_set_id == $id' <(api "$url/datasets/hops")
expect "it can be deleted then" api -X DELETE "$url/simulators/$wrong"
job=$(api --json "{\"kind\": \"check_simulator\", \"spec\": {\"dataset\": \"hops\", \"simulator\": \"$sim\"}}" "$url/jobs" | jq -r .id)
follow "$job"
expect "the one that fits is checked alone" jq -e '.state == "succeeded" and .result.verified_share > 0.99 and (.result.replay_error | length) == 11' job.json

# ---- one whose numbers are off: they are identified on the true actions
sed 's/gear="[0-9.]*"/gear="150"/g' "$hopper" >strong.xml
model strong strong.xml
strong=$(post | jq -r .id)
job=$(api --json "{\"kind\": \"check_simulator\", \"spec\": {\"dataset\": \"hops\", \"simulator\": \"$strong\"}}" "$url/jobs" | jq -r .id)
follow "$job"
expect "a model with wrong gears is adjusted" jq -e '.result.adjustment.gain > 1.15 and .result.median_residual < 1' job.json

expect "the server is the one that was started" jq -e '.status' <(curl -sS "$PROXACT_URL/readyz")
expect "and so is the worker" jq -e '.items | length == 1' <(api "$url/workers")
# Of this service: others on the machine may be labelling.
for program in server worker-1; do
  expect "no process of a model is left to the $program" test -z "$(pgrep -P "$(cat "$PROXACT_VAR/$program.pid")")"
done
finish
