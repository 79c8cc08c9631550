#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A sample of the crash points: see crash.c, whose status is this test's. make check-crash takes them all.
cd "$(dirname "$0")/../.." || exit 2
exec tests/support/stack.sh "${PROXACT_BUILD:-build}/tests/fault/tools/crash" --sample=12 --seed="${SEED:-1}"
