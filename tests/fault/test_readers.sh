#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Seventy clients ask for a large answer and do not read it: memory grows with the work, not with the readers. Beyond the bound
# of all answers together the next large one is told 503; small ones go on.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create readers)
besiege() { /usr/bin/python3 "$root/tests/fault/tools/besiege.py" "$port" "$@"; }
readers=
trap '[ -z "$readers" ] || kill -KILL "$readers" 2>/dev/null; server_stop; rm -rf "$work"' EXIT
readers_begin() { # N PATH
  : >"$work/readers"
  /usr/bin/python3 "$root/tests/fault/tools/besiege.py" "$port" readers "$1" "$2" "$token" >"$work/readers" 2>&1 &
  readers=$!
  wait_until 300 grep -q '^held$' "$work/readers"
}
readers_end() {
  kill -TERM "$readers" && wait "$readers"
  readers=
}
resident_mib() { awk -v what="$1:" '$1 == what { print int($2 / 1024) }' "/proc/$(server_pid)/status"; }
normal() {
  besiege ask 100 /v1/datasets/d "$token" "$1" >"$work/asked" 2>&1
  local status=$?
  cat "$work/asked"
  return $status
}

/usr/bin/python3 - >"$work/long.jsonl" <<'PY'
import json
steps, obs, act = 30000, 11, 3
number = lambda i: round((i * 7919 % 10007) / 10007 - 0.5, 6) # all different, as measured ones are
print(json.dumps({"observations": [[number(i * obs + j) for j in range(obs)] for i in range(steps + 1)], "rewards": [number(i) for i in range(steps)],
                  "actions": [[number(i * act + j + 5) for j in range(act)] for i in range(steps)], "terminated": True, "truncated": False}))
PY
server_start --rate-per-s=0 --idle-s=600 --body-s=600
api POST /v1/datasets --json '{"name": "d", "obs_dim": 11, "act_dim": 3}'
api POST /v1/datasets/d/trajectories -H 'Content-Type: application/jsonl' --data-binary @"$work/long.jsonl"
is "a long trajectory" 201
api GET /v1/datasets/d/trajectories/0
is "is a large answer" 200 '.steps == 30000 and (.observations | length) == 30001 and .rewards[29999] == (.rewards | last)'
page_bytes=$(stat -c %s "$work/body")
ok "of megabytes" test "$page_bytes" -gt 4000000
cp "$work/body" "$work/page"
api GET "/v1/datasets/d/export?format=npz" -o "$work/exported"
is "an export" 200
normal before || fail "not always answered before"
before=$(resident_mib VmRSS)
ok "seventy ask for it and do not read" readers_begin 70 /v1/datasets/d/trajectories/0
during=$(resident_mib VmRSS) peak=$(resident_mib VmHWM)
normal "during 70 readers" || fail "not always answered beside the readers"
echo "resident: $before MiB before, $during MiB with 70 readers of $((page_bytes >> 20)) MiB each, peak $peak MiB"
ok "memory has grown by less than ten of the seventy answers" test $((during - before)) -lt $((10 * page_bytes >> 20))
api GET /v1/datasets/d/trajectories/0
ok "beside them another gets all of it, the same" cmp "$work/body" "$work/page"
readers_end
ok "the same for exports" readers_begin 20 "/v1/datasets/d/export?format=jsonl"
exports=$(resident_mib VmRSS)
echo "resident: $exports MiB with 20 readers of exports"
ok "memory has grown by less than ten of the twenty" test $((exports - before)) -lt $((10 * page_bytes >> 20))
readers_end
normal after || fail "not always answered after"
server_stop

# --- the bound of all together
server_start --rate-per-s=0 --idle-s=600 --replies-max-bytes=$((page_bytes * 3 + 1))
ok "as many as the bound allows" readers_begin 20 /v1/datasets/d/trajectories/0
ok "and the next is told 503 with the time to come again" grep -q '^full$' "$work/readers"
api GET /v1/datasets/d/trajectories/0
is "another large one too" 503 '.code == "unavailable"'
api GET /v1/datasets/d
is "a small answer is given all the same" 200
readers_end
answered() { api GET /v1/datasets/d/trajectories/0 && [ "$status" = 200 ]; }
ok "when they have gone it is given again" wait_until 30 answered
server_stop

# --- readers who read too slowly
server_start --rate-per-s=0 --idle-s=600 --body-s=1
ok "one that does not read" readers_begin 1 /v1/datasets/d/trajectories/0
ok "is shut out by its pace" wait_until 30 grep -q 'event=connection_late idle=false' "$work/server.log"
readers_end
api GET /v1/datasets/d/trajectories/0 --limit-rate 2M
ok "one that reads gets all of it" cmp "$work/body" "$work/page"
server_stop
ok "nothing was leaked or misused" refused grep -q Sanitizer "$work/server.log"
check_answers
[ "$failures" -eq 0 ]
