# SPDX-License-Identifier: Apache-2.0
# Sourced by tests/fault/test_*.sh that need PostgreSQL clusters, servers and workers of their own, several of each: all in
# $work, on unix sockets and free ports of 127.0.0.1, and gone at the end.
#   pg_new NAME; pg_copy NAME FROM; pg_start NAME [OPTIONS]; pg_end NAME [SIGNAL]; pg_url NAME; sql NAME TEXT
#   server_start NAME [OPTIONS]   sets $url and ${port[NAME]};   worker_start NAME [OPTIONS];   end NAME [SIGNAL]
#   with here=(ip netns exec NAME) before any of these, it is done there
#   follow_begin THREADS SERVER...   clients that keep asking, and keep what was acknowledged in $work/acked;   follow_end
#   api METHOD PATH [curl's options]   prints the answer;   ok WHAT COMMAND...; finish
# PROXACT_DB_URL is the database of servers and workers.
# shellcheck shell=bash disable=SC2034
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# shellcheck source=deploy/lib.sh
. "$root/deploy/lib.sh"
build=${PROXACT_BUILD:-$root/build}
pg_bin=/usr/lib/postgresql/15/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/proxact-hosts-XXXXXX") || exit 1
chmod 755 "$work"
mkdir -p "$work/log" "$work/spool"
declare -A port
here=()
token="" follow=""
export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PROXACT_SPOOL_DIR=$work/spool
unset PROXACT_REDIS_URL PROXACT_DB_URL

# PostgreSQL refuses to run as root.
as_pg=() pg_user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
  pg_user=nobody
  if id postgres >/dev/null 2>&1; then pg_user=postgres; fi
  as_pg=(setpriv --reuid="$pg_user" --regid="$(id -gn "$pg_user")" --init-groups --inh-caps=-all --no-new-privs --)
fi

# shellcheck source=tests/support/checks.sh
. "$root/tests/support/checks.sh"
at_end=() # the folder stays with KEEP=1
logs() { tail -n 12 "$work"/log/*.log; }
hosts_cleanup() {
  local file
  [ -z "$follow" ] || kill "$follow"
  for file in "$work"/*.pid; do [ ! -e "$file" ] || pid_stop "$file" KILL 10; done
  [ -n "${KEEP:-}" ] && say "kept: $work" || rm -rf "$work"
}
on_end hosts_cleanup

# A step without which the rest means nothing.
must() { "$@" >"$work/out" 2>&1 || { say "FAIL $*"; exit 1; }; }

# --- PostgreSQL
pg_folder() { install -d -m 700 -o "$pg_user" -g "$(id -gn "$pg_user")" "$work/$1.run" && install -d -m 755 -o "$pg_user" "$work/$1.pg"; }
pg_url() { printf 'postgresql://proxact@/proxact?host=%s\n' "$work/$1.run"; }
sql() { psql -XAtqc "$2" "$(pg_url "$1")"; }
pg_new() {
  pg_folder "$1" && (cd "$work" && "${as_pg[@]}" "$pg_bin/initdb" -D "$work/$1.pg/data" -U proxact --auth=trust --encoding=UTF8 \
    --locale=C.UTF-8 --no-sync) >"$work/log/initdb.log" 2>&1 && pg_start "$1" && psql -XAtqc 'create database proxact' "$(pg_url "$1" | sed 's,/proxact?,/postgres?,')"
}
# The files of a running cluster, by pg_basebackup.
pg_copy() {
  local name=$1 from=$2
  shift 2
  pg_folder "$name" && (cd "$work" && "${as_pg[@]}" "$pg_bin/pg_basebackup" -D "$work/$name.pg/data" -h "$work/$from.run" -U proxact \
    -X stream -c fast --no-sync "$@") >"$work/log/basebackup.log" 2>&1
}
pg_answers() { psql -XAtqc 'select 1' "$(pg_url "$1" | sed 's,/proxact?,/postgres?,')" >/dev/null 2>&1; }
pg_start() {
  local name=$1
  shift
  rm -f "$work/$name.pg/data/postmaster.pid" "$work/$name.run"/.s.PGSQL.*
  (cd "$work" && spawn "$work/$name.pid" "$work/log/$name.log" "${here[@]}" "${as_pg[@]}" "$pg_bin/postgres" -D "$work/$name.pg/data" \
    -c listen_addresses= -c unix_socket_directories="$work/$name.run" -c unix_socket_permissions=0700 -c max_connections=60 \
    -c shared_buffers=64MB -c timezone=UTC "$@")
  wait_until 60 pg_answers "$name"
}
# INT: at once and in order; QUIT: as a crash, which has to recover.
pg_end() { pid_stop "$work/$1.pid" "${2:-INT}" 60; }
pg_promote() { (cd "$work" && "${as_pg[@]}" "$pg_bin/pg_ctl" promote -w -t 60 -D "$work/$1.pg/data"); }

# --- the service
server_ready() { "${here[@]}" curl -fsS -o /dev/null "http://127.0.0.1:$1/readyz" 2>/dev/null; }
# Its port stays the same from start to start.
server_start() {
  local name=$1 at=${port[$1]:-0}
  shift
  : >"$work/log/$name.log"
  spawn "$work/$name.pid" "$work/log/$name.log" "${here[@]}" "${server:-$build/proxact-server}" serve --listen="127.0.0.1:$at" --threads=2 --work-threads=2 "$@"
  wait_until 30 grep -q 'event=listening' "$work/log/$name.log" || return 1
  port[$name]=$(sed -n 's/.*event=listening address=[^ ]*:\([0-9]*\).*/\1/p' "$work/log/$name.log")
  url=http://127.0.0.1:${port[$name]}
  wait_until 30 server_ready "${port[$name]}"
}
worker_start() {
  local name=$1
  shift
  spawn "$work/$name.pid" "$work/log/$name.log" "${here[@]}" "${worker:-$build/proxact-worker}" --lease-ms=30000 --heartbeat-ms=500 --reap-ms=300 \
    --poll-ms=200 --drain-ms=100 "$@"
  wait_until 30 grep -q 'event=worker_started' "$work/log/$name.log"
}
end() { pid_stop "$work/$1.pid" "${2:-TERM}" 60; }
is_running() { pid_of "$work/$1.pid" >/dev/null; }
# migrate, and the first token.
service_prepare() { "$build/proxact-server" migrate >"$work/log/migrate.log" && token=$("$build/proxact-server" token create test); }
api() { "${here[@]}" curl -sS --fail-with-body --max-time 60 -H "Authorization: Bearer $token" -X "$1" "${@:3}" "$url$2"; }

