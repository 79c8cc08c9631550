#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Predictions with curl: a policy against the Python client's, an ensemble against the labels of its own label job, as JSON and
# as safetensors; and what must be refused.
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
  expect "$what" jq -e --arg c "$code" --arg p "$pointer" '.code == $c and (.errors[0].pointer // "") == $p' answer.json || cat answer.json
}

api --json '{"name": "hops", "obs_dim": 11, "act_dim": 3}' "$url/datasets" >/dev/null
api -X POST -T "$demo_data" "$url/datasets/hops/trajectories?filename=demo.hdf5" >/dev/null
body='{"dataset": "hops", "mask": {"protocol": "coupled", "p": 20, "q": 100}, "evaluation": "none",
  "idm": {"steps": 60, "members": 3, "hidden": 32, "validate_every": 30}, "policies": [{"algo": "bc", "updates": 100, "hidden": 32, "labels": "all"}]}'
job=$(api --json "$body" "$url/pipelines" | jq -r .id)
SECONDS=0
until state=$(api "$url/jobs/$job?wait=10s" | jq -r .state) && [[ $state =~ ^(succeeded|failed|cancelled)$ ]]; do
  [ "$SECONDS" -lt $((300 * PX_PATIENCE)) ] || break
done
expect "the pipeline succeeds" test "$state" = succeeded
member=$(api "$url/models?dataset=hops&role=idm" | jq -r '.items[1].id')
policy=$(api "$url/models?dataset=hops&role=policy" | jq -r '.items[0].id')
api -o weights.safetensors "$url/models/$policy/weights"
api "$url/datasets/hops/trajectories/3" >one.json

cat >ask.py <<'PY'
import json
import sys

import numpy as np

sys.path.insert(0, sys.argv[1])
from proxact import Policy
from proxact.safetensors import read_safetensors

one = json.load(open("one.json"))
observations = np.asarray(one["observations"], "f4")


def put(name, rows):
    """The rows as JSON and as safetensors."""
    json.dump({"observations": rows.tolist()}, open(name + ".json", "w"))
    header = json.dumps({"observations": {"dtype": "F32", "shape": rows.shape, "data_offsets": [0, rows.nbytes]}}).encode()
    open(name + ".safetensors", "wb").write(len(header).to_bytes(8, "little") + header + rows.astype("<f4").tobytes())


def answers(name):
    said = json.load(open(name + ".said.json"))
    tensors, meta = read_safetensors(name + ".said.safetensors")
    assert said.pop("model") == meta["model"]
    assert set(said) == set(tensors), (set(said), set(tensors))
    for key, rows in said.items():
        assert np.array_equal(np.asarray(rows, "f4"), tensors[key]), key
    return tensors


if sys.argv[2] == "put":
    put("policy", np.concatenate([observations, observations * 1e4])[:300])
    put("idm", observations)
    put("stretches", np.stack([observations[:9], observations[5:14]]))
    sys.exit()
policy, rows = Policy("weights.safetensors"), np.asarray(json.load(open("policy.json"))["observations"], "f4")
acted = np.stack([policy.act(row) for row in rows])
worst = np.abs(answers("policy")["actions"] - acted).max()
print(f"policy: {len(rows)} rows, largest difference {worst:.1e}")
assert worst < 1e-5 and answers("policy")["actions"].shape == acted.shape
said = answers("idm")
names = {"actions": "proxy_actions", "action_std": "proxy_std", "action_epistemic": "proxy_epistemic", "action_score": "proxy_score"}
for key, proxy in names.items():
    known = [i for i, row in enumerate(one[proxy]) if row is not None and i < len(said[key])]
    worst = np.abs(said[key][known] - np.asarray([one[proxy][i] for i in known], "f4")).max()
    print(f"{key}: {len(known)} steps, largest difference {worst:.1e}")
    assert len(known) > 10 and worst < 1e-5, key
stretches = answers("stretches")["actions"]
assert stretches.shape == (2, 8, 3), stretches.shape
assert np.abs(stretches[0] - said["actions"][:8]).max() < 1e-5, "a stretch begins an episode"
PY
expect "observations are written down" /usr/bin/python3 ask.py "$root/clients/python" put
# ask NAME MODEL: as JSON and as safetensors
ask() {
  api --json @"$1.json" -o "$1.said.json" "$url/models/$2:predict" &&
    api -H 'Content-Type: application/x-safetensors' --data-binary @"$1.safetensors" -o "$1.said.safetensors" "$url/models/$2:predict"
}
expect "the policy acts" ask policy "$policy"
expect "the ensemble labels an episode" ask idm "$member"
expect "and stretches of one" ask stretches "$member"
expect "they say what the client and the label job said" /usr/bin/python3 ask.py "$root/clients/python" check
grep difference "$work/out"

predict() { answers "$1" "$2" "$3" --json "$4" "$url/models/${5:-$policy}:predict"; }
row='[0,0,0,0,0,0,0,0,0,0,0]'
predict "a model that is not there" not_found "" "{\"observations\": [$row]}" mdl_none
predict "another number of columns" bad_field /observations '{"observations": [[1, 2]]}'
predict "a row that is shorter" bad_field /observations/1/0 "{\"observations\": [$row, [1]]}"
predict "what is no number" bad_field /observations/0/10 '{"observations": [[0,0,0,0,0,0,0,0,0,0,null]]}'
predict "a number beyond float32" bad_field /observations/0/0 '{"observations": [[1e300,0,0,0,0,0,0,0,0,0,0]]}'
predict "no rows" bad_field /observations '{"observations": []}'
predict "no observations" bad_field /observations '{}'
predict "another field" bad_field "" "{\"observations\": [$row], \"rewards\": [1]}"
predict "one observation alone has no action" bad_field /observations "{\"observations\": [$row]}" "$member"
predict "what is no JSON" bad_request "" '{"observations": [[1,'
answers "what is no safetensors" bad_data "" -H 'Content-Type: application/x-safetensors' --data-binary 'hello' "$url/models/$policy:predict"
answers "another type" unsupported_media "" -H 'Content-Type: text/csv' --data-binary '1,2' "$url/models/$policy:predict"
jq -cn '{observations: [range(65537) | [range(11)]]}' >many.json
answers "too many rows" too_large /observations --json @many.json "$url/models/$policy:predict"
api -X DELETE "$url/models/$policy" >/dev/null
predict "a model that was deleted predicts no more" not_found "" "{\"observations\": [$row]}"
finish
