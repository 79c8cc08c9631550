#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each example of docs/formats.md is made as the page says, and uploaded. Then every export format goes round: out, and back as the
# same trajectories by digest, whether steps are labelled or not.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
service_start 0
cd "$work" || exit 1
api() { curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" "$@"; }
url=$PROXACT_URL/v1/datasets page=$root/docs/formats.md
# blocks LANGUAGE: what the page's blocks of that language hold
blocks() { awk -v language="$1" '/^```/ { on = !on && $0 == "```" language; next } on' "$page"; }
upload() { api -o answer.json -X POST -T "$1" "$url/$2/trajectories?filename=$1&${3:-}"; }

api -o /dev/null --json '{"name": "examples", "obs_dim": 2, "act_dim": 1}' "$url"
blocks jsonl >lines.jsonl
blocks csv >table.csv
blocks python >make.py
expect "the page's program makes its files" /usr/bin/python3 make.py
n=0
for file in lines.jsonl table.csv d4rl.hdf5 flat.npz minari.hdf5 robomimic.hdf5 d3rlpy.hdf5 trajectories.safetensors; do
  api -o /dev/null --json "{\"name\": \"example-$n\", \"obs_dim\": 2, \"act_dim\": 1}" "$url"
  expect "$file is taken" upload "$file" "example-$n"
  expect "with two trajectories and three actions" jq -e '.trajectories == 2 and .steps == 5 and .labelled_steps == 3' answer.json || cat answer.json
  expect "that end as the page says" jq -e '[.items[] | [.length, .terminated, .truncated]] == [[3, true, false], [2, false, true]]' \
    <(api "$url/example-$n/trajectories")
  n=$((n + 1))
done
expect "as many formats as the page has, but LeRobot" test "$((n + 1))" = "$(grep -c '^| \[' "$page")"
expect "the examples are filled" upload lines.jsonl examples
blocks sh >lerobot.sh
expect "the page's command exports a folder" bash -e lerobot.sh
expect "which uploads again as it was" upload robot.tar examples on_duplicate=skip
expect "by digest" jq -e '.trajectories == 0 and .duplicates == 2' answer.json

# Everything at once: trajectories with all, some and no actions, with and without a final state.
printf '%s\n' '{"observations": [[9, 1], [0.5, 1]], "actions": [[0.125], null], "rewards": [0.1, 0.2], "terminated": false}' \
  '{"observations": [[8, 1], [0.25, 1]], "rewards": [0.5], "terminated": true, "truncated": true}' >more.jsonl
expect "and more of all kinds" upload more.jsonl examples
sed -n 's/^PX_EXPORT([A-Z0-9]*, \([a-z0-9]*\),.*/\1/p' "$root/schema/exports.def" >words
while read -r format; do
  for actions in true both; do
    suffix=$format
    [ "$format" != lerobot ] || suffix=tar
    expect "an export as $format, actions $actions" api -o "out.$suffix" "$url/examples/export?format=$format&actions=$actions"
    expect "goes round" upload "out.$suffix" examples on_duplicate=skip
    expect "by digest" jq -e '.trajectories == 0 and .duplicates == 4' answer.json || cat answer.json
  done
done <words
expect "that is all formats" test "$(wc -l <words)" -ge 6
api -o /dev/null --json '{"name": "twin", "obs_dim": 2, "act_dim": 1}' "$url"
upload lines.jsonl twin
upload more.jsonl twin
while read -r format; do
  for name in examples twin; do api -o "$name.bytes" "$url/$name/export?format=$format&about=false"; done
  expect "without what it is, equal data are equal bytes of $format" cmp examples.bytes twin.bytes
done <words
api -o about.hdf5 "$url/examples/export?format=hdf5"
expect "a file says what it is" /usr/bin/python3 -c '
import h5py
a = dict(h5py.File("about.hdf5").attrs)
assert a["dataset"] == "examples" and a["dataset_version"] == "3" and a["act_low"] == "[-1.0]", a
assert a["dataset_id"].startswith("ds_") and a["actions_written"] == "both" and a["proxact_version"], a
assert "label_set" not in a and "env" not in a, a'
finish
