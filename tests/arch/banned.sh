#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Functions that are not used in this project, and calls that only main.c may make.
# Usage: tests/arch/banned.sh [ROOT]
set -u
cd "${1:-$(dirname "$0")/../..}" || exit 2
files=$(find lib server worker clients tests -name "*.[ch]" 2>/dev/null | sort)
[ -n "$files" ] || { echo "no source was found"; exit 1; }
# Comments and strings may name them: blank both before looking, and keep the line numbers.
code() {
  awk 'FNR == 1 { inside = 0 }
  {
    line = $0; out = ""
    while (line != "") {
      if (inside) {
        end = index(line, "*/")
        if (!end) { line = ""; break }
        line = substr(line, end + 2); inside = 0
      } else if (match(line, /\/\*|\/\/|"([^"\\]|\\.)*"|\047([^\047\\]|\\.)*\047/)) {
        out = out substr(line, 1, RSTART - 1) " "
        token = substr(line, RSTART, 2)
        line = substr(line, RSTART + RLENGTH)
        if (token == "//") line = ""
        if (token == "/*") inside = 1
      } else { out = out line; line = "" }
    }
    print FILENAME ":" FNR ":" out
  }' "$@"
}
# shellcheck disable=SC2086  # no source has a space in its name
code $files | awk '
  {
    match($0, /^[^:]+:[0-9]+:/)
    place = substr($0, 1, RLENGTH - 1); text = substr($0, RLENGTH + 1)
    file = place; sub(/:.*/, "", file)
    if (match(text, /(^|[^A-Za-z0-9_])(strcpy|strcat|strncpy|strncat|sprintf|vsprintf|strtok|gets|atoi|atol|atof|rand|srand|localtime|gmtime|ctime|asctime|system|popen|alloca|mktemp|tmpnam)[ \t]*\(/)) {
      print place ": banned: " substr(text, RSTART, RLENGTH); failed = 1
    }
    # A library never ends its caller. _exit in a forked child is the child ending itself.
    if (file !~ /^tests\// && file !~ /main[.]c$/ && match(text, /(^|[^A-Za-z0-9_])(exit|abort|quick_exit)[ \t]*\(/)) {
      print place ": only main.c may: " substr(text, RSTART, RLENGTH); failed = 1
    }
  }
  END { exit failed }'