# A dataset "d" of made-up steps, enough to train on.
make_data() {
  awk -v n="${1:-24}" 'BEGIN { srand(5); for (i = 0; i < n; i++) { o = a = r = ""; for (t = 0; t <= 40; t++) {
    x = rand() * 2 - 1; o = o (t ? "," : "") sprintf("[%.4f,%.4f,%.4f]", sin(i + t / 7.0), cos(i - t / 5.0), x)
    if (t < 40) { a = a (t ? "," : "") sprintf("[%.4f]", x * 0.8); r = r (t ? "," : "") sprintf("%.3f", x) } }
    printf "{\"observations\":[%s],\"actions\":[%s],\"rewards\":[%s],\"terminated\":false,\"truncated\":true}\n", o, a, r } }' >"$work/d.jsonl"
  api POST /v1/datasets --json '{"name": "d", "obs_dim": 3, "act_dim": 1}' >/dev/null &&
    api POST /v1/datasets/d/trajectories -H 'Content-Type: application/jsonl' --data-binary @"$work/d.jsonl" >/dev/null
}
# train UPDATES [SEED [ALGO]]: prints the id of a job that trains a policy.
train() {
  api POST /v1/jobs --json "{\"kind\": \"train_policy\", \"spec\": {\"dataset\": \"d\", \"seed\": ${2:-0},
    \"policy\": {\"algo\": \"${3:-td3bc}\", \"updates\": $1, \"hidden\": 32, \"batch\": 64}}}" | jq -r .id
}
job_field() { api GET "/v1/jobs/$1" | jq -r "$2"; }
job_is() { [ "$(job_field "$1" .state 2>/dev/null)" = "$2" ]; }
job_has_ended() { [ -n "$(job_field "$1" '.finished_at // empty' 2>/dev/null)" ]; }
# Of a model's tensors: the header before them names job and dataset.
weights_digest() {
  local n
  api GET "/v1/models/mdl_${1#job_}/weights" -o "$work/weights" && n=$(od -An -tu8 -N8 "$work/weights" | tr -d ' ') &&
    tail -c +$((n + 9)) "$work/weights" | sha256sum | cut -d' ' -f1
}

# Its status is that of the clients: 0 when no request failed.
follow_begin() {
  local threads=$1 addresses="" server
  shift
  for server in "$@"; do addresses+=,127.0.0.1:${port[$server]}; done
  "$build/tests/fault/tools/failover_client" --addresses="${addresses#,}" --token="$token" --threads="$threads" --acked="$work/acked" \
    >"$work/log/follow.log" 2>&1 &
  follow=$!
}
follow_end() {
  local pid=$follow
  follow=""
  kill -TERM "$pid"
  wait "$pid"
}
