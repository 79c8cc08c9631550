#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Writes SQL files as tables of C strings, for lib/store/db.c and lib/store/migrate.c to include.
# Usage: schema/embed.sh queries FILE...      SQL(name, "text") for each `-- name: NAME` block
#        schema/embed.sh migrations FILE...   MIGRATION(version, serves, "name", "sha256", "text") for each NNNN_name.sql
#          serves: of its line `-- serves: N`, its own version without one
#        schema/embed.sh functions FILE...    FUNCTIONS("name", "sha256", "text") for each name.sql, base.sql first
set -eu
kind=$1
shift
digest() { sha256sum <"$1" | cut -d' ' -f1; }
literal() { sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/  "&\\n"/' "$1"; }
functions() {
  printf 'FUNCTIONS("%s", "%s",\n' "$(basename "$1" .sql)" "$(digest "$1")"
  literal "$1"
  echo ")"
}
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
      echo "MIGRATION($version, ${serves:-$version}, \"${base#*_}\", \"$(digest "$file")\","
      literal "$file"
      echo ")"
    done ;;
  functions)
    for file in "$@"; do case $file in */base.sql) functions "$file" ;; esac; done
    for file in "$@"; do case $file in */base.sql) ;; *) functions "$file" ;; esac; done ;;
  *) echo "usage: schema/embed.sh queries|migrations|functions FILE..." >&2; exit 2 ;;
esac
