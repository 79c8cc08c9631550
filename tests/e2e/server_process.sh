#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The server as a process: its commands, where it refuses to start, how it ends, slow clients.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
server=$build/proxact-server
token=none

# --- commands
ok "--version" grep -qE '^proxact-server [0-9.]+$' <("$server" --version)
ok "--help succeeds" "$server" --help
ok "no command fails" refused "$server"
ok "an unknown command fails" refused "$server" dance
ok "an unknown option is named" grep -q -- --colour <("$server" serve --colour=red 2>&1)
options_agree() { diff <("$server" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p' | tr - _ | sort) <("$server" config | sed -n 's/^#\([a-z_]*\) = .*/\1/p' | sort); }
ok "the sample configuration and --help name the same options" options_agree
"$server" config | sed 's/^#\([a-z_]* = \)/\1/' >"$work/sample.conf"
ok "the sample configuration is accepted" grep -q "no command" <("$server" --config "$work/sample.conf" dance 2>&1)

# --- where it refuses to start
ok "without a schema" refused "$server" serve --listen=127.0.0.1:0 --spool-dir="$work/spool"
"$server" migrate >"$work/out" || exit 1
ok "on a public address without a token" grep -q 'there is no token' <("$server" serve --listen=0.0.0.0:0 --spool-dir="$work/spool" 2>&1)
ok "with a spool folder that is not there" refused "$server" serve --listen=127.0.0.1:0 --spool-dir=/nowhere
ok "with a listen address that is none" grep -q 'listen must be' <("$server" serve --listen=8080 2>&1)
ok "with a database that is away" grep -q 'database' <(PROXACT_DB_URL="postgresql:///x?host=/nowhere" "$server" serve --listen=127.0.0.1:0 2>&1)
ok "with a password on the command line" grep -q 'PROXACT_DB_URL_FILE' <("$server" migrate --db-url=postgresql://u:hunter2@/x 2>&1)
ok "no error tells a password" refused grep -q hunter2 <(
  for url in 'postgresql://u:hunter2@127.0.0.1:99999/x' 'postgresql://u:hunter2%zz@h/x' 'host=127.0.0.1 port=x password=hunter2' \
    'postgresql://u:hunter2@127.0.0.1:1/hunter2'; do PROXACT_DB_URL=$url "$server" migrate 2>&1; done
  PROXACT_REDIS_URL='redis://:hunter2@x:y' "$server" serve --listen=127.0.0.1:0 --spool-dir="$work" 2>&1)
ok "token create refuses a name with control characters" refused "$server" token create $'a\nb'
ok "token create needs a name" refused "$server" token create
printf 'short\n' >"$work/token"
ok "with a token by file that is too short" refused "$server" serve --listen=127.0.0.1:0 --token-file="$work/token"
head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$work/token"
server_start --token-file="$work/token"
token=$(cat "$work/token")
api GET /v1/datasets
is "a token by file is good from the start" 200
ok "a port that is taken" grep -qi 'in use' <("$server" serve --listen="127.0.0.1:$port" --spool-dir="$work/spool" 2>&1)
server_stop
server_start --token-file="$work/token" --idle-s=2
ok "and again at the next start" same "$(psql -XAtqc 'select count(*) from api_tokens' "$PROXACT_DB_URL")" 1

# --- functions of another build
ok "a server with its own functions says nothing of them" refused grep -q functions_differ "$work/server.log"
server_stop
psql -XAtqc "update schema_functions set sha256 = 'x' where name = 'jobs'" "$PROXACT_DB_URL"
server_start --token-file="$work/token" --idle-s=2
ok "it warns of those of another build" grep -q 'event=functions_differ files=1 ' "$work/server.log"
ok "migrate puts its own in their place" grep -q '0 migrations applied, 1 file of functions changed' <("$server" migrate)

# --- slow clients: libmicrohttpd alone would wait for ever, for each byte begins its time anew
dripping() {
  local i
  for ((i = 0; i < 60; i++)); do
    printf a >&5 2>/dev/null || return 0
    read -r -t 0.2 -u 5 && return 0
    [ $? -le 128 ] && return 0 # the end, not the time
  done
  return 1
}
dripped() {
  exec 5<>"/dev/tcp/127.0.0.1/$port"
  dripping
}
trap '' PIPE
ok "a connection that drips is closed" dripped
exec 5>&-
server_stop
server_start --token-file="$work/token" --idle-s=30 --body-s=1
dripped_body() { # a byte now and then is no silence, but the body takes too long
  exec 5<>"/dev/tcp/127.0.0.1/$port"
  printf 'POST /v1/datasets HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{' "$token" >&5
  dripping
}
ok "a body that drips is ended" dripped_body
exec 5>&-
ok "by its own deadline" grep -q 'event=connection_late idle=false' "$work/server.log"
server_stop
server_start --token-file="$work/token" --idle-s=120

# --- the end
api POST /v1/datasets --json '{"name": "d", "obs_dim": 1, "act_dim": 1}'
printf '{"observations": [[0], [1]], "rewards": [1], "actions": [[0.5]], "terminated": true, "truncated": false}\n' >"$work/t.jsonl"
api POST /v1/datasets/d/trajectories -H 'Content-Type: application/jsonl' --data-binary @"$work/t.jsonl"
api POST /v1/jobs --json "{\"kind\": \"export\", \"spec\": {\"dataset\": \"$(field .dataset_id)\"}}"
is "a job that nothing runs" 202
job=$(field .id)
curl -sS -o "$work/polled" -w '%{http_code}' -H "Authorization: Bearer $token" "$url/v1/jobs/$job?wait=60s" >"$work/poll" &
poll=$!
mkfifo "$work/pipe" && exec 4<>"$work/pipe"
curl -sS -o "$work/uploaded" -w '%{http_code}' -X POST -T - -H "Authorization: Bearer $token" -H 'Content-Type: application/jsonl' \
  "$url/v1/datasets/d/trajectories" <"$work/pipe" >"$work/upload" 4>&- &
upload=$!
three() { curl -sS -H "Authorization: Bearer $token" "$url/metrics" | grep -q '^proxact_http_in_flight 3$'; }
ok "a long poll and an upload are in progress" wait_until 10 three
pid=$(server_pid)
kill -TERM "$pid"
wait $poll
ok "SIGTERM: a long poll is answered at once" same "$(cat "$work/poll")" 200
closed_door() { refused bash -c "exec 3<>/dev/tcp/127.0.0.1/$port"; }
ok "SIGTERM: no new connection is taken" wait_until 5 closed_door
ok "SIGTERM: the server waits for the upload" kill -0 "$pid"
cat "$work/t.jsonl" >&4
exec 4>&-
wait $upload
ok "SIGTERM: the upload in progress is finished" same "$(cat "$work/upload")" 201
ok "SIGTERM: then the server ends" wait_until 10 has_ended "$work/server.pid"
ok "and says so" grep -q 'event=stopped' "$work/server.log"
ok "nothing was leaked or misused" refused grep -q Sanitizer "$work/server.log"
finish
