# SPDX-License-Identifier: Apache-2.0
# Shared by tests/bench/bench_service.sh and its parts: a whole service of their own, rows of results. Sourced, not run.
# shellcheck shell=bash disable=SC2154  # csv is the caller's
#   row WHAT UNIT NUMBER...      one line of the table and of the CSV: median, lowest, highest
#   median NUMBER...
#   cpu_s PID   processor time of a process and all below it, of those that have ended too
#   api METHOD PATH [curl's options]   prints the answer; ends the benchmark on an error
#   sql QUERY                    one value out of the database
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/lib.sh
. "$root/deploy/lib.sh"
build=${PROXACT_BUILD:-$root/build}
# /var/tmp: a disk, where /tmp may be memory. BENCH_DIR names a folder on another disk.
work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/proxact-bench-XXXXXX") || exit 1
chmod 755 "$work"
export PROXACT_VAR=$work/var

service_cleanup() {
  "$root/deploy/down.sh" --destroy
  rm -rf "$work"
}
trap service_cleanup EXIT
trap 'exit 130' INT TERM

# Without workers: the parts start theirs. fsync is on, as in service.
service_start() {
  WORKERS=0 PROXACT_FIRST_PORT=$((20000 + $$ % 10000)) "$root/deploy/up.sh" >"$work/up.log" 2>&1 ||
    die_log "$work/up.log" "the log above says why" "the service did not start"
  # shellcheck source=/dev/null
  . "$PROXACT_VAR/env"
  eval "$("$root/deploy/stack.sh" env)"
}

# worker_start N [options]: recorded so that cleaning up finds it.
worker_start() {
  local n=$1
  shift
  spawn "$PROXACT_VAR/worker-$n.pid" "$PROXACT_VAR/log/worker-$n.log" env OMP_NUM_THREADS=1 "$build/proxact-worker" "$@"
  wait_until 20 worker_listed "$n" || die_log "$PROXACT_VAR/log/worker-$n.log" "" "worker $n did not start"
}
worker_pid() { pid_of "$PROXACT_VAR/worker-$1.pid"; }
worker_listed() { [ "$(sql "select count(*) from workers where pid = $(worker_pid "$1" || echo 0)")" = 1 ]; }
worker_child() {
  local pid
  pid=$(worker_pid "$1") && cut -d' ' -f1 "/proc/$pid/task/$pid/children"
}
worker_stop() { pid_stop "$PROXACT_VAR/worker-$1.pid" "${2:-TERM}" 30; }

sql() { /usr/lib/postgresql/15/bin/psql -XAtqc "$1" "$PROXACT_DB_URL"; }

api() {
  local method=$1 path=$2 http
  shift 2
  http=$(curl -sS -X "$method" -o "$work/answer" -w '%{http_code}' -H "Authorization: Bearer $PROXACT_TOKEN" "$@" \
    "$PROXACT_URL$path") || die "$method $path failed"
  [ "$http" -lt 400 ] || die "$method $path answered $http: $(cat "$work/answer")"
  cat "$work/answer"
}
# new_dataset NAME: its id
new_dataset() {
  api POST /v1/datasets --json "{\"name\": \"$1\", \"obs_dim\": 11, \"act_dim\": 3, \"env\": \"hopper\"}" | jq -r .id
}
# upload DATASET FILE [QUERY]: seconds from the start of curl to the answer, which says that all is committed.
# -T sends the file as it is read; --data-binary would hold all of it in memory first.
upload() {
  local answer
  answer=$(curl -sS -X POST -T "$2" -o "$work/uploaded" -w '%{http_code} %{time_total}' -H 'Expect:' \
    -H "Authorization: Bearer $PROXACT_TOKEN" "$PROXACT_URL/v1/datasets/$1/trajectories?filename=$(basename "$2")${3:-}") ||
    die "uploading $2 failed"
  [ "${answer%% *}" = 201 ] || die "uploading $2 answered ${answer%% *}: $(cat "$work/uploaded")"
  printf '%s\n' "${answer#* }"
}
# submit KIND SPEC: the job's id
submit() { api POST /v1/jobs --json "{\"kind\": \"$1\", \"spec\": $2}" | jq -r .id; }
job_is() { [ "$(sql "select $2 from jobs where id = '$1'")" = t ]; }
# job_await ID SECONDS CONDITION: until the condition on the job's row holds.
job_await() {
  wait_until "$2" job_is "$1" "$3" ||
    die "waited in vain for $3: $(sql "select kind, state, epoch, step, reason, error from jobs where id = '$1'")"
}
cancel() {
  api POST "/v1/jobs/$1:cancel" >/dev/null
  job_await "$1" 60 "job_is_final(state)"
}

# The processes of a tree: its root and all below.
tree() {
  local children child
  echo "$1"
  read -ra children -d '' <<<"$(cat "/proc/$1/task/"*/children 2>/dev/null)"
  for child in "${children[@]}"; do tree "$child"; done
}
cpu_s() {
  local pid ticks=0 fields
  for pid in $(tree "$1"); do
    fields=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) || continue
    # shellcheck disable=SC2086  # split on purpose
    set -- $fields
    ticks=$((ticks + ${12} + ${13} + ${14} + ${15}))
  done
  calc "$ticks / $(getconf CLK_TCK)"
}

calc() { awk "BEGIN { printf \"%.6g\", $1 }"; }
sorted() { printf '%s\n' "$@" | sort -g; }
median() { sorted "$@" | sed -n "$((($# + 1) / 2))p"; }

say_number() { awk -v x="$1" 'BEGIN { printf (x >= 100 ? "%.0f" : x >= 10 ? "%.1f" : "%.2f"), x }'; }
row() {
  local what=$1 unit=$2 middle low high
  shift 2
  middle=$(median "$@") low=$(sorted "$@" | head -n 1) high=$(sorted "$@" | tail -n 1)
  printf '%-58s %9s %-14s' "$what" "$(say_number "$middle")" "$unit"
  if [ $# -gt 1 ]; then printf ' (%s to %s, %d times)' "$(say_number "$low")" "$(say_number "$high")" $#; fi
  printf '\n'
  printf '"%s",%s,%s,%s,%d,%s\n' "$what" "$middle" "$low" "$high" $# "$unit" >>"$csv"
}
