#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A crowded server: more connections than it may have, idle and slow ones beside a request, more uploads at once than it has
# threads for, a token that asks too often.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create e2e)
crowd() { /usr/bin/python3 "$root/tests/support/crowd.py" "$port" "$token" "$@"; }
declare -A crowds=()
end_crowds() { [ ${#crowds[@]} -eq 0 ] || kill -KILL "${crowds[@]}" 2>/dev/null; }
on_end end_crowds
# crowd_begin NAME COMMAND N PATH: in the background, until crowd_end NAME; what it said is in $work/NAME.
crowd_begin() {
  local name=$1
  shift
  : >"$work/$name"
  /usr/bin/python3 "$root/tests/support/crowd.py" "$port" "$token" "$@" >"$work/$name" 2>&1 &
  crowds[$name]=$!
  wait_until 60 grep -q "^held $2\$" "$work/$name"
}
crowd_end() {
  kill -TERM "${crowds[$1]}" || return 1
  wait "${crowds[$1]}"
  unset "crowds[$1]"
  grep -q '^open' "$work/$1"
}
in_flight() { api GET /metrics && grep -q "^proxact_http_in_flight $1\$" "$work/body"; }
asked() { [ "$(crowd ask 1 /healthz)" = "$1 1" ]; }

# --- idle connections
server_start --rate-per-s=0
ok "a thousand connections, each answered" crowd_begin idle hold 1000 /v1/workers
api GET /v1/datasets
is "with a thousand idle ones a request is answered" 200
ok "and they are left open" crowd_end idle
ok "every one of them" same "$(tail -n 1 "$work/idle")" "open 1000"
server_stop

# --- clients that go away
server_start --idle-s=3600
crowd leave 200 /v1/datasets
ok "requests whose clients went away in the middle are not waited for" wait_until 8 in_flight 1
ok "one whose client has only closed its side is answered" same "$(crowd close 50 /v1/datasets)" "200 50"
server_stop

# --- more than one thread's 126
server_start --threads=1
ok "of idle connections, all that come are served" crowd_begin many hold 118 /v1/workers
sleep 1.1 # idle for less than a second is not idle: the next requests may be on their way
ok "beyond the limit too" crowd_begin more hold 60 /v1/workers
api GET /v1/datasets
is "and one more" 200
crowd_end many
ok "those that were idle for longest gave way" refused same "$(tail -n 1 "$work/many")" "open 118"
crowd_end more
ok "and not those that came last" same "$(tail -n 1 "$work/more")" "open 60"

api POST /v1/datasets --json '{"name": "d", "obs_dim": 1, "act_dim": 1}'
dataset=$(field .id)
printf '{"observations": [[0], [1]], "rewards": [1], "actions": [[0.5]], "terminated": true, "truncated": false}\n' >"$work/t.jsonl"
api POST /v1/datasets/d/trajectories -H 'Content-Type: application/jsonl' --data-binary @"$work/t.jsonl"
api POST /v1/jobs --json "{\"kind\": \"export\", \"spec\": {\"dataset\": \"$dataset\"}}"
job=$(field .id)
ok "many wait for a job" crowd_begin waiting wait 100 "/v1/jobs/$job?wait=60s"
ok "all at once" wait_until 30 in_flight 101
fill() { # until every connection is busy
  local i
  for ((i = 0; i < 20; i++)); do
    crowd_begin "fill-$i" wait 5 "/v1/jobs/$job?wait=60s"
    if [ "$(crowd ask 5 /healthz)" = "503 5" ]; then return 0; fi
  done
  return 1
}
ok "when all are busy the next is told so at once" fill
last="GET /healthz"
curl -sS -D "$work/head" -o "$work/body" "$url/healthz"
ok "503, as a problem document" jq -e '.status == 503 and .code == "unavailable"' "$work/body"
ok "with the time to come again" test -n "$(header Retry-After)"
api POST "/v1/jobs/$job:cancel"
is "nobody else gets in" 503
for name in waiting fill-0; do crowd_end $name; done
ok "when some have gone there is room again" wait_until 20 asked 200
for name in "${!crowds[@]}"; do crowd_end "$name"; done
server_stop

# --- who reads slowly, or not at all
server_start --threads=1 --work-threads=1
api POST /v1/datasets --json '{"name": "hopper", "obs_dim": 11, "act_dim": 3}'
api POST "/v1/datasets/hopper/trajectories?filename=demo.hdf5" -T "$root/deploy/demo/hopper-demo.hdf5"
is "a dataset with some megabytes" 201
ok "ten ask for all of it and read nothing" crowd_begin slow wait 10 "/v1/datasets/hopper/export?format=jsonl"
api GET /v1/datasets/hopper
is "beside them a request is answered" 200
api GET "/v1/datasets/hopper/export?format=npz" -o "$work/exported"
is "and one that needs the work pool" 200
crowd_end slow
server_stop

# --- uploads at once, one thread to read them
server_start --work-threads=1
mkdir "$work/files"
/usr/bin/python3 "$root/tests/support/make_uploads.py" "$work/files" || exit 1
declare -A media=([hdf5]=application/x-hdf5 [npz]=application/x-npz [jsonl]=application/jsonl [safetensors]=application/x-safetensors)
for i in 0 1 2 3; do api POST /v1/datasets --json "{\"name\": \"at-once-$i\", \"obs_dim\": 3, \"act_dim\": 2}"; done
uploads=()
for ((i = 0; i < 80; i++)); do
  formats=(hdf5 npz jsonl safetensors)
  format=${formats[i / 4 % 4]}
  curl -sS -o "$work/up-$i" -w '%{http_code}\n' -H "Authorization: Bearer $token" -H "Content-Type: ${media[$format]}" \
    --data-binary @"$work/files/good.$format" "$url/v1/datasets/at-once-$((i % 4))/trajectories" >"$work/code-$i" &
  uploads+=($!)
done
wait "${uploads[@]}"
ok "eighty uploads at once are all stored" same "$(sort "$work"/code-* | uniq -c | xargs)" "80 201"
for i in 0 1 2 3; do
  api GET "/v1/datasets/at-once-$i"
  is "dataset $i has all of its twenty" 200 '.trajectories == 240 and .steps == 2520 and .segments == 20'
  api GET "/v1/datasets/at-once-$i/export?format=jsonl"
  jq -c '[.observations, .actions, .rewards]' "$work/body" | sort | uniq -c | awk '{ print $1 }' | sort | uniq -c | xargs >"$work/lines"
  ok "and each of a file's twelve trajectories twenty times, the same" same "$(cat "$work/lines")" "12 20"
done
server_stop

# --- a token that asks too often
server_start --rate-per-s=20 --rate-burst=10
crowd spend 200 /v1/datasets >"$work/spent"
ok "some requests are answered" grep -qE '^200 [1-9]' "$work/spent"
ok "what is too much is 429" grep -qE '^429 [1-9]' "$work/spent"
ok "nothing else is" refused grep -vE '^(200|429|retry-after) ' "$work/spent"
ok "with the time to come again" grep -q '^retry-after 1$' "$work/spent"
free=$token token=$("$build/proxact-server" token create other)
api GET /v1/datasets
is "another token is not held to it" 200
token=$free
again() { api GET /v1/datasets && [ "$status" = 200 ]; }
ok "and the first is answered again" wait_until 20 again
server_stop
ok "nothing was leaked or misused" refused grep -q Sanitizer "$work/server.log"
check_answers
finish
