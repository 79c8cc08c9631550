#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a script of this folder with the npm packages it needs, which are installed anew when the lock file is newer.
# Usage: tests/parquet/run.sh SCRIPT [ARGUMENT ...]
# Ends with 77 where npm or node are missing.
set -eu
command -v npm >/dev/null && command -v node >/dev/null || exit 77
here=$(cd "$(dirname "$0")" && pwd)
# Tests that run side by side wait for the one that installs.
exec 9<"$here"
flock 9
if [ ! "$here/node_modules/.package-lock.json" -nt "$here/package-lock.json" ]; then
  npm --prefix "$here" ci --no-audit --no-fund >&2
  touch "$here/node_modules/.package-lock.json"
fi
exec 9<&-
script=$1
shift
exec node "$here/$script" "$@"
