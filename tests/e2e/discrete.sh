#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Discrete actions from file to policy, with curl: CartPole with a tenth of its episodes labelled, proxy classes for the
# rest, cloned, rolled out, exported. And what must be refused.
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

# follow JOB: leaves its document in job.json once it has ended. A long poll answers at every change.
follow() {
  SECONDS=0
  until state=$(api "$url/jobs/$1?wait=10s" | tee job.json | jq -r .state) && [[ $state =~ ^(succeeded|failed|cancelled)$ ]]; do
    [ "$SECONDS" -lt $((300 * PX_PATIENCE)) ] || break
  done
}

expect "a partly labelled file is made" /usr/bin/python3 "$root/clients/examples/cartpole.py" cartpole.npz --episodes 90
expect "a dataset of discrete actions is created" \
  api --json '{"name": "cartpole", "obs_dim": 4, "act_count": 2, "env": "cartpole"}' "$url/datasets"
answers "without the declaration, integers are refused" bad_data actions \
  -X POST -T cartpole.npz "$url/datasets/$(api --json '{"name": "plain", "obs_dim": 4, "act_dim": 1}' "$url/datasets" |
  jq -r .id)/trajectories?filename=cartpole.npz"
expect "and told what to do" jq -e '.hint | test("act_count")' answer.json
expect "the upload is stored" api -X POST -T cartpole.npz "$url/datasets/cartpole/trajectories?filename=cartpole.npz"
printf '{"observations": [[0,0,0,0],[0,0,0,0]], "rewards": [1], "actions": [2], "terminated": true}\n' >third.jsonl
answers "an action that is none of the two is named" bad_data "trajectory 0, step 0, actions" \
  -X POST -T third.jsonl "$url/datasets/cartpole/trajectories?filename=third.jsonl"
api "$url/datasets/cartpole" >dataset.json
expect "a tenth of the trajectories is labelled" jq -e '.trajectories == 90 and .labelled_trajectories == 9 and .act_count == 2' dataset.json
answers "a head for continuous actions is refused" bad_field /idm/head \
  --json '{"dataset": "cartpole", "idm": {"head": "gaussian"}}' "$url/pipelines"

body='{"dataset": "cartpole", "policies": [{"algo": "bc", "updates": 1500, "hidden": 64}], "episodes": 5,
  "idm": {"members": 3, "hidden": 64, "layers": 2, "steps": 400}}'
job=$(api --json "$body" "$url/pipelines" | jq -r .id)
expect "the ensemble's head is softmax, unasked" \
  jq -e '.spec.idm | .head == "softmax" and .mean_loss == "nll"' <(api "$url/jobs/$job")
follow "$job"
expect "the pipeline succeeds" test "$state" = succeeded || jq . job.json
jq .result job.json >report.json
expect "the report judges classes by the members' held-out folds" \
  jq -e '.label | .basis == "held_out" and .accuracy > 0.95 and .cross_entropy < 0.3 and (has("mse") | not)' report.json
expect "the policy was rolled out in cartpole" jq -e '.runs[0].evaluation and .policies.ss.return_mean > 25' report.json
for format in hdf5 npz jsonl safetensors; do
  expect "the export as $format" api -o "both.$format" "$url/datasets/cartpole/export?format=$format&actions=both"
done
api "$url/datasets/cartpole/trajectories/1" >one.json
expect "a trajectory shows classes as numbers" \
  jq -e '[.proxy_actions[] | . == 0 or . == 1] | all and length > 0' one.json

cat >check.py <<'PY'
import json
import struct
import h5py
import numpy as np

truth = np.load("cartpole.npz")
with h5py.File("both.hdf5") as f:
    hdf5 = {k: f[k][()] for k in f}
npz = dict(np.load("both.npz"))
raw = open("both.safetensors", "rb").read()
size = struct.unpack("<Q", raw[:8])[0]
entry = json.loads(raw[8:8 + size])["actions"]
begin, end = entry["data_offsets"]
assert entry["dtype"] == "I64"
tensors = np.frombuffer(raw[8 + size + begin:8 + size + end], "<i8")
lines = [a for line in open("both.jsonl") for a in json.loads(line)["actions"]]
assert np.array_equal(hdf5["observations"], truth["observations"]), "upload order is kept"
assert hdf5["actions"].dtype == npz["actions"].dtype == np.int64 and hdf5["actions"].ndim == 1
assert np.array_equal(hdf5["actions"], npz["actions"]) and np.array_equal(npz["actions"], tensors)
source = hdf5["action_source"]
assert np.array_equal([0 if a is None else a for a in lines], tensors) and (source > 0).all()
known = truth["action_mask"] == 1
assert np.array_equal(source == 1, known), "true actions are marked"
assert np.array_equal(tensors[known], truth["actions"][known]), "and come back as they came"
right = tensors[~known] == truth["actions"][~known]
majority = max(np.mean(truth["actions"][~known] == c) for c in (0, 1))
print(f"accuracy of {right.size} proxy actions: {right.mean():.4f} (majority class: {majority:.4f})")
assert right.mean() > 0.98, "every class is visible in the step it makes"
assert ((hdf5["action_std"] >= 0) & (hdf5["action_std"] <= 1)).all()
PY
expect "proxy classes are right, in every format" /usr/bin/python3 check.py
grep accuracy "$work/out"

cat >onnx_check.py <<'PY'
import onnx

for name, members in (("policy.onnx", 0), ("idm.onnx", 3)):
    model = onnx.load(name)
    onnx.checker.check_model(model, full_check=True)
    weights = [t.name for t in model.graph.initializer]
    assert sum(w.endswith("mu.0.weight") for w in weights) == members, f"{name}: {weights}"
    assert model.graph.output[0].name == "actions" and model.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.INT64
    assert {p.key for p in model.metadata_props} >= {"format", "dataset"}, name
PY
policy=$(jq -r '.policies.ss.models[0]' report.json)
member=$(api "$url/models?dataset=cartpole&role=idm" | jq -r '.items[1].id')
expect "the policy comes as ONNX" api -o policy.onnx "$url/models/$policy/weights?format=onnx"
expect "so does the ensemble of any member" api -o idm.onnx "$url/models/$member/weights?format=onnx"
expect "ONNX's checker takes both" /usr/bin/python3 onnx_check.py
answers "another format is refused" bad_field format "$url/models/$policy/weights?format=tflite"

# A mask hides known actions, so that the report itself can tell.
/usr/bin/python3 "$root/clients/examples/cartpole.py" whole.npz --episodes 60 --labelled 1 --seed 1 >/dev/null
api --json '{"name": "whole", "obs_dim": 4, "act_count": 2}' "$url/datasets" >/dev/null
api -X POST -T whole.npz "$url/datasets/whole/trajectories?filename=whole.npz" >/dev/null
body='{"dataset": "whole", "policies": [], "mask": {"protocol": "coupled", "p": 10, "q": 50},
  "idm": {"members": 2, "hidden": 32, "layers": 2, "steps": 300}}'
job=$(api --json "$body" "$url/pipelines" | jq -r .id)
follow "$job"
jq .result.label job.json >label.json
expect "the report on hidden classes has accuracy beside the yardsticks'" jq -e '.basis == "hidden" and .accuracy > 0.9
  and .cross_entropy >= 0 and (.accuracy_per_class | length) == 2 and .inside.accuracy and .outside.accuracy
  and (.yardsticks | has("majority") and has("ridge") and has("nearest"))
  and .accuracy > .yardsticks.majority.accuracy' label.json
jq -c '{accuracy, cross_entropy, yardsticks: (.yardsticks | map_values(.accuracy))}' label.json
finish
