# SPDX-License-Identifier: Apache-2.0
# Uploads: MB/s from the start of curl to the 201, beside dd on the same disk in turns. Sourced by bench_service.sh.
# shellcheck shell=bash disable=SC2154

# MB/s of a plain write with fsync, into the same folder.
raw_write() {
  local begun=$EPOCHREALTIME
  dd if=/dev/zero of="$work/raw" bs=1M count=100 conv=fsync status=none || die "dd failed"
  calc "104.8576 / ($EPOCHREALTIME - $begun)"
  rm -f "$work/raw"
}

# Writing 5 makes the kernel forget the highest resident size so far.
forget_peak() { echo 5 2>/dev/null >"/proc/$1/clear_refs" || say "  (peaks are since the start: clear_refs is not writable)"; }
peak_mb() { awk '/^VmHWM/ { print $2 / 1000 }' "/proc/$1/status"; }
# Memory of all of PostgreSQL's processes, shared pages counted once.
postgres_mb() {
  local pid
  for pid in $(tree "$(pid_of "$PROXACT_VAR/postgres.pid")"); do cat "/proc/$pid/smaps_rollup" 2>/dev/null; done |
    awk '/^Pss:/ { sum += $2 } END { print sum / 1000 }'
}

# ingest WHAT FILE LOGICAL_BYTES REPEATS
ingest() {
  local what=$1 file=$2 logical=$3 repeats=$4 i id seconds before_s before_p disk=() mb=() file_mb=() cpu_server=() cpu_pg=()
  local server postgres
  server=$(pid_of "$PROXACT_VAR/server.pid") postgres=$(pid_of "$PROXACT_VAR/postgres.pid")
  forget_peak "$server"
  for ((i = 0; i <= repeats; i++)); do
    id=$(new_dataset "ingest-$RANDOM-$RANDOM") || exit 1
    [ "$i" -eq 0 ] || disk+=("$(raw_write)")
    before_s=$(cpu_s "$server") before_p=$(cpu_s "$postgres")
    seconds=$(upload "$id" "$file") || exit 1
    if [ "$i" -gt 0 ]; then # the first warms up
      mb+=("$(calc "$logical / 1e6 / $seconds")")
      file_mb+=("$(calc "$(stat -c %s "$file") / 1e6 / $seconds")")
      cpu_server+=("$(calc "$(cpu_s "$server") - $before_s")")
      cpu_pg+=("$(calc "$(cpu_s "$postgres") - $before_p")")
    fi
    api DELETE "/v1/datasets/$id" >/dev/null
  done
  disk+=("$(raw_write)")
  row "$what" MB/s "${mb[@]}"
  [ "$logical" -eq "$(stat -c %s "$file")" ] || row "$what, bytes of the file" MB/s "${file_mb[@]}"
  row "$what: dd conv=fsync in turns" MB/s "${disk[@]}"
  row "$what: share of dd" % "$(calc "100 * $(median "${mb[@]}") / $(median "${disk[@]}")")"
  row "$what: the server's processor time" s "${cpu_server[@]}"
  row "$what: PostgreSQL's processor time" s "${cpu_pg[@]}"
  row "$what: the server's peak resident size" MB "$(peak_mb "$server")"
  row "$what: PostgreSQL's memory afterwards" MB "$(postgres_mb)"
}

bench_ingest() {
  local logical
  ingest "safetensors in" "$big" "$(stat -c %s "$big")" "$repeats"
  logical=$(/usr/bin/python3 -c 'import h5py, sys
f = h5py.File(sys.argv[1])
n = len(f["rewards"])
ends = sum(f["terminals"][:].astype(bool) | f["timeouts"][:].astype(bool))
print(4 * (n * (11 + 3 + 1) + (11 * ends if "next_observations" in f else 0)))' "$hopper") || exit 1
  ingest "D4RL HDF5 in" "$hopper" "$logical" "$repeats"
}
