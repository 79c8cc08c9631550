#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The whole pipeline on one file, as a user runs it, with several masks: label quality and returns.
# Usage: tests/bench/bench_pipeline.sh FILE OBS_DIM ACT_DIM ENV [SEEDS]      (make bench-pipeline)
#   SEEDS     of mask, networks and evaluation: default "0 1 2"
#   POLICIES  JSON list; WORKERS, as for deploy/up.sh
# Hides all but 10% of the actions, drawn from the worse half by return (the coupled protocol). Prints a line per seed
# and one with the means, and writes build/bench/pipeline.csv. PostgreSQL does not sync here.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
file=$1 obs_dim=$2 act_dim=$3 env=$4 seeds=${5:-0 1 2}
policies=${POLICIES:-'[{"algo": "td3bc", "updates": 20000, "alpha": 0.5, "lr": 0.001},
  {"algo": "bc", "top_percent": 40, "updates": 10000}]'}
work=$(mktemp -d) || exit 1
chmod 755 "$work"
export PROXACT_VAR=$work/var
cleanup() {
  "$root/deploy/down.sh" --destroy
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
PROXACT_FIRST_PORT=$((30000 + $$ % 10000)) "$root/deploy/up.sh" --throwaway || exit 1
# shellcheck source=/dev/null
. "$PROXACT_VAR/env"
api() { curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" "$@"; }

# pipeline SEED: its finished document.
pipeline() {
  local job state=queued
  job=$(jq -n --arg dataset "$dataset" --argjson seed "$1" --argjson policies "$policies" '{
      dataset: $dataset, mask: {protocol: "coupled", p: 10, q: 50, seed: $seed}, idm: {seed: $seed}, policies: $policies,
      seeds: [$seed], baselines: ["labelled_only", "oracle"], episodes: 20}' |
    api --json @- "$PROXACT_URL/v1/pipelines" | jq -r .id) || return 1
  while [[ $state =~ ^(queued|blocked|running)$ ]]; do
    api "$PROXACT_URL/v1/jobs/$job?wait=30s" >"$work/job.json" || return 1
    state=$(jq -r .state "$work/job.json")
  done
  [ "$state" = succeeded ] || { jq .error "$work/job.json" >&2; return 1; }
}

dataset=$(jq -n --arg env "$env" --argjson o "$obs_dim" --argjson a "$act_dim" \
  '{name: "bench", obs_dim: $o, act_dim: $a, env: $env}' | api --json @- "$PROXACT_URL/v1/datasets" | jq -r .id) || exit 1
api -X POST -T "$file" "$PROXACT_URL/v1/datasets/$dataset/trajectories?filename=$(basename "$file")" >/dev/null || exit 1

# shellcheck disable=SC2016  # jq's variables
row='.result as $r | [$file, $seed, ($seconds | tonumber), $r.label.mse, $r.label.r2, $r.label.inside.mse, $r.label.outside.mse,
  $r.label.yardsticks.mean.mse, $r.label.yardsticks.ridge.mse, $r.label.yardsticks.nearest.mse] as $head
  | $r.algorithms | to_entries[] | $head + [.key, .value.labelled_only.normalized, .value.ss.normalized, .value.oracle.normalized]'
header="file,seed,seconds,mse,r2,mse_inside,mse_outside,mean,ridge,nearest,policy,labelled_only,ss,oracle"
mkdir -p "$root/build/bench"
csv=$root/build/bench/pipeline.csv
echo "$header" | tee "$csv"
for seed in $seeds; do
  began=$SECONDS
  pipeline "$seed" || exit 1
  jq -r --arg file "$(basename "$file")" --arg seed "$seed" --arg seconds $((SECONDS - began)) \
    "$row | map(if type == \"number\" then . * 10000 | round / 10000 else . end) | @csv" "$work/job.json" | tr -d '"' | tee -a "$csv"
done
awk -F, 'NR > 1 { n[$11]++; for (i = 4; i <= 14; i++) if (i != 11) sum[$11, i] += $i }
  END { for (p in n) { printf "mean of %d seeds", n[p]; for (i = 4; i <= 14; i++) if (i == 11) printf ",%s", p
        else printf ",%.4g", sum[p, i] / n[p]; print "" } }' "$csv"
