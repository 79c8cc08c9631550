#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How fast the service is as a whole, through its own programs: uploads against the disk under them, loading a dataset
# into a worker, labelling from claim to publication, recovery from killed processes, requests a second.
#
#   tests/bench/bench_service.sh OUT.csv [PART...]      (make bench-service)
#
# Parts: ingest label recovery requests (default: all). QUICK=1 takes less data and fewer repeats.
# PROXACT_DATA names a folder with hopper-medium-expert.hdf5; without it the demo's dataset stands in.
# BENCH_DIR: a folder on the disk to be measured (default /var/tmp). The PostgreSQL started here syncs, as in service.
set -uo pipefail
csv=$(realpath -m "${1:?usage: bench_service.sh OUT.csv [PART...]}")
shift
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/bench/service_lib.sh
. "$here/service_lib.sh"
# shellcheck source=tests/bench/service_ingest.sh
. "$here/service_ingest.sh"
# shellcheck source=tests/bench/service_label.sh
. "$here/service_label.sh"
# shellcheck source=tests/bench/service_recovery.sh
. "$here/service_recovery.sh"
# shellcheck disable=SC2034  # the parts read these
if [ "${QUICK:-}" = 1 ]; then
  megabytes=20 repeats=2 label_repeats=1 test_kills=2 default_kills=1 outages=2
else
  megabytes=100 repeats=5 label_repeats=3 test_kills=10 default_kills=3 outages=5
fi
demo=$root/deploy/demo/hopper-demo.hdf5
hopper=${PROXACT_DATA:-$root/../shared/data}/hopper-medium-expert.hdf5
[ -r "$hopper" ] || hopper=$demo

bench_requests() {
  local job rate=() i
  command -v wrk >/dev/null || { say "SKIP requests: wrk is not installed"; return 0; }
  job=$(sql "select id from jobs order by created_at limit 1")
  [ -n "$job" ] || { say "SKIP requests: no part before has left a job"; return 0; }
  for ((i = 0; i < repeats; i++)); do
    rate+=("$(wrk -t1 -c32 -d3 -H "Authorization: Bearer $PROXACT_TOKEN" "$PROXACT_URL/v1/jobs/$job" |
      awk '/^Requests\/sec/ { print $2 }')")
  done
  row "GET /v1/jobs/{id}, 32 connections" requests/s "${rate[@]}"
}

[ $# -gt 0 ] || set -- ingest label recovery requests
mkdir -p "$(dirname "$csv")"
printf 'what,median,lowest,highest,times,unit\n' >"$csv"
service_start
say "$(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg)"
big=$work/big.safetensors
if [[ " $* " =~ \ (ingest|label)\  ]]; then
  /usr/bin/python3 "$here/make_service_data.py" "$hopper" "$big" "$megabytes" >/dev/null || die "making the upload failed"
  say "$(basename "$hopper"), repeated: $(($(stat -c %s "$big") / 1000000)) MB"
fi
for part in "$@"; do
  case $part in
    ingest | label | recovery | requests) "bench_$part" ;;
    *) die "there is no part '$part'" ;;
  esac
done
say "load at the end $(cut -d' ' -f1-3 /proc/loadavg); written to $csv"
