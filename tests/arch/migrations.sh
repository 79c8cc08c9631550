#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Migrations expand first and contract later: builds of the version before go on while one is applied, unless it says not.
# From 0009 on a migration has one line `-- serves: N`: builds that know version N, or more, work with the schema after it.
#   N = its own number   older builds must be stopped first
#   N smaller            it only adds what those builds do not notice: nothing is dropped, renamed, retyped or made stricter
# Usage: tests/arch/migrations.sh [ROOT]
set -u
cd "${1:-$(dirname "$0")/../..}/migrations" || exit 2
first=9 failed=0
say() { echo "migrations/$*"; failed=1; }
stricter='\bdrop[[:space:]]+(table|column|view|type|sequence|function)\b|\brename\b|\balter[[:space:]]+column[[:space:]]+[a-z_]+[[:space:]]+(set[[:space:]]+data[[:space:]]+)?type\b|\bset[[:space:]]+not[[:space:]]+null\b|\badd[[:space:]]+column[^,;]*\bnot[[:space:]]+null\b'
for file in [0-9]*.sql; do
  version=$((10#${file%%_*}))
  [ "$version" -ge $first ] || continue
  mapfile -t serves < <(sed -n 's/^-- serves: \([0-9][0-9]*\)$/\1/p' "$file")
  [ ${#serves[@]} -eq 1 ] || { say "$file: needs one line '-- serves: N'; see tests/arch/migrations.sh"; continue; }
  [ "${serves[0]}" -le "$version" ] || { say "$file: cannot serve builds of version ${serves[0]} alone"; continue; }
  [ "${serves[0]}" -lt "$version" ] || continue
  # Comments and text in quotes do not count; a column with a default may well be not null.
  found=$(sed "s/--.*//; s/'[^']*'//g" "$file" | tr '\n' ' ' | tr ';' '\n' |
    sed -E 's/add[[:space:]]+column[^,;]*\bdefault\b[^,;]*//gI' | grep -oiE "$stricter" | head -n 1)
  [ -z "$found" ] || say "$file: serves builds of version ${serves[0]}, and yet does '$found'"
done
exit $failed
