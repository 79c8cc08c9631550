#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Uploads that cost as much as a few megabytes can, beside a client that submits, uploads and exports. What one token's
# uploads cost must not be waited for: not by another kind of work, and within their own not by another token.
#   SCALE=10 asks ten times as often and sends ten times as many
set -u
cd "$(dirname "$0")/../.." || exit 2
[ -n "${PX_TEST_STACK:-}" ] || exec tests/support/stack.sh "$0" "$@"
# shellcheck source=tests/support/server.sh
. tests/support/server.sh
N=$((60 * ${SCALE:-1}))

"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create normal) || exit 1
hostile=$("$build/proxact-server" token create hostile) || exit 1
server_start
for name in normal hostile; do api POST /v1/datasets --json "{\"name\": \"$name\", \"obs_dim\": 1, \"act_dim\": 1}"; done
one='{"observations": [[0], [1]], "rewards": [1], "actions": [[0.5]], "terminated": true, "truncated": false}'
for i in 1 2 3 4 5 6 7 8; do echo "$one"; done >"$work/t.jsonl"
upload() { api POST /v1/datasets/normal/trajectories -H 'Content-Type: application/jsonl' --data-binary @"$work/t.jsonl"; }
upload
is "the normal client has a dataset" 201

# An array in one chunk that unpacks to a hundred times the file; a hundred thousand trajectories of a step; a file of many
# small arrays; junk in every format. 10 MB together.
/usr/bin/python3 - "$work" <<'PYTHON' || exit 1
import json, os, struct, sys, zipfile
import h5py
import numpy as np

os.chdir(sys.argv[1])
def flat(name, rows, ends, pad):
    with h5py.File(name, "w") as f:
        for column in ("observations", "rewards"):
            f.create_dataset(column, data=np.zeros(rows), chunks=(rows,), compression=1)
        f.create_dataset("terminals", data=ends.astype("u1"), chunks=(rows,), compression=1)
        f.create_dataset("pad", data=np.frombuffer(os.urandom(pad), "u1"))
ends = np.zeros(5_000_000)
ends[9_999::10_000] = 1
flat("hostile-chunk.hdf5", 5_000_000, ends, 1_000_000)
flat("hostile-steps.hdf5", 100_000, np.ones(100_000), 1_000_000)
with h5py.File("hostile-groups.hdf5", "w") as f:
    for i in range(600):
        g = f.create_group(f"episode_{i}")
        for name in ("observations", "actions", "rewards", "terminations", "truncations"):
            g[name] = np.zeros((1, 1)) if name in ("observations", "actions") else np.zeros(1)
with open("hostile-line.jsonl", "w") as f:
    f.write('{"observations": [' + "[0]," * 400_000)
with open("hostile-lines.jsonl", "w") as f:
    f.write('{"observations":[[0]],"rewards":[0],"terminated":true}\n' * 20_000)
with zipfile.ZipFile("hostile-many.npz", "w") as z:
    for i in range(9_000):
        z.writestr(f"{i}.npy", b"")
header = json.dumps({f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]} for i in range(4_000)}).encode()
open("hostile-header.safetensors", "wb").write(struct.pack("<Q", len(header)) + header)
PYTHON
say "hostile files: $(cat "$work"/hostile-* | wc -c) bytes"

beside=(/usr/bin/python3 tests/fault/tools/beside.py)
dry_runs() { "${beside[@]}" "$port" "$token" ask "$N" POST '/v1/jobs?dry_run=true' '{"kind": "train_policy", "spec": {"dataset": "normal", "policy": {"algo": "bc"}}}'; }
lane() { # LANE STATE: how many requests
  curl -fsS -H "Authorization: Bearer $token" "$url/metrics" | sed -n "s/^proxact_work_requests{lane=\"$1\",state=\"$2\"} //p"
}
lane_has() { [ "$(lane "$1" "$2")" -ge "$3" ]; }
quiet() { [ "$(lane read running)" = 0 ] && [ "$(lane read waiting)" = 0 ]; }
measured() { # WHEN
  ok "all dry runs are answered $1" eval "dry_runs >'$work/took'"
  say "dry runs $1 (p50, p99, most): $(cat "$work/took") ms"
}
attack() { # in the background, all files at once, so many times
  local file format
  attacks=()
  for file in "$work"/hostile-*; do
    format=${file##*.}
    "${beside[@]}" "$port" "$hostile" send "$1" "/v1/datasets/hostile/trajectories?format=$format" "$file" >"$file.codes" &
    attacks+=($!)
  done
}

measured before

attack $((2 * ${SCALE:-1}))
ok "hostile uploads are read" wait_until 20 lane_has read running 1
measured during
wait "${attacks[@]}"
say "hostile uploads were answered: $(cat "$work"/hostile-*.codes | awk '{ n[$1] += $2 } END { for (c in n) printf "%s: %d  ", c, n[c] }')"
ok "nothing but 201, 413 and 422 was said to them" refused grep -vhE '^(201|413|422) ' "$work"/hostile-*.codes
ok "then none is left" wait_until 60 quiet
measured after

# --- parsers that stand still: whatever does not wait for them is answered all the same
helpers() { cat /proc/"$(server_pid)"/task/*/children 2>/dev/null; }
hold_helpers() { # until three stand still: one token has three threads of four
  # shellcheck disable=SC2046  # a list of numbers
  kill -STOP $(helpers) 2>/dev/null
  [ "$(helpers | wc -w)" -eq 3 ] && lane_has read running 3 && lane_has read waiting 5
}
"${beside[@]}" "$port" "$hostile" send 8 '/v1/datasets/hostile/trajectories?format=hdf5' "$work/hostile-chunk.hdf5" >"$work/held.codes" &
held=$!
ok "one token's uploads have all threads but one, and wait" wait_until 40 hold_helpers
"${beside[@]}" "$port" "$hostile" slow 20 '/v1/datasets/hostile/trajectories?format=jsonl' >"$work/slow" &
slow=$!
end_slow() { kill "$slow" 2>/dev/null; }
on_end end_slow
ok "twenty more send a byte a second" wait_until 20 grep -q begun "$work/slow"
measured "beside uploads that stand still"
upload
is "another token's upload is read" 201
api GET '/v1/datasets/normal/export?format=hdf5'
is "an export is sent" 200
api POST '/v1/datasets/normal/trajectories?async=true' -H 'Content-Type: application/jsonl' --data-binary @"$work/t.jsonl"
is "an upload for a job is stored" 202
ok "while those stand still" lane_has read running 3
# shellcheck disable=SC2046
kill -KILL $(helpers) 2>/dev/null # the next are not held
wait "$held"
end_slow
wait "$slow"
ok "then none is left here either" wait_until 60 quiet
api GET /v1/datasets/normal
is "what was sent is there, and nothing else" 200 '.trajectories == 16'
ok "every answer is as described" check_answers
finish
