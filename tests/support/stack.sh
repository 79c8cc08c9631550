#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command inside a private PostgreSQL and Redis of its own, thrown away afterwards.
# Usage: tests/support/stack.sh COMMAND...
# The command sees PROXACT_DB_URL (an empty database) and PROXACT_REDIS_URL; tests/support/run.sh, run in here,
# gives each program an empty database and an empty Redis. PROXACT_VAR is the temporary folder; logs are in its log/.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
PROXACT_VAR=$(mktemp -d "${TMPDIR:-/tmp}/proxact-test-XXXXXX") || exit 1
export PROXACT_VAR
child=""
cleanup() {
  "$root/deploy/stack.sh" destroy
  rm -rf "$PROXACT_VAR"
}
trap cleanup EXIT
# Ending this script ends the command first; the trap above then removes the stack.
trap '[ -z "$child" ] || kill "$child" 2>/dev/null' INT TERM
chmod 755 "$PROXACT_VAR"
"$root/deploy/stack.sh" start --throwaway || exit 1
eval "$("$root/deploy/stack.sh" env)"
export PX_TEST_STACK=1
"$@" &
child=$!
wait "$child"
rc=$?
# A signal interrupts wait: wait again for what it was sent to.
while kill -0 "$child" 2>/dev/null; do wait "$child"; rc=$?; done
exit "$rc"
