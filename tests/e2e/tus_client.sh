#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Uploads in parts through a client that others wrote: npm's tus-js-client, pinned in tests/tus/package-lock.json.
set -u
if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
  echo "SKIP tus_client: npm and node are missing; deploy/install-deps.sh test installs them"
  exit 0
fi
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"

# Installed anew when the lock file is newer than what is there.
tus=$root/tests/tus
if [ ! "$tus/node_modules/.package-lock.json" -nt "$tus/package-lock.json" ]; then
  npm --prefix "$tus" ci --no-audit --no-fund >"$work/npm.log" 2>&1 || { cat "$work/npm.log"; exit 1; }
  touch "$tus/node_modules/.package-lock.json"
fi

"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create e2e)
server_start
sql() { psql -XAtqc "$1" "$PROXACT_DB_URL"; }
api POST /v1/datasets --json '{"name": "hopper", "obs_dim": 11, "act_dim": 3}'
export PROXACT_TOKEN=$token DATASET=hopper
file=$work/large.jsonl
head -c 50000000 /dev/urandom >"$file"
size=$(stat -c %s "$file")
digest=$(sha256sum "$file" | cut -d' ' -f1)

client() { # WAY FILE [STORE]: $addresses
  PROXACT_URL=$url node "$tus/client.mjs" "$@" >"$work/addresses" 2>"$work/client.log" || { cat "$work/client.log"; return 1; }
  mapfile -t addresses <"$work/addresses"
}
stored() { # ADDRESS: the bytes are the file's, and one job will read them
  local id=${1##*/}
  [ "$(sql "select encode(sha256(string_agg(bytes, ''::bytea order by no)), 'hex') from blob_chunks c join uploads u using (blob_id)
            where u.id = '$id'")" = "$digest" ] &&
    [ "$(sql "select count(*) from jobs where spec->>'upload' = '$id'")" = 1 ]
}
stored_all() {
  local address
  for address in "${addresses[@]}"; do stored "$address" || { echo "$address"; return 1; }; done
}
way() { # WAY NAME [STORE]
  ok "$2" client "$1" "$file" "${@:3}"
  ok "$2: stored" stored_all
}
way plain "in chunks"
way unchunked "in one request"
way during_creation "with data in the creation"
way by_post "by POST with X-HTTP-Method-Override"
way paused "paused and resumed"
ok "abandoned after a third" client abandoned "$file" "$work/store"
left=${addresses[0]}
ok "what was sent is there, and no job" same "$(sql "select received_bytes > $size / 3 and job_id is null from uploads where id = '${left##*/}'")" t
way resumed "resumed by another process" "$work/store"
ok "it is the same upload" same "${addresses[0]}" "$left"
way parallel "eight at once"
ok "they are eight" same "${#addresses[@]}" 8
ok "given up" client terminated "$file"
ok "it is gone" same "$(sql "select count(*) from uploads where id = '${addresses[0]##*/}'")" 0
ok "a wrong token is an error" refused env PROXACT_TOKEN=pxa_no PROXACT_URL="$url" node "$tus/client.mjs" plain "$file"

# --- the server is killed in the middle, twice
sql "delete from uploads" >"$work/out"
received_more() { [ "$(sql 'select coalesce(max(received_bytes), 0) from uploads')" -gt "$1" ]; }
kill_server() { # at a time when more than $1 bytes are stored; the next one listens at the same port
  wait_until 20 received_more "$1" || return 1
  server_kill
  server_start --listen="127.0.0.1:$port"
}
client paused "$file" >"$work/background.log" 2>&1 &
background=$!
ok "the server is killed in the middle" kill_server 1000000
ok "and again" kill_server $((size / 2))
ok "the client comes to its end" wait $background
addresses=("/v1/uploads/$(sql 'select id from uploads')")
ok "one upload was made" same "$(sql 'select count(*) from uploads')" 1
ok "and its bytes are the file's" stored_all

# --- a file that means something, to its end
sql "delete from jobs" >"$work/out" # random bytes are no trajectories
ok "a dataset" client plain "$root/deploy/demo/hopper-demo.hdf5"
spawn "$work/worker.pid" "$work/worker.log" "$build/proxact-worker" --poll-ms=200
has_trajectories() { [ "$(sql 'select trajectories_n from datasets')" = 88 ]; }
ok "is read by a worker" wait_until 60 has_trajectories
pid_stop "$work/worker.pid" TERM 20
ok "the server was never in trouble" refused grep -E 'level=error|Sanitizer' "$work/server.log"
finish
