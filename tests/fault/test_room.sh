#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The floor of free space is kept: by bodies whose length is not told, by uploads in parts that are begun together, by exports
# at once, beside a client that goes on. What was promised is free again at the end, and after an expiry, and outlives a restart.
set -u
cd "$(dirname "$0")/../.." || exit 2
[ -n "${PX_TEST_STACK:-}" ] || exec tests/support/stack.sh "$0" "$@"
# Volumes of this test's own, for itself and the server it starts.
if [ -z "${PX_ROOM_APART:-}" ]; then
  apart=(unshare -m)
  [ "$(id -u)" = 0 ] || apart=(unshare -Urm)
  if ! "${apart[@]}" sh -c 'mount -t tmpfs none /mnt' 2>/dev/null; then
    echo "SKIP room: mounting a tmpfs in a namespace of one's own is not allowed here"
    exit 0
  fi
  PX_ROOM_APART=1 exec "${apart[@]}" "$0" "$@"
fi
# shellcheck source=tests/support/server.sh
. tests/support/server.sh
MIB=1048576 FLOOR=$((16 << 20))
mkdir "$work/db"
# After $work's own removal, which comes last.
unmount() { umount "$work/spool" "$work/db"; }
on_end unmount
mount -t tmpfs -o size=64m spool "$work/spool" && mount -t tmpfs -o size=80m db "$work/db" || exit 1
on_end server_stop # before the volumes go

"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create normal) || exit 1
other=$("$build/proxact-server" token create other) || exit 1
sql() { psql -XAtqc "$1" "$PROXACT_DB_URL"; }
b64() { printf '%s' "$1" | base64 -w0; }
start() { server_start --free-floor-bytes=$FLOOR --db-volume="$work/db" "$@"; }
start
api POST /v1/datasets --json '{"name": "d", "obs_dim": 11, "act_dim": 3}'
beside=(/usr/bin/python3 tests/fault/tools/beside.py)
measured() { # WHEN: documents that are asked for
  ok "a client is answered $1" eval "'${beside[0]}' '${beside[1]}' $port $token ask 60 GET /v1/datasets/d >'$work/took'"
  say "GET of a dataset $1 (p50, p99, most): $(cat "$work/took") ms"
}
free_of() { stat -f -c '%a %S' "$1" | awk '{ print $1 * $2 }'; }
# The least free space of the spool's volume, as seen until the watch ends.
watch_begin() {
  (
    least=$(free_of "$work/spool")
    while [ ! -e "$work/seen" ]; do
      now=$(free_of "$work/spool")
      [ "$now" -ge "$least" ] || least=$now
      echo "$least" >"$work/least"
      sleep 0.02
    done
  ) &
  watching=$!
}
watch_end() {
  touch "$work/seen"
  wait "$watching"
  rm "$work/seen"
  say "least free while $1: $(($(cat "$work/least") / MIB)) MiB of a floor of $((FLOOR / MIB))"
  # What a request has decoded, but not asked for yet: a piece of its body.
  ok "the floor is kept while $1" test "$(cat "$work/least")" -ge $((FLOOR - MIB))
}
empty=$(free_of "$work/spool")
is_empty() { [ "$(free_of "$work/spool")" -ge $((empty - 65536)) ]; }
promised() { curl -fsS -H "Authorization: Bearer $token" "$url/metrics" | sed -n "s/^proxact_volume_promised_bytes{volume=\"$1\"} //p"; }
nothing_promised() { [ "$(promised spool)" = 0 ] && [ "$(promised database)" = 0 ]; }

measured before

# --- bodies whose length is not told: eight of 20 MiB, into 48
watch_begin
"${beside[@]}" "$port" "$other" chunked 8 '/v1/datasets/d/trajectories?format=jsonl' $((20 << 20)) >"$work/codes" &
attack=$!
measured "beside endless bodies"
wait "$attack"
say "they were answered: $(xargs <"$work/codes")"
watch_end "bodies come whose length is not told"
ok "some were told that there is no room" grep -q '^507 ' "$work/codes"
ok "what they had taken is free again" wait_until 20 is_empty
ok "and promised to nobody" wait_until 20 nothing_promised

