#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Stops what deploy/up.sh started: workers (they drain), the server, the private stack. The data stays.
# Usage: deploy/down.sh [--destroy]     --destroy: removes the data as well     (make down)
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
var=$(var_dir) || die "cannot write to the folder for the stack; PROXACT_VAR names another"
case ${1:-} in '' | --destroy) ;; *) die "usage: deploy/down.sh [--destroy]" ;; esac

# All are asked at once, so that the slowest alone decides how long it takes.
for file in "$var"/worker-*.pid; do
  if pid=$(pid_of "$file"); then kill -s TERM "$pid"; fi
done
for file in "$var"/worker-*.pid; do
  [ -e "$file" ] && pid_stop "$file" TERM 30
done
pid_stop "$var/server.pid" TERM 30
rm -f "$var/env" "$var/url"
if [ "${1:-}" = --destroy ]; then
  "$PX_ROOT/deploy/stack.sh" destroy
  rm -rf "$var/token" "$var/spool"
else
  "$PX_ROOT/deploy/stack.sh" stop
fi
