# SPDX-License-Identifier: Apache-2.0
# Shell functions for tests that talk to a real server with curl: sourced, not run.
# Needs PROXACT_DB_URL and PROXACT_REDIS_URL (tests/support/stack.sh). Gives $url, $token, $work, and:
#   api METHOD PATH [curl's options]   fills $status, $work/body and $work/head; keeps every answer for check_answers
#   is STATUS [jq filter that must be true]   one assertion about the last answer
#   server_kill                        SIGKILL, and waits until its port is free again
# and what tests/support/checks.sh gives.
# shellcheck shell=bash disable=SC2154 # the caller may set another token
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=deploy/lib.sh
. "$root/deploy/lib.sh"
build=${PROXACT_BUILD:-$root/build}
work=$(mktemp -d)
answers=0
mkdir -p "$work/spool" "$work/answers"
# shellcheck source=tests/support/checks.sh
. "$root/tests/support/checks.sh"
on_end server_stop

server_up() { curl -fsS -o /dev/null "$url/readyz" 2>/dev/null; }
server_up_or_ended() { server_up || has_ended "$work/server.pid"; }
# server_start [options]: on a free port, which the server itself chooses.
server_start() {
  : >"$work/server.log"
  spawn "$work/server.pid" "$work/server.log" "$build/proxact-server" serve --listen=127.0.0.1:0 \
    --spool-dir="$work/spool" "$@"
  wait_until 20 grep -q 'event=listening' "$work/server.log" || die_log "$work/server.log" "" "the server did not start"
  url=http://$(sed -n 's/.*event=listening address=\([^ ]*\).*/\1/p' "$work/server.log")
  port=${url##*:}
  wait_until 20 server_up_or_ended
  server_up || die_log "$work/server.log" "" "the server did not become ready"
}
# A process that was killed holds its port until its last thread is gone; only then does has_ended say so.
server_kill() { pid_stop "$work/server.pid" KILL 30; }
server_stop() { [ ! -e "$work/server.pid" ] || pid_stop "$work/server.pid" TERM 30; }
server_pid() { pid_of "$work/server.pid"; }

api() {
  local method=$1 path=$2
  shift 2
  answers=$((answers + 1))
  rm -f "$work/body"
  status=$(curl -sS -X "$method" -D "$work/head" -o "$work/body" -w '%{http_code}' -H "Authorization: Bearer $token" \
    "$@" "$url$path" 2>"$work/curl.log") || status=curl-$?
  [ -e "$work/body" ] || : >"$work/body"
  last="$method $path"
  printf '%s\n' "$method" "${path%%\?*}" "$status" >"$work/answers/$answers.request"
  ln "$work/body" "$work/answers/$answers.body" 2>/dev/null
  tr -d '\r' <"$work/head" >"$work/answers/$answers.head"
}
header() { tr -d '\r' <"$work/head" | sed -n "s/^$1: //Ip" | tail -n 1; }
field() { jq -r "$1" "$work/body"; }

# is NAME STATUS [FILTER]
is() {
  local name=$1 expected=$2 filter=${3:-}
  if [ "$status" != "$expected" ]; then
    fail "$name: $last answered $status, not $expected"
    head -c 600 "$work/body"; echo
  elif [ -n "$filter" ] && ! jq -e "$filter" "$work/body" >/dev/null 2>&1; then
    fail "$name: $last: not true: $filter"
    head -c 600 "$work/body"; echo
  else
    echo "ok $name"
  fi
}
# Every answer so far keeps to the description of the API.
check_answers() { /usr/bin/python3 "$root/tests/support/answers.py" "$root/schema/openapi.yaml" "$work/answers"; }
