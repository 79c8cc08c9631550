#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Jobs claimed and finished a second, quiet and in a storm, and how long a ready job waits for a worker that waits for
# work. The PostgreSQL started here syncs, as in service.
#   tests/bench/bench_jobs.sh OUT.csv [SECONDS [SEED]]      (make bench-jobs)
# BENCH_DIR: a folder on the disk to be measured (default /var/tmp).
set -uo pipefail
csv=$(realpath -m "${1:?usage: bench_jobs.sh OUT.csv [SECONDS [SEED]]}")
seconds=${2:-30} seed=${3:-1}
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/bench/service_lib.sh
. "$here/service_lib.sh"

# finishing FAULTS WHAT: four clients through the proxy that the storm's faults go through
finishing() {
  "$build/tests/fault/tools/nemesis" --workers=0 --seed="$seed" --faults="$1" -- \
    "$build/tests/bench/bench_jobs" finish "$seconds" "$csv" "$2" || die "finishing jobs failed"
}

mkdir -p "$PROXACT_VAR" "$(dirname "$csv")"
printf 'what,median,lowest,highest,unit\n' >"$csv"
cd "$root" || exit 1 # where nemesis finds deploy/
deploy/stack.sh start || exit 1
eval "$(deploy/stack.sh env)"
"$build/proxact-server" migrate >"$work/migrate.log" || die "the migration failed"
say "$(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg), seed $seed"
"$build/tests/bench/bench_jobs" wake "$csv" || die "waiting for work failed"
"$build/tests/bench/bench_store" "$work" "$csv" || die "measuring the store failed"
finishing 0 "claim and finish, 4 clients through the proxy, quiet"
finishing $((seconds * 1000 / 340)) "the same in a storm"
say "load at the end $(cut -d' ' -f1-3 /proc/loadavg); written to $csv"
