#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes SQL files as tables of C strings, for lib/store/db.c and lib/store/migrate.c to include.
# Usage: schema/embed.sh queries FILE...      SQL(name, "text") for each `-- name: NAME` block
#        schema/embed.sh migrations FILE...   MIGRATION(version, serves, "name", "sha256", "text") for each NNNN_name.sql
#          serves: of its line `-- serves: N`, its own version without one
set -eu
kind=$1
shift
echo "/* Made by schema/embed.sh; do not edit. */"
case $kind in
  queries)
    cat "$@" | sed 's/\\/\\\\/g; s/"/\\"/g' | awk '
      /^-- name: / { if (open) print ")"; print "SQL(" $3 ","; open = 1; next }
      /^[ \t]*--/ || /^[ \t]*$/ { next }
      !open { print "SQL before the first name: " $0 >"/dev/stderr"; exit 1 }
      { print "  \"" $0 "\\n\"" }
      END { if (open) print ")" }' ;;
  migrations)
    for file in "$@"; do
      base=$(basename "$file" .sql)
      version=$(printf '%s' "$base" | sed 's/^0*\([0-9][0-9]*\)_.*/\1/')
      serves=$(sed -n 's/^-- serves: \([0-9][0-9]*\)$/\1/p' "$file")
      echo "MIGRATION($version, ${serves:-$version}, \"${base#*_}\", \"$(sha256sum <"$file" | cut -d' ' -f1)\","
      sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/  "&\\n"/' "$file"
      echo ")"
    done ;;
  *) echo "usage: schema/embed.sh queries|migrations FILE..." >&2; exit 2 ;;
esac
