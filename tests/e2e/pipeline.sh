#!/bin/bash
# clients/examples/pipeline.sh, the curl and jq walk-through of the README, from file to policy.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
service_start 2
cd "$work" || exit 1
export PIPELINE='{"idm": {"steps": 60, "members": 1, "hidden": 32, "validate_every": 30}, "episodes": 2,
  "mask": {"protocol": "coupled"}, "policies": [{"algo": "td3bc", "updates": 100, "hidden": 32}]}'
expect "the example runs" "$root/clients/examples/pipeline.sh" "$demo_data" walk-through 11 3 hopper
expect "it is short" test "$(wc -l <"$root/clients/examples/pipeline.sh")" -lt 60
expect "the report has label quality" jq -e '.label.mse > 0 and .label.r2 < 1' report.json
expect "the report has a return" jq -e '.policies.ss.episodes == 2' report.json
cat >check.py <<'PY'
import h5py
import json
import struct
import sys
import numpy
with h5py.File("labelled.hdf5") as f:
    actions, source = f["actions"][:], f["action_source"][:]
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
