#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line client on a bad line: the server is killed while a file is sent, while a request is carried out, and
# while the client waits for a job.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
proxact=$build/proxact
export XDG_CONFIG_HOME=$work/config

"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create e2e)
server_start
export PROXACT_URL=$url PROXACT_TOKEN=$token
spawn "$work/worker.pid" "$work/worker.log" "$build/proxact-worker" --poll-ms=200
on_end pid_stop "$work/worker.pid" KILL 5
sql() { psql -XAtqc "$1" "$PROXACT_DB_URL"; }
/usr/bin/python3 - "$work/large.hdf5" <<'PY'
import sys
import h5py
import numpy as np
n, every = 1_000_000, 500
rng = np.random.default_rng(1)
with h5py.File(sys.argv[1], "w") as f:
    f["observations"] = rng.standard_normal((n, 3), np.float32)
    f["actions"] = rng.uniform(-1, 1, (n, 2)).astype(np.float32)
    f["rewards"] = rng.standard_normal(n, np.float32)
    f["terminals"] = np.arange(n) % every == every - 1
PY
size=$(stat -c %s "$work/large.hdf5")
open_gate() { sql 'update gate set most = 1::bigint << 40'; }
again() { # the next server, at the same port; 6 is not for it
  server_kill
  open_gate
  server_start --listen="127.0.0.1:$port" 6>&-
}

# --- a large file, in parts; what would be more than half of it waits at a gate, so that the client cannot have ended before
ok "a dataset" "$proxact" datasets create d --obs 3 --act 2
close_gate() { sql "update gate set most = $((size / 2))"; }
sql "create table gate (most bigint not null); insert into gate values (0); create function gate() returns trigger language plpgsql as
  \$\$ begin while new.received_bytes > (select most from gate) loop perform pg_sleep(0.02); end loop; return new; end \$\$;
  create trigger gate before update of received_bytes on uploads for each row execute function gate()"
close_gate
received_more() { [ "$(sql 'select coalesce(max(received_bytes), 0) from uploads')" -gt "$1" ]; }
"$proxact" upload d "$work/large.hdf5" >"$work/said" 2>"$work/complained" &
client=$!
kill_at() { wait_until 20 received_more "$1" && [ "$(sql 'select count(*) from jobs')" = 0 ] && server_kill; }
ok "the server is killed while a file is sent" kill_at 0
server_start --listen="127.0.0.1:$port"
ok "and once more" kill_at $((size / 3))
again
sent() { [ "$(sql 'select count(*) from jobs')" = 1 ]; }
ok "all of it arrives" wait_until 60 sent
again
ok "the client comes to its end, also when the server is killed while it waits for the job" wait $client
ok "and says what was stored" same "$(head -n 1 "$work/said")" "stored 2000 trajectories, 1000000 steps, 1000000 of them with actions"
ok "which is the file, once" same "$(sql "select trajectories_n || ' ' || steps_n from datasets") $(sql 'select count(*) from uploads')" "2000 1000000 1"
ok "with --async it names the job" grep -qE '^job_' <("$proxact" upload d "$work/large.hdf5" --async)
printf '{"observations": [[1, 2]], "rewards": [0]}\n%9000000s\n' '' >"$work/wrong.jsonl"
"$proxact" upload d "$work/wrong.jsonl" 2>"$work/complained"
ok "a large file that is wrong fails" test $? = 1
ok "and the place is named" grep -q 'at: *trajectory 0' "$work/complained"
ok "an unknown dataset is refused" refused "$proxact" upload none "$work/large.hdf5"

# --- a small file, in one request, whose answer is lost
hold_table() {
  mkfifo "$work/hold"
  psql -XAtq "$PROXACT_DB_URL" <"$work/hold" >"$work/held" &
  holder=$!
  exec 6>"$work/hold"
  printf 'begin; lock table datasets in share row exclusive mode; select 1;\n' >&6
  wait_until 10 test -s "$work/held"
}
waits_for_table() { [ "$(sql "select count(*) from pg_locks where not granted and relation = 'datasets'::regclass")" -ge 1 ]; }
ok "another dataset" "$proxact" datasets create small --obs 3 --act 2
printf '{"observations": [[0,0,0],[1,1,1]], "rewards": [1], "actions": [[0.5,0.5]], "terminated": true, "truncated": false}\n' >"$work/t.jsonl"
hold_table
"$proxact" upload small "$work/t.jsonl" >"$work/said" 2>"$work/complained" 6>&- &
client=$!
ok "a small file is being stored" wait_until 20 waits_for_table
again
exec 6>&-
wait $holder
ok "the server was killed in the middle of it; the client comes to its end" wait $client
ok "it was stored once" same "$(sql "select trajectories_n from datasets where name = 'small'")" 1

# --- the example in curl
ok "a dataset for the example" "$proxact" datasets create example --obs 3 --act 2
sql 'delete from uploads where job_id is not null and blob_id is null'
close_gate
example_more() { [ "$(sql "select coalesce(max(received_bytes), 0) from uploads u join datasets d on d.id = u.dataset_id where d.name = 'example'")" -gt "$1" ]; }
"$root/clients/examples/upload.sh" example "$work/large.hdf5" >"$work/said" 2>"$work/complained" &
client=$!
example_killed() { wait_until 20 example_more $((size / 3)) && kill -0 "$client" && again; }
ok "the server is killed while the example sends" example_killed
ok "the example comes to its end" wait $client
ok "and names the job" grep -qxE 'job_[0-9a-f]{20}' "$work/said"
ok "which reads the file" "$proxact" jobs watch "$(cat "$work/said")"
ok "once" same "$(sql "select trajectories_n from datasets where name = 'example'")" 2000

# --- nobody there
server_stop
began=$SECONDS
ok "where nobody answers the client gives up" refused "$proxact" datasets create none --obs 3 --act 2
ok "without trying again for long" test $((SECONDS - began)) -le 20
finish
