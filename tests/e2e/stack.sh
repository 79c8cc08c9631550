#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The private stack: starts, keeps its data, refuses what it must, and leaves nothing behind; in a checkout that
# others cannot enter, at a path too long for a socket, after a crash, and (run by root) as an ordinary user.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
chmod 755 "$work"
users=""
failures=0
cleanup() {
  local dir
  for dir in "$work"/*/; do PROXACT_VAR=$dir "$root/deploy/stack.sh" destroy; done
  rm -rf "$work"
  [ -z "$users" ] || userdel "$users"
}
trap cleanup EXIT

expect() {
  local what=$1
  shift
  if "$@" >"$work/out" 2>&1; then echo "ok $what"; else echo "FAIL $what"; cat "$work/out"; failures=$((failures + 1)); fi
}
refused() { ! "$@"; }
stack() { "$root/deploy/stack.sh" "$@"; }
query() { psql -XAtqc "$1" "$(stack psql-url)"; }
same() { [ "$1" = "$2" ] || { echo "got '$1', expected '$2'"; return 1; }; }
no_tcp() { [ -z "$(query "select 1 from pg_settings where name = 'listen_addresses' and setting <> ''")" ]; }
socket_private() {
  local run
  run=$(stack psql-url) run=${run##*host=}
  same "$(stat -c %a "$run")" 700 && [ ${#run} -lt 90 ]
}

# In every kind of place the same things hold.
behaves() {
  local place=$1
  expect "$place: starts" stack start
  expect "$place: answers" same "$(query 'create table kept(n int); insert into kept values (7); select n from kept')" 7
  expect "$place: a second start changes nothing" stack start
  expect "$place: writes are durable" same "$(query 'show fsync')" on
  expect "$place: has no TCP port" no_tcp
  expect "$place: its sockets are private" socket_private
  expect "$place: redis answers" same "$(redis-cli -s "$(stack redis-url | sed 's,^unix://,,')" ping)" PONG
  expect "$place: stops" stack stop
  expect "$place: reports that it is stopped" refused stack status
  expect "$place: lasting data refuses to run without fsync" refused stack start --throwaway
  expect "$place: starts again" stack start
  expect "$place: kept its data" same "$(query 'select n from kept')" 7
}

export PROXACT_VAR=$work/plain
behaves plain

# A crash leaves pid files behind, and their numbers may belong to others by now.
pid=$(awk '{ print $1 }' "$PROXACT_VAR/postgres.pid")
kill -9 "$pid" "$(awk '{ print $1 }' "$PROXACT_VAR/redis.pid")"
expect "crash: is noticed" refused stack status
sleep 600 &
bystander=$!
for file in "$PROXACT_VAR/postgres.pid" "$PROXACT_VAR/redis.pid"; do sed -i "s/^[0-9]*/$bystander/" "$file"; done
sed -i "1s/.*/$bystander/" "$PROXACT_VAR/pg/postmaster.pid"
expect "crash: stop spares a process that got the number" stack stop
expect "crash: that process lives" kill -0 "$bystander"
expect "crash: starts again beside it" stack start
expect "crash: kept its data" same "$(query 'select n from kept')" 7
kill "$bystander"
expect "destroy: succeeds" stack destroy
expect "destroy: removes the data" refused test -e "$PROXACT_VAR/pg"

mkdir -m 700 "$work/locked"
export PROXACT_VAR=$work/locked/var
behaves locked
external=$(cat "$PROXACT_VAR/stack-home" 2>/dev/null)
expect "locked: destroy succeeds" stack destroy
if [ -n "$external" ]; then expect "locked: nothing is left elsewhere" refused test -e "$external"; fi

long=$work/$(printf 'a%.0s' {1..120})
mkdir "$long"
export PROXACT_VAR="$long/with space"
behaves "long path"
external=$(cat "$PROXACT_VAR/stack-home")
expect "long path: destroy succeeds" stack destroy
expect "long path: nothing is left elsewhere" refused test -e "$external"

if [ "$(id -u)" -eq 0 ]; then
  users=pxtest$$
  useradd --no-create-home "$users"
  # Scripts of their own, for the checkout itself may be closed to that user.
  install -d -o "$users" "$work/user" "$work/user/deploy"
  cp "$root/deploy/lib.sh" "$root/deploy/stack.sh" "$work/user/deploy/"
  export PROXACT_VAR=$work/user/var
  stack() { setpriv --reuid="$users" --clear-groups --no-new-privs env -C / "$work/user/deploy/stack.sh" "$@"; }
  behaves "ordinary user"
  expect "ordinary user: destroy succeeds" stack destroy
fi
[ "$failures" -eq 0 ]
