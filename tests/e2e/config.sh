#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# deploy/*.conf, the sample configurations, are what the programs print, and the programs read them.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=${PROXACT_BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
fail() { echo "FAIL $*"; failures=$((failures + 1)); }
for program in proxact-server proxact-worker; do
  sample=deploy/$program.conf
  env -i PROXACT_DB_URL=postgresql://u:hidden@h/d "$build/$program" config >"$work/sample" || fail "$program prints a sample"
  diff "$sample" "$work/sample" || fail "$sample is current; 'make samples' writes it"
  grep -q hidden "$work/sample" && fail "$program keeps secrets out of the sample"
  # With every line switched on it is a whole configuration. The programs read it before they look at the command, so
  # an unknown command shows how far they came.
  complaint() { env -i "$build/$program" no-such-command --config "$1" 2>&1; }
  sed 's/^#\([a-z_]* =\)/\1/' "$sample" >"$work/all.conf"
  [ "$(grep -c '^[a-z]' "$work/all.conf")" -gt 5 ] || fail "$sample names the options"
  complaint "$work/all.conf" | grep -q no-such-command || fail "$program reads its own sample"
  echo "no_such_option = 1" >>"$work/all.conf"
  complaint "$work/all.conf" | grep -q no_such_option || fail "$program names an unknown option"
  option=$(sed -n 's/^\([a-z_]*\) = [0-9][0-9]*$/\1/p' "$work/all.conf" | head -n 1)
  echo "$option = x" >"$work/wrong.conf"
  complaint "$work/wrong.conf" | grep -q "$option" || fail "$program checks the file's values"
  "$build/$program" --help | grep -q -- "--${option//_/-}" || fail "$program --help names $option"
done
[ "$failures" -eq 0 ]
