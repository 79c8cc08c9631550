#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Migrations expand first and contract later: builds of the version before go on while one is applied, unless it says not.
# Every migration has one line `-- serves: N`: builds that know version N, or more, work with the schema after it.
#   N = its own number   older builds must be stopped first
#   N smaller            it only adds what those builds do not notice: nothing is dropped, renamed, retyped or made stricter
# Functions, triggers and views are in schema/functions alone, whose files are harmless to repeat.
# Usage: tests/arch/migrations.sh [ROOT]
set -u
cd "${1:-$(dirname "$0")/../..}" || exit 2
failed=0
say() { echo "$*"; failed=1; }
# Comments and text in quotes do not count.
statements() { sed 's/--.*//' "$1" | tr '\n' ' ' | sed "s/'[^']*'//g" | tr ';' '\n'; }
rule='\bcreate[[:space:]]+(or[[:space:]]+replace[[:space:]]+)?(constraint[[:space:]]+)?(function|procedure|trigger|view)\b'
stricter='\bdrop[[:space:]]+(table|column|view|type|sequence|function)\b|\brename\b|\balter[[:space:]]+column[[:space:]]+[a-z_]+[[:space:]]+(set[[:space:]]+data[[:space:]]+)?type\b|\bset[[:space:]]+not[[:space:]]+null\b|\badd[[:space:]]+column[^,;]*\bnot[[:space:]]+null\b'
for file in migrations/[0-9]*.sql; do
  [ -e "$file" ] || continue
  number=${file#migrations/} number=${number%%_*}
  version=$((10#$number))
  [ "$version" -gt 0 ] || continue # it only makes the table that remembers the others
  found=$(statements "$file" | grep -oiE "$rule" | head -n 1)
  [ -z "$found" ] || say "$file: '$found' belongs in schema/functions"
  mapfile -t serves < <(sed -n 's/^-- serves: \([0-9][0-9]*\)$/\1/p' "$file")
  [ ${#serves[@]} -eq 1 ] || { say "$file: needs one line '-- serves: N'; see tests/arch/migrations.sh"; continue; }
  [ "${serves[0]}" -le "$version" ] || { say "$file: cannot serve builds of version ${serves[0]} alone"; continue; }
  [ "${serves[0]}" -lt "$version" ] || continue
  # A column with a default may well be not null.
  found=$(statements "$file" |
    sed -E 's/add[[:space:]]+column[^,;]*\bdefault\b[^,;]*//gI' | grep -oiE "$stricter" | head -n 1)
  [ -z "$found" ] || say "$file: serves builds of version ${serves[0]}, and yet does '$found'"
done
for file in schema/functions/*.sql; do
  [ -e "$file" ] || continue
  found=$(statements "$file" | grep -oiE "\bcreate[[:space:]]+[a-z]+[[:space:]]+[a-z]+" | grep -viE '^create[[:space:]]+or[[:space:]]+replace' | head -n 1)
  [ -z "$found" ] || say "$file: '$found' cannot be repeated; say 'create or replace'"
  found=$(statements "$file" | grep -oiE '\b(create|alter)[[:space:]]+(or[[:space:]]+replace[[:space:]]+)?(table|index|unique|sequence|type)\b' | head -n 1)
  [ -z "$found" ] || say "$file: '$found' belongs in a migration"
done
exit $failed
