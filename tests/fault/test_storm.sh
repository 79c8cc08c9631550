#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A short storm over real processes: see storm.sh, whose verdict and status are this test's.
cd "$(dirname "$0")/../.." || exit 2
exec tests/fault/storm.sh 40 7
