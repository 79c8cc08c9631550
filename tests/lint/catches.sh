#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The linters themselves: each finds a fault that is planted in a tree of one file, and none in the file without it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0
# check EXPECTED LINTER FILE TEXT: a tree holding FILE with TEXT passes (0) or fails (1) LINTER.
check() {
  rm -rf "${tree:?}"/*
  mkdir -p "$tree/$(dirname "$3")" && cp "$root"/.shellcheckrc "$root"/.clang-tidy "$tree/"
  mkdir -p "$tree/clients/python" && cp "$root/clients/python/pyproject.toml" "$tree/clients/python/"
  printf '%s\n' "$4" >"$tree/$3"
  "$here/$2" "$tree" >"$tree/said" 2>&1
  [ $? -eq "$1" ] || { echo "$2 should exit $1 for $3: $4"; cat "$tree/said"; failures=$((failures + 1)); }
}
check 0 shellcheck.sh deploy/a.sh $'#!/bin/sh\nrm -r "$1"'
check 1 shellcheck.sh deploy/a.sh $'#!/bin/sh\nrm -r $1'
check 0 cppcheck.sh lib/a.c 'int f(const int *p) { return p ? *p : 0; }'
check 1 cppcheck.sh lib/a.c 'int f(const int *p) { int n = *p; return p ? n : 0; }'
check 0 clang_tidy.sh lib/a.c $'#include <string.h>\nint f(const char *a);\nint f(const char *a) { return strcmp(a, "b") == 0; }'
check 1 clang_tidy.sh lib/a.c $'#include <stdlib.h>\n#include <string.h>\nchar *f(const char *a);\nchar *f(const char *a) { return malloc(strlen(a + 1)); }'
check 1 clang_tidy.sh lib/a.c $'void f(int a);\nvoid f(int a) { if (a); }'
check 0 gcc_analyzer.sh lib/base/a.c $'#include <stdlib.h>\nint f(void);\nint f(void) { int *p = malloc(sizeof *p); if (!p) return 1; *p = 2; free(p); return 0; }'
check 1 gcc_analyzer.sh lib/base/a.c $'#include <stdlib.h>\nint f(void);\nint f(void) { int *p = malloc(sizeof *p); *p = 2; free(p); return 0; }'
check 0 mypy.sh clients/python/proxact/a.py 'def f(a: int) -> str: return str(a)'
check 1 mypy.sh clients/python/proxact/a.py 'def f(a: int) -> str: return a'
check 1 mypy.sh clients/python/proxact/a.py 'def f(a): return a'
[ "$failures" -eq 0 ]
