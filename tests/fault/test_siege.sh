#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients without a token beside one with: thousands of sockets with bodies that never end, half heads, nothing at all, answers
# that nobody reads. The one that has a token is answered every time. Its times are printed, not judged.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create siege)
besiege() { /usr/bin/python3 "$root/tests/fault/tools/besiege.py" "$port" "$@"; }
attacker=
trap '[ -z "$attacker" ] || kill -KILL "$attacker" 2>/dev/null; server_stop; rm -rf "$work"' EXIT
attack_begin() { # KIND N ADDRESSES
  : >"$work/attack"
  /usr/bin/python3 "$root/tests/fault/tools/besiege.py" "$port" attack "$@" >"$work/attack" 2>&1 &
  attacker=$!
  wait_until 60 grep -q '^held$' "$work/attack"
}
attack_end() {
  kill -TERM "$attacker" && wait "$attacker"
  attacker=
  grep '^opened' "$work/attack"
}
normal() { # NAME: the client with a token; its figures are shown
  besiege ask 100 /v1/datasets "$token" "$1" >"$work/asked" 2>&1
  local status=$?
  cat "$work/asked"
  return $status
}
open_sockets() { find "/proc/$(server_pid)/fd" -lname 'socket:*' 2>/dev/null | wc -l; }
few_sockets() { [ "$(open_sockets)" -lt 64 ]; }
part_of_sockets() { [ "$(open_sockets)" -lt 1400 ]; } # half of 2,016, those that are being closed, those of the last second

server_start --rate-per-s=0
normal before || fail "the client with a token was not always answered before"
for kind in body huge head silent answers mixed; do
  ok "$kind: 2,100 sockets from eight addresses" attack_begin $kind 2100 8
  normal "during $kind" || fail "the client with a token was not always answered beside $kind"
  ok "$kind: those without a token have their part of the connections and no more" wait_until 30 part_of_sockets
  attack_end || fail "the attack did not last"
done
ok "one address: 400 sockets" attack_begin mixed 400 1
normal "during 400 from one address" || fail "the client with a token was not always answered beside one address"
attack_end || fail "the attack did not last"
normal after || fail "the client with a token was not always answered after"
ok "of the sockets nothing is left" wait_until 60 few_sockets

# --- a token that has been shown is no licence to drip
server_stop
server_start --body-s=1 --idle-s=600
drip() { # a byte now and then, for as long as the server lets it; at most a minute
  local i
  exec 5<>"/dev/tcp/127.0.0.1/$port"
  printf 'POST /v1/datasets HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n' "$token" >&5
  for ((i = 0; i < 300; i++)); do
    printf a >&5 2>/dev/null || return 0
    read -r -t 0.2 -u 5 && return 0
    [ $? -gt 128 ] || return 0 # the end, not the time
  done
  return 1
}
trap '' PIPE
ok "a body below the least pace is ended" drip
exec 5>&-
ok "by its pace" wait_until 20 grep -q 'event=connection_late idle=false' "$work/server.log"
head -c 100000 /dev/zero | tr '\0' ' ' >"$work/spaces"
api POST /v1/datasets -H 'Content-Type: application/json' --data-binary @"$work/spaces" --limit-rate 20k
is "one above it is read to its end, however long it takes" 400
server_stop
ok "nothing was leaked or misused" refused grep -q Sanitizer "$work/server.log"
[ "$failures" -eq 0 ]
