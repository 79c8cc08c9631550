# SPDX-License-Identifier: Apache-2.0
# Shell functions that deploy/*.sh and the tests share: sourced, not run.
# shellcheck shell=bash

PX_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# die_log LOG HINT MESSAGE...: the reason, the end of the log, what to try.
die_log() {
  local log=$1 hint=$2
  shift 2
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  if [ -s "$log" ]; then
    printf '  the end of %s:\n' "$log" >&2
    tail -n 15 "$log" | sed 's/^/    /' >&2
  fi
  printf '  hint: %s\n' "$hint" >&2
  exit 1
}

# The absolute folder that holds everything this checkout runs.
var_dir() {
  local dir=${PROXACT_VAR:-$PX_ROOT/var}
  mkdir -p "$dir/log" && (cd "$dir" && pwd -P)
}

# A process is its number, its start time and the boot it lives in, so that a
# number used again after a crash or a reboot is never mistaken for ours.
process_identity() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The name in parentheses may hold anything: count fields after the last ")".
  # shellcheck disable=SC2086  # split on purpose
  set -- "$1" ${stat##*) }
  # A zombie has ended, unless threads of it are still on their way out, with all that the process holds.
  [ "$2" != Z ] || [ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -gt 1 ] || return 1
  printf '%s %s %s\n' "$1" "${21}" "$(cat /proc/sys/kernel/random/boot_id)"
}
# pid_record FILE PID
pid_record() { process_identity "$2" >"$1.new" && mv "$1.new" "$1"; }
# pid_of FILE: the number if that very process still runs.
pid_of() {
  local pid rest
  read -r pid rest 2>/dev/null <"$1" || return 1
  [ "$(process_identity "$pid")" = "$pid $rest" ] && printf '%s\n' "$pid"
}

# wait_until SECONDS COMMAND...: polls the condition; false when time is up. PX_PATIENCE multiplies the seconds.
wait_until() {
  local deadline=$((SECONDS + $1 * ${PX_PATIENCE:-1}))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}
has_ended() { ! pid_of "$1" >/dev/null; }

# pid_stop FILE SIGNAL SECONDS: asks the recorded process to end and waits; past
# the time it is killed. Nothing to do when it ended long ago.
pid_stop() {
  local pid
  if pid=$(pid_of "$1"); then
    kill -s "$2" "$pid" 2>/dev/null
    if ! wait_until "$3" has_ended "$1"; then
      kill -s KILL "$pid" 2>/dev/null
      wait_until 10 has_ended "$1"
    fi
  fi
  rm -f "$1"
}

# spawn PIDFILE LOG COMMAND...: starts a process of its own session, recorded.
spawn() {
  local file=$1 log=$2
  shift 2
  # 9 is the lock of whoever starts it, 8 the output of a test: a child must not hold them.
  setsid "$@" </dev/null >>"$log" 2>&1 8>&- 9>&- &
  pid_record "$file" $!
}

# True when something listens on the port of this machine.
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
# free_port FIRST: the first free port from there on, of a hundred.
free_port() {
  local port
  for ((port = $1; port < $1 + 100; port++)); do
    if ! port_taken "$port"; then printf '%s\n' "$port"; return 0; fi
  done
  return 1
}

# as_time SECONDS: "42 s", "3 min 05 s".
as_time() {
  if [ "$1" -lt 60 ]; then printf '%d s' "$1"; else printf '%d min %02d s' $(($1 / 60)) $(($1 % 60)); fi
}
