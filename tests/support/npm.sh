#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a script with the npm packages of its folder, which are installed anew when the folder's lock file is newer.
# Usage: tests/support/npm.sh SCRIPT [ARGUMENT ...]
# Ends with 77 where npm or node are missing.
set -eu
command -v npm >/dev/null && command -v node >/dev/null || exit 77
script=$1
here=$(cd "$(dirname "$script")" && pwd)
# Tests that run side by side wait for the one that installs.
exec 9<"$here"
flock 9
if [ ! "$here/node_modules/.package-lock.json" -nt "$here/package-lock.json" ]; then
  npm --prefix "$here" ci --no-audit --no-fund >&2
  touch "$here/node_modules/.package-lock.json"
fi
exec 9<&-
exec node "$@"
