#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No finding of mypy --strict in the Python client (clients/python/pyproject.toml).
# Usage: tests/lint/mypy.sh [ROOT]
set -u
cd "${1:-$(dirname "$0")/../..}/clients/python" || exit 2
cache=$(mktemp -d) || exit 2
trap 'rm -rf "$cache"' EXIT
mypy --cache-dir "$cache" --no-error-summary proxact
