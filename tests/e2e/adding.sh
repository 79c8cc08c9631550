#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The pages docs/adding-*.md, followed to the letter: what they add goes into one copy of the tree, which then has to build, and
# their commands have to succeed on a service of that copy. No page touches more than five places.
# Usage: tests/e2e/adding.sh [PAGE...]      PAGE: such as docs/adding-a-reader.md; default: all
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${PROXACT_BUILD:-$PWD/build} b=$(basename "${PROXACT_BUILD:-build}") san=
case $b in build-*) san=${b#build-} ;; esac
[ $# -gt 0 ] || set -- docs/adding-*.md
copy=$(mktemp -d) || exit 1
trap 'rm -rf "$copy"' EXIT
# The objects travel along, so that only what changes is compiled.
cp -a Makefile mk lib worker server clients schema migrations tests docs deploy README.md CHANGELOG.md "$copy" && cp -a "$build" "$copy/$b" || exit 1
for page; do
  tests/support/follow_page.py "$page" "$copy" >"$copy/$(basename "$page").sh" || exit 1
done

cd "$copy" || exit 1
export PROXACT_BUILD=$copy/$b MAKEFLAGS="${MAKEFLAGS:-} SAN=$san"
unset PROXACT_DB_URL PROXACT_REDIS_URL
# shellcheck source=tests/support/service.sh
. "$copy/tests/support/service.sh"
at_end=("$(printf 'rm -rf %q' "$copy")" "${at_end[@]}") # the last thing of all
# What the programs of the service are made from is described first, as every page says.
expect "the description is written, and all is built" make -s -j2 openapi all
[ "$failures" -eq 0 ] || finish
service_start 1
for page; do
  page=$(basename "$page")
  sed -i "s#\bbuild/#$b/#g" "$page.sh"
  expect "$page: its commands succeed" bash -eu -o pipefail "$page.sh"
done
# The general rules of the tree hold for what was added.
expect "formatted, in its layers, with symbols of their headers" bash -c 'tests/arch/includes.sh && tests/arch/doors.py && tests/arch/headers.py'
finish
