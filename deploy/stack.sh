#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A private PostgreSQL and Redis for one checkout, on unix sockets only.
# Usage: deploy/stack.sh start [--throwaway] | stop | destroy | status | env | psql-url | redis-url
#   start        initialises on first use, starts what is not running, waits until both answer
#   --throwaway  for tests: no fsync, so a crash of the machine may lose the data
#   stop         stops both, keeps the data;  destroy: stops both and removes the data
#   env          prints export lines with PROXACT_DB_URL and PROXACT_REDIS_URL
# PROXACT_VAR is the folder it lives in (default: var/ in the checkout).
#
# Nobody but the owner gets in: the sockets are in a folder of mode 700, so the
# database trusts whoever reaches it, and there is no TCP port.
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
umask 022
var=$(var_dir) || die "cannot write to the folder for the stack; PROXACT_VAR names another"
pg_bin=/usr/lib/postgresql/15/bin
role=proxact

# PostgreSQL refuses to run as root, so root starts both as another user.
as_service=()
service_user=$(id -un)
if [ "$(id -u)" -eq 0 ]; then
  service_user=nobody
  if id postgres >/dev/null 2>&1; then service_user=postgres; fi
  as_service=(setpriv --reuid="$service_user" --regid="$(id -gn "$service_user")" --init-groups --inh-caps=-all
    --no-new-privs --)
fi

# The data and the sockets are in var/ when they can be. They cannot where that
# user may not enter (a checkout below /root), nor where the path is too long
# for a socket (107 bytes) or would need quoting in a URL; then they are in a
# folder of their own below /var/tmp, which survives a reboot. var/stack-home
# names it, and its `owner` file names var/ back, so that a copied checkout
# makes a folder of its own rather than share one.
find_home() {
  home=$var
  if [ ${#var} -le 80 ] && [[ $var =~ ^[A-Za-z0-9/._-]+$ ]] && "${as_service[@]}" test -x "$var"; then return 0; fi
  home=$(cat "$var/stack-home" 2>/dev/null)
  if [ -n "$home" ] && [ "$(cat "$home/owner" 2>/dev/null)" = "$var" ]; then return 0; fi
  home=""
  [ "$1" = create ] || return 1
  home=$(mktemp -d /var/tmp/proxact-XXXXXX) && chmod 755 "$home" && printf '%s\n' "$var" >"$home/owner" &&
    printf '%s\n' "$home" >"$var/stack-home" || die "cannot make a folder below /var/tmp"
}

db_url() { printf 'postgresql://%s@/%s?host=%s\n' "$role" "${1:-proxact}" "$home/run"; }
redis_url() { printf 'unix://%s/run/redis.sock\n' "$home"; }
pg_answers() { "$pg_bin/psql" -XAtqc 'select 1' "$(db_url postgres)" >/dev/null 2>&1; }
redis_answers() { [ "$(redis-cli -s "$home/run/redis.sock" ping 2>/dev/null)" = PONG ]; }
# True when the wait is over: it answers, or its process has ended.
settled() { "$1" || has_ended "$2"; }

init_database() {
  [ ! -e "$home/pg/PG_VERSION" ] || return 0
  # Built aside and renamed: an initialisation cut short leaves nothing half-made.
  rm -rf "$home/pg.new"
  "${own_dir[@]}" "$home/pg.new"
  (cd "$home" && "${as_service[@]}" "$pg_bin/initdb" -D "$home/pg.new" -U $role --auth=trust --encoding=UTF8 \
    --locale=C.UTF-8 "${init_options[@]}") >"$var/log/initdb.log" 2>&1 ||
    die_log "$var/log/initdb.log" "is there space left on the disk?" "PostgreSQL could not be initialised"
  mv "$home/pg.new" "$home/pg"
}

# wal_buffers: while an upload's segments come in, the log writer writes one part as they fill another.
start_postgres() {
  pid_of "$var/postgres.pid" >/dev/null && return 0
  init_database
  # Its recorded process is gone, so a lock file here is left over from a crash, and the number in it may be
  # anybody's by now. Two servers on one folder stay impossible: the shared memory key is the folder's inode.
  rm -f "$home/pg/postmaster.pid" "$home"/run/.s.PGSQL.*
  (cd "$home" && spawn "$var/postgres.pid" "$var/log/postgres.log" "${as_service[@]}" "$pg_bin/postgres" -D "$home/pg" \
    -c listen_addresses= -c unix_socket_directories="$home/run" -c unix_socket_permissions=0700 \
    -c max_connections=200 -c shared_buffers=128MB -c max_wal_size=2GB -c wal_buffers=16MB -c timezone=UTC "${pg_options[@]}")
}

start_redis() {
  pid_of "$var/redis.pid" >/dev/null && return 0
  rm -f "$home/run/redis.sock"
  # It carries wake-ups and progress only: nothing in it is worth a disk write.
  (cd "$home" && spawn "$var/redis.pid" "$var/log/redis.log" "${as_service[@]}" redis-server --port 0 \
    --unixsocket "$home/run/redis.sock" --unixsocketperm 700 --save '' --appendonly no --dir "$home/run" \
    --maxmemory 256mb --maxmemory-policy allkeys-lru --daemonize no)
}

start() {
  local init_options=() pg_options=() kind=lasting
  local own_dir=(install -d -m 700 -o "$service_user" -g "$(id -gn "$service_user")")
  case ${1:-} in
    --throwaway)
      kind=throwaway
      init_options=(--no-sync)
      pg_options=(-c fsync=off -c synchronous_commit=off -c full_page_writes=off) ;;
    '') ;;
    *) die "unknown option '$1'" ;;
  esac
  [ -x "$pg_bin/postgres" ] && command -v redis-server >/dev/null ||
    die "PostgreSQL 15 or Redis is missing; deploy/install-deps.sh run installs them"
  find_home create
  # Data meant to last never runs without fsync, not even once.
  if [ -e "$home/pg/PG_VERSION" ] && [ "$(cat "$var/stack-kind" 2>/dev/null)" != $kind ]; then
    die "the data in $home/pg was not made by this kind of start ($kind); PROXACT_VAR names another folder"
  fi
  echo $kind >"$var/stack-kind"
  "${own_dir[@]}" "$home/run"
  start_postgres
  start_redis
  wait_until 60 settled pg_answers "$var/postgres.pid" && pg_answers ||
    die_log "$var/log/postgres.log" "deploy/stack.sh destroy starts afresh, without the data" "PostgreSQL did not start"
  wait_until 30 settled redis_answers "$var/redis.pid" && redis_answers ||
    die_log "$var/log/redis.log" "deploy/stack.sh stop, then start" "Redis did not start"
  [ -n "$("$pg_bin/psql" -XAtqc "select 1 from pg_database where datname = 'proxact'" "$(db_url postgres)")" ] ||
    "$pg_bin/psql" -XAtqc 'create database proxact' "$(db_url postgres)" || die "the database could not be created"
}

