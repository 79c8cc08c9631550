#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The study of what proxy labels are worth (bench_promise.c): six data sets, three masks, four network seeds.
# Usage: tests/bench/bench_promise.sh [FOLDER]      (make bench-promise; default FOLDER: $PROXACT_DATA or ../shared/data)
#   DATASETS  names of files in FOLDER without suffix;  MASKS: "0 1 2";  SEEDS: "0,1,2,3"
#   PARTS     "ALGO:Q[:MASKS]|options ..." separated by ';'
#   JOBS      processes at the same time, one core each: as many as there are cores;  TABLE=1: only the tables
# It takes some five CPU hours and may be interrupted: build/bench/promise.csv keeps every policy's row, and what it has is
# not done again. Labels stay in build/bench/promise.
set -u
cd "$(dirname "$0")/../.." || exit 1
folder=${1:-${PROXACT_DATA:-../shared/data}}
csv=${CSV:-build/bench/promise.csv}
cache=${CACHE:-build/bench/promise}
datasets=${DATASETS:-hopper-medium-expert hopper-medium-replay halfcheetah-medium-expert hopper-medium halfcheetah-medium-replay halfcheetah-medium}
parts=${PARTS:-"bc:50; bc:100; rebrac:50:0"}
mkdir -p "$cache" "$(dirname "$csv")"
header="dataset,q,mask,algo,options,source,labels,seed,transitions,true_transitions,proxy_transitions,label_mse,selection,final,cpu_s"
[ -s "$csv" ] || echo "$header" >"$csv"

cells() {
  local -a list
  IFS=';' read -ra list <<<"$parts"
  for part in "${list[@]}"; do
    read -r part <<<"$part"
    local what=${part%%|*} options="" algo q masks
    [[ $part == *"|"* ]] && options=${part#*|}
    IFS=: read -r algo q masks <<<"$what"
    for mask in ${masks:-${MASKS:-0 1 2}}; do
      for dataset in $datasets; do
        printf '%s\0' "$folder/$dataset.hdf5 $q $mask ${SEEDS:-0,1,2,3} $algo ${SOURCES:-labelled_only,idm,simulator,oracle} $options"
      done
    done
  done
}
if [ "${TABLE:-0}" = 0 ]; then
  # shellcheck disable=SC2016  # expanded by the inner shell
  cells | xargs -0 -P "${JOBS:-$(nproc)}" -I CELL bash -c 'build/tests/bench/bench_promise "$0" "$1" $2' "$csv" "$cache" CELL
fi
exec python3 tests/bench/promise_table.py "$csv"
