#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What each algorithm is worth with all true actions: trains on whole datasets, plays the policies, and prints normalised
# returns beside the figures that CORL's README publishes for D4RL's own, larger datasets and (but for dt) a million updates.
# Usage: tests/bench/bench_returns.sh [FOLDER]      (make bench-returns; default FOLDER: $PROXACT_DATA or ../shared/data)
#   ALGOS     "name[:updates[:option=number]...] ...", default: all with their defaults
#   DATASETS  names of files in FOLDER without suffix; SUFFIX of them: hdf5; SEEDS: default "0 1 2"
#   JOBS      trainings at the same time, one core each: default as many as there are cores
# Writes build/bench/returns.csv as results come. One policy takes from half a minute to some tens of minutes.
set -u
cd "$(dirname "$0")/../.." || exit 1
folder=${1:-${PROXACT_DATA:-../shared/data}}
suffix=${SUFFIX:-hdf5}
datasets=${DATASETS:-hopper-medium hopper-medium-replay hopper-medium-expert halfcheetah-medium halfcheetah-medium-replay halfcheetah-medium-expert}
algos=${ALGOS:-$(sed -n 's/^PX_ALGO("\([^"]*\)".*/\1/p' schema/algos.def)}
csv=${CSV:-build/bench/returns.csv}
export RUNNER=${RUNNER:-build/tests/bench/bench_policy}
mkdir -p "$(dirname "$csv")"
echo "dataset,algo,updates,seed,transitions,updates_per_s,return_mean,ci95_low,ci95_high,normalized,discounted,fqe,own_value" >"$csv"

# train FILE ENV ALGO[:UPDATES[:OPTION=NUMBER]...] SEED
train() {
  local file=$1 env=$2 seed=$4
  local -a parts
  IFS=: read -ra parts <<<"$3"
  # shellcheck disable=SC2086  # the runner may be a command with arguments
  $RUNNER "$file" "$env" "${parts[0]}" "${parts[1]:--}" "$seed" "${parts[@]:2}" | sed 's|^[^,]*/||; s|[.][a-z0-9]*,|,|'
}
export -f train

# Seeds outermost: what has come so far is a whole table with fewer seeds.
for seed in ${SEEDS:-0 1 2}; do
  for algo in $algos; do
    for dataset in $datasets; do
      printf '%s\0%s\0%s\0%s\0' "$folder/$dataset.$suffix" "${dataset%%-*}" "$algo" "$seed"
    done
  done
done | xargs -0 -n 4 -P "${JOBS:-$(nproc)}" bash -c 'train "$@"' train | tee -a "$csv"

echo
awk -F, '
  BEGIN {
    # CORL (github.com/tinkoff-ai/CORL), README of August 2023, Gym-MuJoCo v2, last scores: means over 4 seeds or more.
    n = split("bc 10%bc td3bc cql iql dt awac rebrac", names, " ")
    list["hopper-medium"] = "53.51 55.48 60.37 59.08 67.53 65.10 74.45 102.29"
    list["hopper-medium-replay"] = "29.81 70.42 64.42 95.11 97.43 81.77 96.39 94.98"
    list["hopper-medium-expert"] = "52.30 111.16 101.17 99.26 107.42 110.44 52.73 109.45"
    list["halfcheetah-medium"] = "42.40 42.46 48.10 47.04 48.31 42.20 49.46 64.04"
    list["halfcheetah-medium-replay"] = "35.66 23.59 44.84 45.04 44.46 38.91 44.70 51.18"
    list["halfcheetah-medium-expert"] = "55.95 90.10 90.78 95.63 94.74 91.55 93.62 103.80"
    for (d in list) { split(list[d], row, " "); for (i = 1; i <= n; i++) published[d, names[i]] = row[i] }
  }
  NR > 1 { key = $1 FS $2 FS $3; if (!(key in count)) order[++keys] = key; count[key]++; sum[key] += $10; squares[key] += $10 * $10 }
  END {
    printf "%-26s %-8s %8s %5s %10s %6s %10s\n", "dataset", "algo", "updates", "seeds", "normalized", "sd", "published"
    for (i = 1; i <= keys; i++) {
      key = order[i]; split(key, part, FS); mean = sum[key] / count[key]
      variance = count[key] > 1 ? (squares[key] - count[key] * mean * mean) / (count[key] - 1) : 0
      printf "%-26s %-8s %8d %5d %10.1f %6.1f %10s\n", part[1], part[2], part[3], count[key], mean,
        (variance > 0 ? sqrt(variance) : 0), published[part[1], part[2]]
    }
  }' "$csv" | sort -k1,1 -k2,2 -s
