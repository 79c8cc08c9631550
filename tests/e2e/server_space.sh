#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No room: a floor that is reached, a database whose disk is full, a spool folder that fills up in the middle of a body.
# Uploads are refused with 507, nothing is half there, all else goes on, and with room uploads go on by themselves.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"

"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create e2e)
sql() { psql -XAtqc "$1" "$PROXACT_DB_URL"; }
b64() { printf '%s' "$1" | base64 -w0; }
printf '{"observations": [[0,0,0],[1,1,1]], "rewards": [1], "actions": [[0.5,0.5]], "terminated": true, "truncated": false}\n' >"$work/t.jsonl"
size=$(stat -c %s "$work/t.jsonl")
send() { api POST /v1/datasets/d/trajectories -H 'Content-Type: application/jsonl' --data-binary @"$work/t.jsonl" "$@"; }
tus() { api "$@" -H 'Tus-Resumable: 1.0.0'; }
create() {
  tus POST /v1/uploads -H "Upload-Length: $1" -H "Upload-Metadata: dataset $(b64 d),filename $(b64 t.jsonl)"
  up=$(header location)
}
part() { tus PATCH "$up" -H 'Content-Type: application/offset+octet-stream' -H "Upload-Offset: $1" --data-binary @"$2" "${@:3}"; }
offset_is() { tus HEAD "$up" -I; same "$(header upload-offset)" "$1"; }
nothing_loose() { [ "$(sql 'select count(*) from blobs where not attached')" = 0 ]; }

# --- a floor that is reached
server_start
api POST /v1/datasets --json '{"name": "d", "obs_dim": 3, "act_dim": 2}'
api GET /readyz
is "with room the service says so" 200 '.space == "ok"'
create "$size"
server_stop
server_start --free-floor-bytes=$((1 << 50)) --db-volume="$work"
full() { is "$1" 507 '.code == "no_space" and (.hint | test("volume has [0-9]+ MiB free, of which 1073741824 are kept"))'; }
send
full "a plain upload is refused"
create "$size"
full "so is a new one in parts"
up=/v1/uploads/$(sql 'select id from uploads')
part 0 "$work/t.jsonl"
full "and a part of one that was begun"
ok "nothing of it is there" offset_is 0
truncate -s 100M "$work/zeros"
api POST /v1/datasets/d/trajectories -H 'Content-Type: application/jsonl' -T "$work/zeros"
full "a long body is refused"
received_less() { [ "$(sed -n 's/.*path=.v1.datasets.d.trajectories status=507.*received_bytes=\([0-9]*\).*/\1/p' "$work/server.log" | tail -n 1)" -lt 1000000 ]; }
ok "before it is sent" received_less
api GET /readyz
is "the service says that it is full, and is ready all the same" 200 '.status == "ok" and .space == "low"'
api GET /metrics
ok "metrics tell of both volumes" same "$(grep -c '^proxact_volume_\(free\|floor\)_bytes{volume="\(spool\|database\)"}' "$work/body")" 4
api POST /v1/datasets --json '{"name": "e", "obs_dim": 3, "act_dim": 2}'
is "what is no upload goes on" 201
server_stop
server_start
part 0 "$work/t.jsonl"
is "with room again the upload goes on" 204
send
is "and plain ones are taken" 201

# --- the database's disk is full: what PostgreSQL then says, from a trigger
fill_database() {
  sql "create or replace function full_disk() returns trigger language plpgsql as
    \$\$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end \$\$;
    create trigger full_disk before insert on blob_chunks for each row execute function full_disk()"
}
empty_database() { sql 'drop trigger full_disk on blob_chunks'; }
before=$(sql "select trajectories_n || ' ' || version from datasets where name = 'd'")
create "$size"
fill_database
send
is "a plain upload answers 507" 507 '.code == "no_space"'
ok "Retry-After is told" test "$(header retry-after)" -ge 1
send -H 'Idempotency-Key: full'
is "with a key too" 507
api POST "/v1/datasets/d/trajectories?async=true" -H 'Content-Type: application/jsonl' --data-binary @"$work/t.jsonl"
is "and one for a job" 507
part 0 "$work/t.jsonl"
is "a part answers 507" 507
ok "and its offset stays" offset_is 0
ok "nothing was stored" same "$(sql "select trajectories_n || ' ' || version from datasets where name = 'd'")" "$before"
ok "nothing half-written is left" nothing_loose
create $((300 << 20))
truncate -s 300M "$work/zeros"
part 0 "$work/zeros" -H 'Expect:'
is "in the middle of a long part the answer comes at once" 507
middle_cut() { [ "$(sed -n 's/.*method=PATCH.*status=507.*received_bytes=\([0-9]*\).*/\1/p' "$work/server.log" | tail -n 1)" -lt $((250 << 20)) ]; }
ok "before all of it was sent" wait_until 10 middle_cut
tus DELETE "$up"
empty_database
up=/v1/uploads/$(sql "select id from uploads where job_id is null")
part 0 "$work/t.jsonl"
is "with room again the part is taken" 204
send -H 'Idempotency-Key: full'
is "and the plain upload with its key" 201
server_stop

# --- a spool folder of 16 MiB, in a mount namespace of the server's own
apart=(unshare -m)
[ "$(id -u)" = 0 ] || apart=(unshare -Urm)
if "${apart[@]}" sh -c "mount -t tmpfs -o size=16m spool '$work/spool'" 2>/dev/null; then
  mkdir "$work/bin"
  cat >"$work/bin/proxact-server" <<EOF
#!/bin/sh
exec ${apart[*]} sh -c 'mount -t tmpfs -o size=16m spool "$work/spool" && exec "$build/proxact-server" "\$@"' sh "\$@"
EOF
  chmod +x "$work/bin/proxact-server"
  build=$work/bin
  server_start
  head -c 40000000 /dev/zero | tr '\0' ' ' >"$work/blanks"
  fill_spool() { # its length is not told, so that only the disk itself can say no
    api POST /v1/datasets/d/trajectories -H 'Content-Type: application/jsonl' -H 'Transfer-Encoding: chunked' -H 'Expect:' \
      --data-binary @"$work/blanks"
  }
  fill_spool
  is "a body that fills the disk answers 507" 507 '.code == "no_space"'
  send
  is "and then there is room again" 201
  api POST /v1/datasets/d/trajectories -H 'Content-Type: application/jsonl' --data-binary @"$work/blanks"
  is "one that says its length is refused before" 507 '.hint | test("spool volume")'
  create 40000000
  part 0 "$work/blanks"
  is "in parts it passes through a small disk" 204
  server_stop
else
  echo "SKIP spool: mounting a tmpfs in a namespace of one's own is not allowed here"
fi

ok "every answer is as described" check_answers
finish