# --- uploads in parts: each needs its bytes, and as many for its segments; 12 of 8 MiB at once, into 64
tus() { api "$@" -H 'Tus-Resumable: 1.0.0'; }
new_upload() { tus POST /v1/uploads -H "Upload-Length: $((8 << 20))" -H "Upload-Metadata: dataset $(b64 d),filename $(b64 t.jsonl)"; }
creations=()
for i in $(seq 12); do
  curl -sS -o "$work/created-$i" -w '%{http_code}\n' -X POST -H "Authorization: Bearer $other" -H 'Tus-Resumable: 1.0.0' \
    -H "Upload-Length: $((8 << 20))" -H "Upload-Metadata: dataset $(b64 d),filename $(b64 t.jsonl)" "$url/v1/uploads" >"$work/code-$i" &
  creations+=($!)
done
wait "${creations[@]}"
say "uploads in parts, begun together: $(sort "$work"/code-* | uniq -c | xargs)"
left=$((($(free_of "$work/db") - FLOOR) / (16 << 20)))
ok "as many are taken as there is room for" same "$(cat "$work"/code-* | grep -c 201)" "$left"
new_upload
is "one more is refused, with the figures" 507 '.code == "no_space" and (.hint | test("[0-9]+ MiB for uploads in parts, of which [0-9]+ are promised"))'
truncate -s 20M "$work/plain"
api POST '/v1/datasets/d/trajectories?async=true' -H 'Content-Type: application/jsonl' -T "$work/plain"
is "so is a plain one that would take what is promised" 507 '.hint | test("promised")'
server_stop
start
new_upload
is "a restart does not forget" 507
tus DELETE "/v1/uploads/$(sql 'select id from uploads limit 1')"
is "one is given up" 204
new_upload
is "and another is taken" 201
sql 'update uploads set expires_at = clock_timestamp() where id = (select id from uploads limit 1)'
new_upload
is "one that has expired makes room too" 201
new_upload
is "and no more than that" 507
sql 'update uploads set expires_at = clock_timestamp()'

# --- exports: about 2.5 MiB of segments, as JSON lines up to five times as much; eight at once, into 48
/usr/bin/python3 - "$work/flat.npz" <<'PYTHON' || exit 1
import sys
import numpy as np
rng, n = np.random.default_rng(1), 50_000
ends = np.zeros(n, "u1")
ends[999::1000] = 1
np.savez(sys.argv[1], observations=rng.standard_normal((n, 11), "f4"), actions=rng.uniform(-1, 1, (n, 3)).astype("f4"),
         rewards=np.zeros(n, "f4"), terminals=ends)
PYTHON
api POST /v1/datasets/d/trajectories -H 'Content-Type: application/x-npz' -T "$work/flat.npz"
is "there is something to export" 201
exports() { # FORMAT: eight at once
  local i pids=()
  watch_begin
  for i in $(seq 8); do
    curl -sS -o /dev/null -w '%{http_code}\n' -H "Authorization: Bearer $other" "$url/v1/datasets/d/export?format=$1" >"$work/export-$i" &
    pids+=($!)
  done
  measured "beside exports ($1)"
  wait "${pids[@]}"
  say "exports at once ($1) were answered: $(cat "$work"/export-* | sort | uniq -c | xargs)"
  watch_end "eight exports are written ($1)"
  ok "the answers are files, or that there is no room ($1)" refused grep -qv '^\(200\|507\)$' "$work"/export-*
  ok "some are files ($1)" grep -q '^200$' "$work"/export-*
  ok "nothing of them is left ($1)" wait_until 20 is_empty
  ok "and nothing is promised ($1)" wait_until 20 nothing_promised
}
exports jsonl
exports npz
head -c $((40 << 20)) /dev/zero >"$work/spool/filling"
api GET '/v1/datasets/d/export?format=jsonl'
is "one that does not fit is refused before it is written" 507 '.hint | test("spool volume")'
rm "$work/spool/filling"
api GET '/v1/datasets/d/export?format=jsonl'
is "with room again it is sent" 200

# --- somebody else fills the volume while a body comes whose length was told
/usr/bin/python3 - "$port" "$token" "$work/spool/filling" >"$work/code" <<'PYTHON'
import http.client, sys
client = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
client.putrequest("POST", "/v1/datasets/d/trajectories?format=jsonl")
client.putheader("Authorization", f"Bearer {sys.argv[2]}")
client.putheader("Content-Length", str(12 << 20))
client.endheaders()
client.send(b"\n" * (2 << 20))
open(sys.argv[3], "wb").write(bytes(40 << 20))
client.send(b"\n" * (10 << 20))
print(client.getresponse().status)
PYTHON
ok "a body that was promised its room is refused when the floor is reached all the same" same "$(cat "$work/code")" 507
rm "$work/spool/filling"
measured after
ok "every answer is as described" check_answers
finish
