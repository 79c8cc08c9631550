#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A database that is there and says nothing (its processes are stopped): /healthz goes on answering, requests that need the
# database are refused instead of waiting for it, and all is well again once it goes on. Then clients that guess tokens.
set -u
cd "$(dirname "$0")/../.." || exit 2
[ -n "${PX_TEST_STACK:-}" ] || exec tests/support/stack.sh "$0" "$@"
# shellcheck source=tests/support/server.sh
. tests/support/server.sh
"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create silent) || exit 1
server_start

read -r postmaster _ <"$PROXACT_VAR/postgres.pid"
postgres() { # SIGNAL
  local pid
  kill "-$1" "$postmaster"
  for pid in $(pgrep -P "$postmaster"); do kill "-$1" "$pid" 2>/dev/null; done
}
on_end postgres CONT
code() { curl -sS -m 30 -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "$url$1"; }
is_code() { [ "$(code "$1")" = "$2" ]; }

# Each line is the milliseconds and the status of one GET /healthz, each on a connection of its own.
probe() { # N FILE
  local i
  for ((i = 0; i < $1; i++)); do curl -sS -m 30 -o /dev/null -w '%{time_total} %{http_code}\n' "$url/healthz"; done | awk '{ print int($1 * 1000), $2 }' >"$2"
}
spread() { sort -n "$1" | awk '{ ms[NR] = $1; bad += $2 != 200 } END { printf "p50 %d ms, p99 %d ms, most %d ms, not answered %d", ms[int((NR + 1) / 2)], ms[int(NR * 0.99 + 0.5)], ms[NR], bad }'; }
all_answered() { [ -s "$1" ] && ! grep -qv ' 200$' "$1"; }

code /v1/datasets >/dev/null
probe 50 "$work/before"
postgres STOP
# More requests at once than there are threads that could wait for the database.
/usr/bin/python3 - "$port" "$token" >"$work/codes" <<'PY' &
import socket, sys
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(64)]
for c in clients:
    c.settimeout(60)
    c.sendall(f"GET /v1/datasets HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {sys.argv[2]}\r\n\r\n".encode())
print("sent", flush=True)
for c in clients:
    print(c.recv(65536).decode().split()[1], flush=True)
PY
wait_until 30 grep -q sent "$work/codes"
probe 50 "$work/during"
wait_until 30 grep -q event=database_silent "$work/server.log"
probe 50 "$work/later"
ok "/healthz is answered" all_answered "$work/during"
ok "and goes on" all_answered "$work/later"
ok "it was noticed" grep -q event=database_silent "$work/server.log"
ok "a request that needs the database is refused" is_code /v1/datasets 503
ok "/readyz says so" is_code /readyz 503
# Each of those that waited gave up, or was refused; nobody waits for as long as an answer may take.
gave_up() { [ "$(grep -c 503 "$work/codes")" -eq 64 ]; }
ok "those that waited gave up" wait_until 30 gave_up
postgres CONT
ok "once it answers, requests are carried out" wait_until 30 is_code /v1/datasets 200
ok "and it is ready" wait_until 30 is_code /readyz 200
echo "GET /healthz before: $(spread "$work/before")"
echo "  from the stop on: $(spread "$work/during")"
echo "  once it is known: $(spread "$work/later")"

# --- Redis: /readyz tells of it, though nothing else asks for it
redis_is() { curl -sS "$url/readyz" | jq -e ".redis == \"$1\"" >/dev/null; }
read -r redis _ <"$PROXACT_VAR/redis.pid"
ok "Redis is up" redis_is up
kill -STOP "$redis"
on_end kill -CONT "$redis"
ok "that Redis is silent is told" wait_until 10 redis_is down
ok "and the service is ready all the same" is_code /readyz 200
kill -CONT "$redis"
ok "and that it is back" wait_until 10 redis_is up

# --- guessed tokens: refused without the database, and counted in the log instead of listed
guess() { # N TOKEN: one connection; "N" in the token stands for a number
  /usr/bin/python3 - "$1" "$2" "$port" <<'PY'
import http.client, sys
client = http.client.HTTPConnection("127.0.0.1", int(sys.argv[3]), timeout=60)
for i in range(int(sys.argv[1])):
    client.request("GET", "/v1/datasets", headers={"Authorization": "Bearer " + sys.argv[2].replace("N", str(i))})
    answer = client.getresponse()
    answer.read()
    print(answer.status)
PY
}
guess 1000 pxa_guessN >"$work/guesses"
ok "most guesses are refused by their number" test "$(grep -c 429 "$work/guesses")" -ge 500
ok "the others as unknown" same "$(grep -cv -e 429 -e 401 "$work/guesses")" 0
ok "the known token goes on" is_code /v1/datasets 200
ok "the log has their number" grep -q event=requests_unauthorized "$work/server.log"
ok "and not each of them" same "$(grep -cE 'event=request .*code=(unauthorized|rate_limited)' "$work/server.log")" 0
guess 1000 pxa_one >"$work/one"
ok "one wrong token again and again is refused" same "$(grep -cv -e 429 -e 401 "$work/one")" 0
echo "guessed tokens: $(grep -c 401 "$work/guesses") looked up, $(grep -c 429 "$work/guesses") refused by their number"
finish