stop() {
  pid_stop "$var/redis.pid" TERM 10
  # INT is PostgreSQL's fast shutdown: sessions are ended, the data is flushed.
  pid_stop "$var/postgres.pid" INT 60
}

destroy() {
  stop
  find_home look || return 0
  rm -rf "$home/pg" "$home/pg.new" "$home/run" "$var/stack-kind"
  if [ "$home" != "$var" ]; then rm -rf "$home" "$var/stack-home"; fi
}

status() {
  local name pid all=0
  for name in postgres redis; do
    if pid=$(pid_of "$var/$name.pid"); then say "$name running pid=$pid"; else say "$name stopped"; all=1; fi
  done
  return $all
}

command=${1:-}
[ $# -gt 0 ] && shift
case $command in
  start | stop | destroy)
    exec 9>"$var/stack.lock" && flock 9 # one at a time: two starts would race for the same folder
    "$command" "$@" ;;
  status) status ;;
  env | psql-url | redis-url)
    find_home look && [ -d "$home/run" ] || die "there is no stack yet; deploy/stack.sh start makes one"
    case $command in
      env) printf "export PROXACT_DB_URL='%s'\nexport PROXACT_REDIS_URL='%s'\n" "$(db_url)" "$(redis_url)" ;;
      psql-url) db_url ;;
      redis-url) redis_url ;;
    esac ;;
  *) die "usage: deploy/stack.sh start [--throwaway] | stop | destroy | status | env | psql-url | redis-url" ;;
esac
