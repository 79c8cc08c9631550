#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# schema/schema.sql is what migrations/ make. Runs in tests/support/stack.sh, on a database of its own.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/schema/dump.sh" | diff -u "$root/schema/schema.sql" - && exit 0
echo "schema/schema.sql is not current: run 'make schema'"
exit 1
