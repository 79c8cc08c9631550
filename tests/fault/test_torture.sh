#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A sample of `make check-torture`: calls of every flow fail once, one after another. See torture.c.
#   CALLS=N   at most so many of each flow (1; 0: all; places: one of each place)   SEED=N (1)
#   FLOWS=PREFIX   only flows whose name begins so
set -u
cd "$(dirname "$0")/../.." || exit 2
[ -n "${PX_TEST_STACK:-}" ] || exec tests/support/stack.sh "$0" "$@"
build=${PROXACT_BUILD:-$PWD/build}
log=$PROXACT_VAR/log
export PX_UPLOADS=$PROXACT_VAR/uploads
# Want of memory is told as a NULL, and the preloaded library comes before the sanitizer's own.
export PX_TORTURE_ASAN="ASAN_OPTIONS=verify_asan_link_order=0:allocator_may_return_null=1"
# OpenSSL and libzip (zip_source_crc_create) lose what they were setting up when a call of their own fails. Traces end at
# their allocations, so all that is lost there is passed over: elsewhere it is not.
{ cat tests/fault/leaks-of-others.txt && echo leak:CRYPTO_ && echo leak:libzip.so; } >"$PROXACT_VAR/leaks" || exit 1
export LSAN_OPTIONS=suppressions=$PROXACT_VAR/leaks:print_suppressions=0
mkdir -p "$PX_UPLOADS" "$PROXACT_VAR/spool" && /usr/bin/python3 tests/support/make_uploads.py "$PX_UPLOADS" &&
  gzip -k "$PX_UPLOADS/good.jsonl" && "$build/proxact-server" migrate >"$log/migrate.log" || exit 1
PROXACT_TOKEN=$("$build/proxact-server" token create torture) || exit 1
export PROXACT_TOKEN
"$build/tests/fault/tools/torture" --seed="${SEED:-1}" --calls="${CALLS:-1}" --flows="${FLOWS:-}"
rc=$?
reports() { grep -a -A30 'ERROR: .*Sanitizer\|runtime error' "$log"/torture-*.log; }
if reports >"$log/reports"; then head -n 400 "$log/reports"; rc=1; fi
[ $rc -eq 0 ] || tail -n 5 "$log"/torture-server.log "$log"/torture-worker.log
exit $rc
