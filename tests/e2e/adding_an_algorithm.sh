#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# docs/adding-an-algorithm.md, followed to the letter: its code blocks go into a copy of the tree, which then has to build,
# pass the general tests of all algorithms, describe its API, and train and roll the new algorithm out.
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD build=${PROXACT_BUILD:-build}
copy=$(mktemp -d) || exit 1
trap 'rm -rf "$copy"' EXIT
# The objects travel along, so that only what changes is compiled.
cp -a Makefile mk lib worker server clients schema migrations tests docs deploy "$copy" && cp -a "$build" "$copy/" || exit 1
b=$(basename "$build")

# block N: the N-th C block of the page.
block() { awk -v wanted="$1" '/^```c$/ { n++; inside = 1; next } /^```$/ { inside = 0 } inside && n == wanted' docs/adding-an-algorithm.md; }
# before FILE PATTERN N: puts block N before the first line that has the text PATTERN.
before() {
  block "$3" >"$copy/block" && [ -s "$copy/block" ] || { echo "there is no block $3"; exit 1; }
  awk -v pattern="$2" -v block="$copy/block" 'index($0, pattern) && !done { while ((getline line < block) > 0) print line; done = 1 }
    { print } END { exit !done }' "$copy/$1" >"$copy/new" && mv "$copy/new" "$copy/$1" || { echo "$1 has no '$2'"; exit 1; }
}
block 1 >"$copy/worker/rl/algo/l1bc.c"
before worker/rl/rl.c 'Names as in lib/flow/algos.c' 2
before worker/rl/rl.c '"td3bc"' 3
before lib/flow/algos.c 'flow_algos[] = {' 4
before lib/flow/algos.c 'ALGO("td3bc"' 5

cd "$copy" || exit 1
{ make -s -j2 openapi && make -s -j2 "$b/proxact-worker" "$b/tests/unit/test_rl" "$b/tests/unit/test_openapi" "$b/tests/bench/bench_policy"; } \
  >log 2>&1 || { tail -30 log; echo "the copy does not build"; exit 1; }
"$b/tests/unit/test_rl" >log 2>&1 || { grep -A5 FAILED log; echo "the general tests fail"; exit 1; }
"$b/tests/unit/test_openapi" >log 2>&1 || { grep -A5 FAILED log; echo "the API's description fails"; exit 1; }
result=$("$b/tests/bench/bench_policy" "$root/deploy/demo/hopper-demo.hdf5" hopper l1bc 5000) || exit 1
echo "$result"
score=$(cut -d, -f10 <<<"$result")
# Random actions score 1 or less; what this seed reached when the page was written is 40 and more.
awk -v score="$score" 'BEGIN { exit !(score > 10) }' || { echo "l1bc scores $score: it does not learn"; exit 1; }
