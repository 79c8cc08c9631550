#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Dependencies point one way, and each outside library has one owner; both are read off the #include lines.
#   lib/base <- lib/data <- lib/read, lib/write, lib/onnx, lib/sim;  lib/base <- lib/flow, lib/redis
#   lib/data, lib/flow <- lib/store <- lib/transfer (with lib/read and lib/write)
#   lib/data, lib/flow <- lib/nn <- lib/idm, lib/rl
#   server/http <- server/app <- server/api;  lib/nn, worker/env <- worker/sim <- worker/jobs
# Usage: tests/arch/includes.sh [ROOT]     ROOT: another tree, for this test's own test
set -u
cd "${1:-$(dirname "$0")/../..}" || exit 2
{ find lib server worker clients -name '*.[ch]' 2>/dev/null | sort | xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include' /dev/null; } |
awk '
  BEGIN {
    # A folder may include these folders (and itself). Longest prefix wins.
    allow["lib/base"] = "schema"
    allow["lib/data"] = "lib/base"
    allow["lib/flow"] = "lib/base schema"
    allow["lib/read"] = "lib/base lib/data schema"
    allow["lib/write"] = "lib/base lib/data schema"
    allow["lib/onnx"] = "lib/base lib/data"
    allow["lib/sim"] = "lib/base lib/data"
    allow["lib/store"] = "lib/base lib/data lib/flow schema"
    allow["lib/redis"] = "lib/base lib/flow"
    allow["lib/transfer"] = "lib/base lib/data lib/read lib/write lib/flow lib/store"
    allow["server/http"] = "lib/base"
    allow["server/app"] = "lib/base lib/idm lib/rl lib/flow lib/store lib/redis server/http"
    allow["server/api"] = "lib/base lib/data lib/read lib/write lib/onnx lib/idm lib/rl lib/sim lib/flow lib/store lib/redis lib/transfer server/http server/app"
    allow["server"] = "lib/base lib/read lib/write lib/sim lib/flow lib/store server/http server/app server/api"
    allow["lib/nn"] = "lib/base lib/data"
    allow["lib/idm"] = "lib/base lib/data lib/flow lib/nn"
    allow["lib/rl"] = "schema lib/base lib/data lib/flow lib/nn lib/rl/algo"
    allow["lib/rl/algo"] = "lib/base lib/data lib/flow lib/nn lib/rl"
    allow["worker/env"] = "lib/base lib/data lib/sim"
    allow["worker/sim"] = "lib/base lib/data lib/sim lib/nn worker/env"
    allow["worker/jobs"] = "schema lib/base lib/data lib/sim lib/flow lib/store lib/transfer lib/nn lib/idm lib/rl worker/env worker/sim"
    allow["worker"] = "lib/base lib/read lib/write lib/sim lib/flow lib/store lib/redis worker/jobs worker/sim"
    allow["clients/c"] = "lib/base lib/data schema"
    # header pattern -> files that may include it
    owner["^(libpq-fe|libpq/|postgres)"] = "^lib/store/"
    owner["^hiredis/"] = "^lib/redis/"
    owner["^microhttpd"] = "^server/http/http[a-z_]*[.][ch]$"
    owner["^(cblas|dnnl|lapacke|openblas)"] = "^lib/nn/mat[a-z_]*[.]c$"
    owner["^mujoco"] = "^(lib/sim|worker/env|worker/sim)/"
    owner["^curl/"] = "^clients/c/"
    owner["^(hdf5|H5|zip[.]h|zstd|zlib|snappy)"] = "^lib/(read|write)/"
    owner["^(onnx/|protobuf-c)"] = "^lib/onnx/"
    owner["^(seccomp|linux/landlock)"] = "^lib/base/lockup[.]c$"
  }
  function folder(path,   best, f) {
    best = ""
    for (f in allow) if (index(path, f "/") == 1 && length(f) > length(best)) best = f
    return best
  }
  function bad(why) { print place ": " why; failed = 1 }
  {
    match($0, /^[^:]+:[0-9]+:/)
    place = substr($0, 1, RLENGTH - 1)
    file = place; sub(/:[0-9]+$/, "", file)
    rest = substr($0, RLENGTH + 1)
    if (!match(rest, /[<"][^">]+[">]/)) next
    quoted = substr(rest, RSTART, 1) == "\""
    header = substr(rest, RSTART + 1, RLENGTH - 2)
    seen++
    from = folder(file)
    if (from == "") { bad("no rule for this folder"); next }
    if (quoted) {
      to = folder(header)
      if (to == "" && header ~ /^schema\//) to = "schema"
      if (to == "") bad("include \"" header "\" from the root of the project")
      else if (to != from && index(" " allow[from] " ", " " to " ") == 0) bad(from " must not include " header)
    } else {
      for (pattern in owner)
        if (header ~ pattern && file !~ owner[pattern]) bad("<" header "> belongs to " owner[pattern])
    }
  }
  END {
    if (!seen) { print "no include was found: the test looks in the wrong place"; exit 1 }
    exit failed
  }'
