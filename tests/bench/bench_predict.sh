#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How long predictions take beside trainings: a policy of 2 x 256 units and an ensemble of five, each for 1, 256 and 4,096 rows,
# as JSON and as safetensors; while WORKERS (1) workers train.
#
#   tests/bench/bench_predict.sh OUT.csv      (make bench-predict)
#
# REQUESTS (200) of each, one after another on one connection.
set -uo pipefail
csv=$(realpath -m "${1:?usage: bench_predict.sh OUT.csv}")
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/bench/service_lib.sh
. "$here/service_lib.sh"
requests=${REQUESTS:-200} workers=${WORKERS:-1}
export PROXACT_RATE_PER_S=0

# bodies ROWS: that many observations, as JSON and as safetensors
bodies() {
  /usr/bin/python3 - "$1" "$work/body" <<'PY'
import json
import sys

import numpy as np

rows = np.random.default_rng(1).normal(size=(int(sys.argv[1]), 11)).astype("<f4")
json.dump({"observations": [[round(float(x), 6) for x in row] for row in rows]}, open(sys.argv[2] + ".json", "w"))
header = json.dumps({"observations": {"dtype": "F32", "shape": rows.shape, "data_offsets": [0, rows.nbytes]}}).encode()
open(sys.argv[2] + ".safetensors", "wb").write(len(header).to_bytes(8, "little") + header + rows.tobytes())
PY
}
# times MODEL TYPE FILE: milliseconds of each request, in ascending order, on one connection
times() {
  curl -sS -o /dev/null -w '%{http_code} %{time_total}\n' -H "Authorization: Bearer $PROXACT_TOKEN" -H "Content-Type: application/$2" \
    --data-binary @"$3" "$PROXACT_URL/v1/models/$1:predict#[1-$requests]" >"$work/times" || die "predictions failed"
  awk '$1 != 200 { bad++ } END { exit bad > 0 }' "$work/times" || die "a prediction was refused: $(sort "$work/times" | tail -1)"
  awk '{ print 1000 * $2 }' "$work/times" | sort -n
}
part() { awk -v share="$1" '{ t[NR] = $1 } END { at = int(share * NR + 0.5); print t[at < 1 ? 1 : at] }'; }
# measure WHAT MODEL EXTRA: EXTRA rows more than are answered
measure() {
  local n type all
  for n in 1 256 4096; do
    bodies $((n + $3))
    for type in json x-safetensors; do
      times "$2" "$type" "$work/body.${type#x-}" >/dev/null # loads the model
      all=$(times "$2" "$type" "$work/body.${type#x-}")
      row "$1, $n rows, ${type#x-}: p50" ms "$(part 0.5 <<<"$all")"
      row "$1, $n rows, ${type#x-}: p99" ms "$(part 0.99 <<<"$all")"
    done
  done
}

service_start
worker_start 1
dataset=$(new_dataset hopper)
upload "$dataset" "$root/deploy/demo/hopper-demo.hdf5" >/dev/null
# Of the default sizes; how well they are trained does not matter here.
job=$(submit train_policy "{\"dataset\": \"$dataset\", \"policy\": {\"algo\": \"td3bc\", \"updates\": 20}}")
pipeline=$(api POST /v1/pipelines --json "{\"dataset\": \"$dataset\", \"idm\": {\"steps\": 20, \"validate_every\": 10},
  \"mask\": {\"protocol\": \"coupled\", \"p\": 50, \"q\": 100}, \"policies\": [], \"evaluation\": \"none\"}" | jq -r .id)
job_await "$job" 120 "state = 'succeeded'"
job_await "$pipeline" 300 "state = 'succeeded'"
member=$(sql "select id from models where role = 'idm' order by created_at limit 1")
for n in $(seq 2 "$workers"); do worker_start "$n"; done
for n in $(seq "$workers"); do
  busy=$(submit train_policy "{\"dataset\": \"$dataset\", \"policy\": {\"algo\": \"td3bc\", \"updates\": 10000000}, \"seed\": $n}")
  job_await "$busy" 60 "state = 'running' and step > 0"
done
mkdir -p "$(dirname "$csv")"
printf 'what,median,lowest,highest,times,unit\n' >"$csv"
measure "policy" "mdl_${job#job_}" 0
measure "ensemble of five" "$member" 1
