#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What must not be in the project's files: absolute paths of a developer's machine, and stubs left behind.
set -u
cd "$(dirname "$0")/../.." || exit 2
# The project without the folders that git ignores; in an unpacked archive there is no git to ask.
list() { git ls-files -z 2>/dev/null || find . -path ./build -prune -o -path ./var -prune -o -type f -print0; }
# The folder this checkout is in, whatever it is called, and where people's home folders are.
list | xargs -0 grep -nIE "$PWD/|/(home|Users)/[a-z]+/|\b(TODO|FIXME|XXX)\b" -- |
  grep -vE '^(\./)?(LICENSE|tests/arch/words.sh):' && exit 1
exit 0
