#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Starts Proxact for this checkout: the private stack, migrations, the server and the workers.
# Usage: deploy/up.sh [--throwaway]        (make up)
#   PORT=N      the API's port on 127.0.0.1 (default: the first free one from 8080)
#   WORKERS=N   how many workers (default 2)
# Safe to repeat: what runs already stays. Writes var/env for `. var/env`; logs are in var/log/.
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
var=$(var_dir) || die "cannot write to the folder for the stack; PROXACT_VAR names another"
build=${PROXACT_BUILD:-$PX_ROOT/build}
for program in proxact-server proxact-worker; do
  [ -x "$build/$program" ] || die "$build/$program is missing; 'make all' builds it"
done

[[ ${PORT:-0} =~ ^[0-9]+$ ]] || die "PORT must be a number, not '$PORT'"

# What could not be started whole is stopped again, unless some of it ran before.
running_before=""
for file in "$var"/*.pid; do
  if pid_of "$file" >/dev/null; then running_before=yes; fi
done
finish() {
  local rc=$?
  [ $rc -eq 0 ] || [ -n "$running_before" ] || "$PX_ROOT/deploy/down.sh"
  exit $rc
}
trap finish EXIT

"$PX_ROOT/deploy/stack.sh" start "$@" || exit 1
eval "$("$PX_ROOT/deploy/stack.sh" env)"
export PROXACT_SPOOL_DIR=$var/spool
(umask 077 && mkdir -p "$PROXACT_SPOOL_DIR")

# The programs run as the roles of deploy/roles.sql; migrations and tokens are the owner's, as which this script runs.
db_url_as() { printf '%s\n' "${PROXACT_DB_URL/\/\/proxact@//\/$1@}"; }
make_roles() {
  local sql=(psql -XAtq -v ON_ERROR_STOP=1)
  [ -n "$("${sql[@]}" -c "select 1 from pg_roles where rolname = 'proxact_worker'" "$PROXACT_DB_URL")" ] ||
    "${sql[@]}" -1 -f "$PX_ROOT/deploy/roles.sql" "$PROXACT_DB_URL" || die "the roles of deploy/roles.sql could not be made"
}

ready() { curl -fsS -o /dev/null "$url/readyz" 2>/dev/null; }
ready_or_ended() { ready || has_ended "$var/server.pid"; }
accepted() { curl -fsS -o /dev/null -H "Authorization: Bearer $1" "$url/v1/datasets" 2>/dev/null; }

start_server() {
  local port=${PORT:-}
  if pid_of "$var/server.pid" >/dev/null; then
    url=$(cat "$var/url")
    [ -z "$port" ] || [ "${url##*:}" = "$port" ] || die "it already runs at $url; 'make down' first"
    return 0
  fi
  if [ -z "$port" ]; then
    port=$(free_port "${PROXACT_FIRST_PORT:-8080}") || die "no free port was found; PORT= names one"
  elif port_taken "$port"; then
    die "port $port is in use; PORT= names another"
  fi
  url=http://127.0.0.1:$port
  make_roles
  "$build/proxact-server" migrate >"$var/log/migrate.log" 2>&1 ||
    die_log "$var/log/migrate.log" "deploy/down.sh --destroy starts afresh, without the data" "the migration failed"
  # The server's role may not ask where the database lies.
  spawn "$var/server.pid" "$var/log/server.log" env PROXACT_DB_URL="$(db_url_as proxact_server)" \
    PROXACT_DB_VOLUME="${PROXACT_DB_VOLUME:-$(psql -XAtqc 'show data_directory' "$PROXACT_DB_URL")}" \
    "$build/proxact-server" serve --listen="127.0.0.1:$port"
  printf '%s\n' "$url" >"$var/url"
  wait_until 30 ready_or_ended
  ready || die_log "$var/log/server.log" "see the log above" "the server did not become ready"
}

start_workers() {
  local n
  for ((n = 1; n <= ${WORKERS:-2}; n++)); do
    pid_of "$var/worker-$n.pid" >/dev/null && continue
    # One thread each: more workers, not more threads, is how Proxact uses more cores.
    spawn "$var/worker-$n.pid" "$var/log/worker-$n.log" env OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 \
      PROXACT_DB_URL="$(db_url_as proxact_worker)" \
      "$build/proxact-worker"
  done
  for ((n = 1; n <= ${WORKERS:-2}; n++)); do
    pid_of "$var/worker-$n.pid" >/dev/null ||
      die_log "$var/log/worker-$n.log" "see the log above" "worker $n did not start"
  done
}

write_env() {
  local token=""
  # The token of an earlier start is good for as long as its database is.
  [ -s "$var/token" ] && token=$(cat "$var/token")
  if [ -z "$token" ] || ! accepted "$token"; then
    token=$("$build/proxact-server" token create local 2>"$var/log/token.log") ||
      die_log "$var/log/token.log" "see the log above" "no token could be created"
    (umask 077 && printf '%s\n' "$token" >"$var/token")
  fi
  accepted "$token" || die_log "$var/log/server.log" "see the log above" "the server refuses the token it gave"
  (umask 077 && printf "export PROXACT_URL='%s'\nexport PROXACT_TOKEN='%s'\n" "$url" "$token" >"$var/env")
}

start_server
start_workers
write_env
say "Proxact runs at $url with ${WORKERS:-2} workers."
