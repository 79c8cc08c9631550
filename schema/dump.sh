#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the schema at head, as schema/schema.sql keeps it: an empty database, dumped after migrations/*.sql and
# schema/functions/*.sql. Tables refer to functions of base.sql, so that file comes first too.
# Usage: schema/dump.sh > schema/schema.sql    (make schema), inside tests/support/stack.sh, which sets PROXACT_DB_URL
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
url=${PROXACT_DB_URL:?set by tests/support/stack.sh}
for file in "$root"/schema/functions/base.sql "$root"/migrations/*.sql "$root"/schema/functions/*.sql; do
  psql -Xq1 -v ON_ERROR_STOP=1 -f "$file" "$url" >&2
done
echo "-- Made by 'make schema' from migrations/ and schema/functions/; do not edit."
# What names a version, a session's settings or an owner is not the schema.
pg_dump --schema-only --no-owner --no-privileges "$url" |
  sed '/^--/d; /^SET /d; /^SELECT pg_catalog.set_config/d; /^\\\(un\)\{0,1\}restrict/d' | cat -s
