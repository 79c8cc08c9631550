#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Mutation control: takes one safeguard at a time out of a copy of the tree, and shows that the suite notices.
# Usage: tests/fault/mutants.sh [NAME...]      the mutants whose name contains one of these words; none: all
#   CC="ccache gcc" makes it faster.  KEEP=1 keeps the copy.
# Every test is run on the unchanged copy first, and must pass there. The last line: `K of N removals caught`.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
root=$(cd "$(dirname "$0")/../.." && pwd)
words=("$@")
names=() tests=() edits=() # edits: FILE, newline, perl code that dies unless it applies; several with \x01 between

# mutant NAME TEST FILE REPLACEMENT [FILE REPLACEMENT]...
#   TEST is FOLDER/PROGRAM:FILTER below tests/, or a script; REPLACEMENT is perl's s{}{} over the whole file.
mutant() {
  local name=$1 test=$2 all="" word wanted=${#words[@]}
  shift 2
  for word in "${words[@]}"; do if [[ $name == *"$word"* ]]; then wanted=0; fi; done
  [ "$wanted" -eq 0 ] || return 0
  while [ $# -gt 0 ]; do
    all+=$1$'\n'$2$'\x01'
    shift 2
  done
  names+=("$name") tests+=("$test") edits+=("$all")
}

# shellcheck source=tests/fault/mutants.list
. "$(dirname "$0")/mutants.list"

tree=$(mktemp -d) || exit 1
trap '[ -n "${KEEP:-}" ] && echo "kept: $tree" || rm -rf "$tree"' EXIT
trap 'exit 130' INT TERM
git -C "$root" ls-files -z -co --exclude-standard | tar -C "$root" --null -T - -cf - | tar -C "$tree" -xf - || exit 1
if [ -d "$root/build" ]; then cp -a "$root/build" "$tree/build"; fi
cd "$tree" || exit 1
unset PROXACT_BUILD MAKEFLAGS MAKELEVEL

# Only the object of a changed file is made anew: no mutant changes a header or adds a statement, although make would have
# to think so of a changed query.
forget() {
  case $1 in
    schema/queries/*) rm -f build/lib/store/db.o ;;
    migrations/* | schema/functions/*) rm -f build/lib/store/migrate.o ;;
    *) rm -f "build/${1%.c}.o" ;;
  esac
}

# What has to be built for a test. Only those of a store need no programs.
build() {
  local targets=()
  make -s build/gen/schema/{queries,migrations,functions}.def >"$tree/build.log" 2>&1 || return
  if [ -n "${2:-}" ]; then find build -name '*.o' -exec touch {} +; fi
  case $1 in
    integration/test_store_*) targets=("build/tests/${1%%:*}") ;;
    *.sh) targets=(all) ;;
    *) targets=(all build/tests/fault/tools/chaosproxy "build/tests/${1%%:*}") ;;
  esac
  make -s -j"$(nproc)" ${CC:+CC="$CC"} "${targets[@]}" >>"$tree/build.log" 2>&1
}

url=$PROXACT_DB_URL
# The test on a database of its own; one that does not end has failed.
run() {
  psql -XAtqc "drop database if exists mutant with (force)" -c "create database mutant template template0" "$url" 2>/dev/null &&
    redis-cli -s "${PROXACT_REDIS_URL#unix://}" flushall >/dev/null || exit 1
  local program=tests/${1%%:*} filter=()
  case $1 in *.sh) ;; *) program=build/$program filter=("${1#*:}") ;; esac
  PROXACT_DB_URL=${url/@\/proxact?/@\/mutant?} timeout "${TEST_S:-900}" "$program" "${filter[@]}" >"$tree/test.log" 2>&1
}

broken() {
  echo "$1"
  tail -n 30 "$2"
  exit 2
}

for test in $(printf '%s\n' "${tests[@]}" | sort -u); do
  build "$test" || broken "the copy does not build for $test" build.log
  run "$test" || broken "$test fails without any change" test.log
done

caught=0
for i in "${!names[@]}"; do
  files=() start=$SECONDS
  while IFS= read -r -d $'\x01' edit; do
    file=${edit%%$'\n'*}
    files+=("$file")
    [ -e "$file.kept" ] || cp "$file" "$file.kept"
    perl -0pi -e "${edit#*$'\n'} or die qq(no such place any more\n)" "$file" || broken "'${names[$i]}' does not apply to $file" /dev/null
  done <<<"${edits[$i]}"
  for file in "${files[@]}"; do forget "$file"; done
  build "${tests[$i]}" changed || broken "'${names[$i]}' does not build" build.log
  if run "${tests[$i]}"; then
    echo "NOT CAUGHT  ${names[$i]}  (${tests[$i]})"
  else
    caught=$((caught + 1))
    echo "caught  ${names[$i]}  by ${tests[$i]}  ($((SECONDS - start)) s)"
  fi
  for file in "${files[@]}"; do
    [ ! -e "$file.kept" ] || mv "$file.kept" "$file"
    touch "$file"
    forget "$file"
  done
done
echo "$caught of ${#names[@]} removals caught"
[ "$caught" -eq ${#names[@]} ] && [ "$caught" -gt 0 ]
