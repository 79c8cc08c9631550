#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Requests as raw bytes: what two programs could read in two ways is refused with 400, on every request of a connection, and
# nothing that hides behind it is carried out.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"
"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create e2e)
server_start --rate-per-s=0
/usr/bin/python3 "$root/tests/support/raw_http.py" "$port" "$token" || fail "some bytes were not read as they should be"
api GET /v1/datasets
is "nothing that was hidden in another request was carried out" 200 '.items == []'
refusals() { api GET /metrics && grep -q '^proxact_http_requests_total{operation="none",class="4xx"} [1-9]' "$work/body"; }
ok "refusals are counted" refusals
server_stop
ok "nothing was leaked or misused" refused grep -q Sanitizer "$work/server.log"
check_answers
[ "$failures" -eq 0 ]
