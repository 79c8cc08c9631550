#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clients/examples/pipeline.sh, the curl and jq walk-through of the README, from file to policy.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
service_start 2
cd "$work" || exit 1
# A dataset as it comes in life: most trajectories without actions.
cat >mixed.py <<'PY'
import h5py
import json
import sys
with h5py.File(sys.argv[1]) as f:
    data = {k: f[k][:] for k in ("observations", "actions", "rewards", "terminals", "timeouts")}
begin = 0
out = open("mixed.jsonl", "w")
for n, end in enumerate([i + 1 for i in range(len(data["rewards"])) if data["terminals"][i] or data["timeouts"][i]][:20]):
    line = {k: data[k][begin:end].tolist() for k in ("observations", "rewards")}
    line |= {"terminated": bool(data["terminals"][end - 1]), "truncated": bool(data["timeouts"][end - 1])}
    if n % 2 == 0:
        line["actions"] = data["actions"][begin:end].tolist()
    out.write(json.dumps(line) + "\n")
    begin = end
PY
expect "a partly labelled file is made" /usr/bin/python3 mixed.py "$demo_data"
export PIPELINE='{"idm": {"steps": 60, "members": 1, "hidden": 32, "validate_every": 30}, "episodes": 2,
  "mask": {"protocol": "coupled", "p": 50, "q": 100}, "policies": [{"algo": "td3bc", "updates": 100, "hidden": 32}],
  "evaluation": "both", "sensitivity": true, "ope": {"updates": 300, "hidden": 32}}'
expect "the example runs" "$root/clients/examples/pipeline.sh" mixed.jsonl walk-through 11 3 hopper
expect "it is short" test "$(wc -l <"$root/clients/examples/pipeline.sh")" -lt 60
expect "the report has label quality" jq -e '.label.mse > 0 and .label.r2 < 1' report.json
expect "the report has a return" jq -e '.policies.ss.episodes == 2' report.json
expect "one run stands for each variant and seed; the labels not chosen stand apart" jq -e '
  ([.runs[] | [.variant, .policy, .seed]] | unique | length) == (.runs | length) and (.runs | all(has("chosen") | not))
  and .policies.ss.labels.chosen == (.runs[] | select(.variant == "ss").labels)
  and ((.candidates | length) + 1 == (.policies.ss.labels.considered | length))
  and ([.runs[], .candidates[] | select(.variant == "ss").labels] | sort) == ([.policies.ss.labels.considered[].labels] | sort)' report.json
expect "and what changed actions cost" jq -e '.runs[0].sensitivity | .episodes == 2 and (.drop.offset_per_dim | length == 3)
  and ([.drop.scale_down, .drop.scale_up, .drop.noise] | all(type == "number"))' report.json
expect "two episodes have no interval" jq -e '.policies.ss.return_ci95 == null and ([.warnings[].code] | index("no_interval"))' report.json
job=$(curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" --json "$(jq '{kind: "train_policy", spec: {dataset, label_set: .label.label_set,
  policy: {algo: "bc", updates: 20, labels: "proxy_below", max_score: 0}}}' report.json)" "$PROXACT_URL/v1/jobs" | jq -r .id)
expect "a policy that uses none of the proxies" curl -sS -o none.json -H "Authorization: Bearer $PROXACT_TOKEN" \
  "$PROXACT_URL/v1/jobs/$job?wait=60s"
for _ in 1 2 3; do
  jq -e '.state == "succeeded"' none.json >/dev/null && break
  curl -sS -o none.json -H "Authorization: Bearer $PROXACT_TOKEN" "$PROXACT_URL/v1/jobs/$job?wait=60s"
done
expect "says so" jq -e '[.result.warnings[].code] | index("no_proxies_used")' none.json
expect "warnings are typed" jq -e 'all(.warnings[]; (.code and .message and .hint) and (.figures // {} | all(type == "number")))' report.json
expect "the report judges from data too" jq -e '.policies.ss | .fqe_value and .initial_state_value and .behaviour_value > 0
  and .held_out_action_mse > 0' report.json
expect "and says how sure it is" jq -e '.runs[0].assessed | .fqe.td_rms > 0 and .fqe.transitions > 0
  and (.action_agreement | .held_out.steps > 0 and .seen.steps > 0)' report.json
cat >check.py <<'PY'
import h5py
import json
import struct
import numpy
with h5py.File("labelled.hdf5") as f:
    actions, source = f["actions"][:], f["action_source"][:]
    std, epistemic, score = f["action_std"][:], f["action_epistemic"][:], f["action_score"][:]
assert std.shape == epistemic.shape == actions.shape and score.shape == source.shape
assert (std[source == 2] > 0).all() and not std[source != 2].any() and (std >= epistemic - 1e-6).all()
assert actions.shape == (len(source), 3), actions.shape
assert numpy.isfinite(actions[source > 0]).all()
assert len(set(source.tolist())) > 1, "true and proxy actions"
with open("policy.safetensors", "rb") as f:
    header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
assert any("dtype" in v for v in header.values()), header
PY
expect "export and weights are well formed" /usr/bin/python3 check.py
expect "a file that is no data ends it with the problem" refused "$root/clients/examples/pipeline.sh" check.py x 11 3
finish
