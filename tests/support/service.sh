# SPDX-License-Identifier: Apache-2.0
# Sourced by tests/e2e/*.sh: a whole service of the test's own (private stack, server, workers), removed at its end.
# shellcheck shell=bash disable=SC2034
#   service_start [WORKERS]   sets PROXACT_URL, PROXACT_TOKEN, PROXACT_VAR, $work (a folder for the test)
#   expect WHAT COMMAND...    one check; expect_said WHAT TEXT: of its output; refused COMMAND... turns one round; finish ends the test
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d) || exit 1
chmod 755 "$work"
export PROXACT_VAR=$work/var XDG_CONFIG_HOME=$work/config
proxact=${PROXACT_BUILD:-$root/build}/proxact
demo_data=$root/deploy/demo/hopper-demo.hdf5
# shellcheck source=deploy/lib.sh
. "$root/deploy/lib.sh"
# shellcheck source=tests/support/checks.sh
. "$root/tests/support/checks.sh"
logs() { tail -n 15 "$PROXACT_VAR"/log/server.log "$PROXACT_VAR"/log/worker-*.log; }
on_end "$root/deploy/down.sh" --destroy

service_start() {
  # A port far from the one `make up` takes, and different for tests that run at the same time.
  WORKERS=${1:-2} PROXACT_FIRST_PORT=$((20000 + $$ % 10000)) "$root/deploy/up.sh" --throwaway || exit 1
  # shellcheck source=/dev/null
  . "$PROXACT_VAR/env"
}

expect() { ok "$@"; }
# expect_said WHAT TEXT: the command of the last check said so.
expect_said() {
  if grep -qF -- "$2" "$work/out"; then
    echo "ok $1"
  else
    fail "$1: '$2' is not in:"
    cat "$work/out"
  fi
}
