#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hostile uploads against a server whose data may not grow beyond a bound that knows only its connections and parser slots
# (RLIMIT_DATA): large bodies, bombs, deep JSON, endless lines, many uploads at once. Each is sent small and four times as
# large; the server's peak resident size (VmHWM, reset before each) is printed, and must not follow the size of the bodies.
#   SCALE=N   bodies N times as large (1)
set -u
cd "$(dirname "$0")/../.." || exit 2
[ -n "${PX_TEST_STACK:-}" ] || exec tests/support/stack.sh "$0" "$@"
# shellcheck source=tests/support/server.sh
. tests/support/server.sh
SCALE=${SCALE:-1} CONNECTIONS=24 SLOTS=2 THREADS=2
# What a connection may hold (its buffers, its request's arena) and a slot (a line of 64 MiB in a buffer that doubles, the
# trajectory and the segments that are made of it), besides the program itself; a thread's stack counts as data.
BOUND_MB=$((96 + 2 * CONNECTIONS + 192 * SLOTS))
LIMIT_MB=$((BOUND_MB + 8 * (SLOTS + THREADS + 4)))
SLACK_MB=24 # what the allocator keeps differs from time to time

"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create memory) || exit 1
limited() { nm -D "$build/proxact-server" 2>/dev/null | grep -q '__[at]san_'; } # a sanitizer's shadow is no measure
if limited; then echo "SKIP memory: the server has a sanitizer's memory, which is not allowed here to be judged"; exit 0; fi
mkdir "$work/bin"
printf '#!/bin/sh\nexec prlimit --data=%d "%s/proxact-server" "$@"\n' $((LIMIT_MB << 20)) "$build" >"$work/bin/proxact-server"
chmod +x "$work/bin/proxact-server"
build=$work/bin
server_start --threads=$THREADS --work-threads=$SLOTS --free-floor-bytes=1
api POST /v1/datasets --json '{"name": "d", "obs_dim": 11, "act_dim": 3}'
is "there is a dataset" 201

hwm_mb() { awk '/^VmHWM/ { print int($2 / 1024 + 0.5) }' "/proc/$(server_pid)/status"; }
send() { api POST "/v1/datasets/d/trajectories?format=$1" -H 'Transfer-Encoding: chunked' -H 'Expect:' --data-binary @- "${@:2}"; }

# --- the attacks: each takes a size in MB
row() { printf '[%s' "$1"; for ((c = 1; c < $2; c++)); do printf ',%s' "$1"; done; printf ']'; }
lines() { # trajectories of 100 steps, valid
  local steps obs act
  obs=$(for ((s = 0; s <= 100; s++)); do row 0.125 11; echo; done | paste -sd,) act=$(for ((s = 0; s < 100; s++)); do row 0.5 3; echo; done | paste -sd,)
  steps=$(for ((s = 0; s < 100; s++)); do echo 1; done | paste -sd,)
  yes "{\"observations\": [$obs], \"rewards\": [$steps], \"actions\": [$act], \"terminated\": false, \"truncated\": true}" | head -c "$1"000000
  echo
}
blanks() { yes '               ' | head -c "$1"000000; }
valid_data() { send jsonl < <(lines "$1" | sed '$d'); is "valid data, $1 MB" 201; }
blank_lines() { send jsonl < <(blanks "$1"); is "blank lines, $1 MB" 422; }
endless_line() { send jsonl < <(blanks "$1" | tr '\n' ' '); is "one line, $1 MB" 413; }
gzip_bomb() { send jsonl -H 'Content-Encoding: gzip' < <(blanks "$1" | gzip -1); is "gzip bomb, $1 MB inside" 413; }
zip_bomb() {
  /usr/bin/python3 -c 'import sys, numpy as np; n = int(sys.argv[2]) * 20000
np.savez_compressed(sys.argv[1], observations=np.zeros((n, 11), "f4"), rewards=np.zeros(n, "f4"), terminals=np.zeros(n, "u1"))' "$work/bomb.npz" "$1"
  send npz <"$work/bomb.npz"
  is "zip bomb, $1 MB inside" 413
}
huge_header() { # safetensors: its header says that it is as long as the file
  send safetensors < <(/usr/bin/python3 -c 'import struct, sys; n = int(sys.argv[1]) * 1000000; sys.stdout.buffer.write(struct.pack("<Q", n) + b"{" * n)' "$1")
  is "a header of $1 MB" 422
}
deep_json() { api POST /v1/jobs -H 'Content-Type: application/json' --data-binary @- < <(head -c "$1"00000 /dev/zero | tr '\0' '['); is "deep JSON, ${1}00 kB" "$2"; }
at_once() { # CONNECTIONS uploads in parts
  local pids=() n where body=$work/part.$1
  head -c "$1"000000 /dev/zero >"$body"
  for ((n = 0; n < CONNECTIONS; n++)); do
    curl -sS -o /dev/null -w '%{http_code}\n' -H "Authorization: Bearer $token" -H 'Tus-Resumable: 1.0.0' -H 'Expect:' -X POST "$url/v1/uploads" \
      -H "Upload-Length: ${1}000000" -H "Upload-Metadata: dataset $(printf d | base64),filename $(printf t.jsonl | base64)" \
      -H 'Content-Type: application/offset+octet-stream' --data-binary @"$body" >"$work/tus.$n" & pids+=($!)
  done
  for n in "${pids[@]}"; do wait "$n"; done
  where=$(cat "$work"/tus.* | sort -u | paste -sd' ')
  ok "$CONNECTIONS uploads in parts at once, $1 MB each" same "$where" 201
}

peak() { # ATTACK SIZE...: sets $mb
  echo 5 >"/proc/$(server_pid)/clear_refs"
  "$@"
  mb=$(hwm_mb)
}
highest=0
attack() { # NAME SMALL: once with SMALL, once with four times that
  local small
  peak "$1" $(($2 * SCALE))
  small=$mb
  peak "$1" $(($2 * SCALE * 4))
  printf '%-14s %4d MB sent: peak %3d MB; %4d MB sent: peak %3d MB\n' "$1" $(($2 * SCALE)) "$small" $(($2 * SCALE * 4)) "$mb"
  ok "$1: the peak does not follow the size" test "$mb" -le $((small + SLACK_MB))
  [ "$mb" -le "$highest" ] || highest=$mb
  [ "$small" -le "$highest" ] || highest=$small
}
echo "at rest: $(hwm_mb) MB"
pid=$(server_pid)
attack valid_data 20
attack blank_lines 20
attack endless_line 68
attack gzip_bomb 40
attack zip_bomb 40
attack huge_header 10
deep_json 9 400
deep_json 40 413
attack at_once 1
ok "it is the same process" same "$(server_pid)" "$pid"
ok "the bound of $BOUND_MB MB for $CONNECTIONS connections and $SLOTS parser slots holds" test "$highest" -le $BOUND_MB
echo "memory: highest peak $highest MB, bound $BOUND_MB MB, data limit $LIMIT_MB MB"
finish
