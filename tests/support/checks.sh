# SPDX-License-Identifier: Apache-2.0
# Shell functions that tests share, their checks and their end: sourced by server.sh, service.sh and
# tests/fault/lib/hosts.sh, not run. Needs $work, a folder that is removed at the end.
#   ok WHAT COMMAND...     one check: a line for it, and what the command said if it failed
#   fail TEXT              counts and prints a failure
#   refused COMMAND...     turns a command's status round;   same GOT EXPECTED
#   on_end COMMAND...      runs the command when the test ends; the last one given runs first
#   finish                 ends the test with the verdict of its checks
# A test that fails, or that ends before its last line, says where it ended and calls `logs`.
# shellcheck shell=bash disable=SC2154 # the caller sets work
failures=0 at_end=()
# Deadlines only end a hang. The seconds of wait_until are those of an idle machine; a busy one gets more.
export PX_PATIENCE=${PX_PATIENCE:-5}
# The test's own output, which checks redirect.
exec 8>&1

fail() {
  echo "FAIL $*"
  failures=$((failures + 1))
}
ok() {
  local name=$1
  shift
  if "$@" >"$work/out" 2>&1; then
    echo "ok $name"
  else
    fail "$name: $*"
    tail -n 30 "$work/out"
  fi
}
refused() { ! "$@"; }
same() { [ "$1" = "$2" ] || { echo "got '$1', expected '$2'"; return 1; }; }
logs() { tail -n 15 "$work"/*.log; }
finish() {
  [ "$failures" -eq 0 ]
  exit
}

# on_end COMMAND...: its words are kept as they are.
on_end() { at_end+=("$(printf '%q ' "$@")"); }
end_test() {
  local rc=$? i
  trap - EXIT
  trap '' INT TERM
  exec >&8 2>&1
  if [ "$rc" -ne 0 ]; then
    echo "the test ended with status $rc; it was in:"
    for ((i = 1; i < ${#FUNCNAME[@]}; i++)); do echo "  ${BASH_SOURCE[i]##*/} line ${BASH_LINENO[i - 1]} (${FUNCNAME[i]})"; done
    if [ -s "$work/out" ]; then echo "its last check said:" && tail -n 20 "$work/out"; fi
    logs 2>/dev/null
  fi
  for ((i = ${#at_end[@]} - 1; i >= 0; i--)); do eval "${at_end[i]}"; done
  exit "$rc"
}
trap end_test EXIT
trap 'exit 130' INT TERM
on_end rm -rf "$work"
