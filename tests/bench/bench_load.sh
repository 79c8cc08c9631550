#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What load one server holds, while two workers train on the same machine: idle connections, clients that poll a job, uploads
# in parallel, long polls that all wait for one job; beside nginx with a file of the same size.
#
#   tests/bench/bench_load.sh OUT.csv      (make bench-load)
#
# CLIENTS (default "50 100 200") poll RATE (20) times a second each for SECONDS_EACH (10) seconds, beside IDLE (1000) idle
# connections; UPLOADS (50) at once; WAITS (500) long polls. PROXACT_DATA names a folder with hopper-medium-replay.hdf5;
# without it the demo's dataset stands in. nginx-light is the peer (deploy/install-deps.sh bench).
set -uo pipefail
csv=$(realpath -m "${1:?usage: bench_load.sh OUT.csv}")
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/bench/service_lib.sh
. "$here/service_lib.sh"
clients_list=${CLIENTS:-50 100 200} rate=${RATE:-20} seconds=${SECONDS_EACH:-10} idle=${IDLE:-1000} uploads=${UPLOADS:-50} waits=${WAITS:-500}
hopper=${PROXACT_DATA:-$root/../shared/data}/hopper-medium-replay.hdf5
[ -r "$hopper" ] || hopper=$root/deploy/demo/hopper-demo.hdf5
export PROXACT_RATE_PER_S=0 # one token stands for all of these clients

train() { submit train_policy "{\"dataset\": \"$1\", \"policy\": {\"algo\": \"td3bc\", \"updates\": 10000000}, \"seed\": $2}"; }
step_of() { api GET "/v1/jobs/$1" | jq '.progress.step'; }
trains() { [ "$(step_of "$1")" -gt 0 ]; }
# steps of all trainings, and the time
mark() {
  local job sum=0
  for job in "${jobs[@]}"; do sum=$((sum + $(step_of "$job"))); done
  printf '%s %s\n' "$sum" "$EPOCHREALTIME"
}
# since MARK: their steps a second
since() {
  local begun now
  read -ra begun <<<"$1"
  read -ra now <<<"$(mark)"
  calc "(${now[0]} - ${begun[0]}) / (${now[1]} - ${begun[1]})"
}
postgres_s() { cpu_s "$(pid_of "$PROXACT_VAR/postgres.pid")"; }
peak_mb() { awk '/^VmHWM/ { print $2 / 1000 }' "/proc/$1/status"; }
value() { awk -v name="$1" '$1 == name { print $2; found = 1 } END { if (!found) print 0 }' "$2"; }
client() { "$build/tests/bench/bench_load" "$@"; }
# What was answered other than 200 and 304, and how often.
other_codes() { awk '/^code_/ && $1 != "code_200" && $1 != "code_304" { printf "%s%s x %d", sep, substr($1, 6), $2; sep = ", " }' "$1"; }

# say_reads WHAT OUT: rows of a run of bench_load
say_reads() {
  local what=$1 out=$2 other
  row "$what: answered" requests/s "$(calc "$(value answered "$out") / $(value seconds "$out")")"
  row "$what: p50" ms "$(value read_p50_ms "$out")"
  row "$what: p99" ms "$(value read_p99_ms "$out")"
  row "$what: the longest" ms "$(value read_max_ms "$out")"
  other=$(other_codes "$out")
  say "  of $(value sent "$out") sent: cut $(value cut "$out"), codes other than 200 and 304: ${other:-none}$(
    [ "$(value idle_greeted "$out")" = 0 ] || echo "; idle connections answered before and after: $(value idle_greeted "$out"), $(value idle_kept "$out")")"
}
# reads WHAT CLIENTS [options of bench_load]
reads() {
  local what=$1 n=$2 begun server before_s before_p
  shift 2
  server=$(pid_of "$PROXACT_VAR/server.pid")
  before_s=$(cpu_s "$server") before_p=$(postgres_s) begun=$(mark)
  client reads --url="$PROXACT_URL" --path="$job_path" --clients="$n" --rate="$rate" --seconds="$seconds" --idle="$idle" "$@" \
    >"$work/reads" || die "the clients failed"
  local steps
  steps=$(since "$begun")
  say_reads "$what, $n x $rate/s" "$work/reads"
  row "$what, $n x $rate/s: processor time, server" us/request "$(calc "1e6 * ($(cpu_s "$server") - $before_s) / $(value sent "$work/reads")")"
  row "$what, $n x $rate/s: processor time, PostgreSQL" us/request "$(calc "1e6 * ($(postgres_s) - $before_p) / $(value sent "$work/reads")")"
  row "$what, $n x $rate/s: trainings' speed of when alone" % "$(calc "100 * $steps / $alone")"
}

bench_nginx() {
  local pid before
  command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || { say "SKIP nginx: it is not installed"; return 0; }
  local port=$((30000 + $$ % 10000))
  mkdir -p "$work/www"
  api GET "${job_path%%,*}" >"$work/www/job"
  cat >"$work/nginx.conf" <<CONF
daemon off; master_process off; pid $work/nginx.pid; error_log $work/nginx-error.log;
events { worker_connections 4096; }
http { access_log $work/nginx-access.log; client_body_temp_path $work/t1; proxy_temp_path $work/t2; fastcgi_temp_path $work/t3;
  uwsgi_temp_path $work/t4; scgi_temp_path $work/t5; keepalive_requests 1000000; default_type application/json;
  server { listen 127.0.0.1:$port; root $work/www; location = /healthz { return 200 "{}"; } } }
CONF
  spawn "$PROXACT_VAR/nginx.pid" "$work/nginx.log" /usr/sbin/nginx -c "$work/nginx.conf"
  wait_until 10 port_taken "$port" || die_log "$work/nginx-error.log" "" "nginx did not start"
  pid=$(pid_of "$PROXACT_VAR/nginx.pid") before=$(cpu_s "$pid")
  client reads --url="http://127.0.0.1:$port" --path=/job --clients="$1" --rate="$rate" --seconds="$seconds" --idle="$idle" >"$work/reads" ||
    die "the clients of nginx failed"
  say_reads "nginx, a file of $(stat -c %s "$work/www/job") bytes, $1 x $rate/s" "$work/reads"
  row "nginx: processor time" us/request "$(calc "1e6 * ($(cpu_s "$pid") - $before) / $(value sent "$work/reads")")"
  pid_stop "$PROXACT_VAR/nginx.pid" TERM 10
}

# One upload: "CODE SECONDS BYTES KIND". Refused for now (429, 503), curl comes again when it was told to.
one_upload() {
  local i=$1 kind=$2 file=$3 dataset=$4 begun=$EPOCHREALTIME code
  if [ "$kind" = tus ]; then
    if "$build/proxact" upload "$dataset" "$file" >"$work/up-$i.log" 2>&1; then code=201; else code=failed; fi
  else
    code=$(curl -sS -X POST -T "$file" -o "$work/up-$i.log" -w '%{http_code}' --retry 20 -H 'Expect:' \
      -H "Authorization: Bearer $PROXACT_TOKEN" "$PROXACT_URL/v1/datasets/$dataset/trajectories?filename=$(basename "$file")") || code=curl-$?
  fi
  printf '%s %s %s %s\n' "$code" "$(calc "$EPOCHREALTIME - $begun")" "$(stat -c %s "$file")" "$kind" >"$work/up-$i"
}
bench_uploads() {
  local i begun=$EPOCHREALTIME pids=() reader mark_before kinds=(safetensors hdf5 tus) files=("$work/part.safetensors" "$hopper" "$work/part.safetensors")
  for i in 0 1 2 3 4; do target[i]=$(new_dataset "load-$i") || exit 1; done
  mark_before=$(mark)
  client reads --url="$PROXACT_URL" --path="$job_path" --clients="$1" --rate="$rate" --seconds="$seconds" --idle="$idle" >"$work/reads" &
  reader=$!
  for ((i = 0; i < uploads; i++)); do
    one_upload "$i" "${kinds[i % 3]}" "${files[i % 3]}" "${target[i % 5]}" &
    pids+=($!)
  done
  wait "${pids[@]}"
  row "$uploads uploads at once: all stored after" s "$(calc "$EPOCHREALTIME - $begun")"
  wait "$reader" || die "the clients failed"
  row "$uploads uploads at once: trainings' speed of when alone" % "$(calc "100 * $(since "$mark_before") / $alone")"
  local stored
  stored=$(cat "$work"/up-[0-9]* | awk '$1 == 201' | wc -l)
  row "$uploads uploads at once: stored" uploads "$stored"
  [ "$stored" -eq "$uploads" ] || cat "$work"/up-[0-9]*.log | head -n 20
  row "$uploads uploads at once: together" MB/s "$(cat "$work"/up-[0-9]* | awk -v s="$(calc "$EPOCHREALTIME - $begun")" 'NF == 4 && $1 == 201 { b += $3 } END { print b / 1e6 / s }')"
  # shellcheck disable=SC2046  # numbers
  row "$uploads uploads at once: one takes" s $(cat "$work"/up-[0-9]* | awk 'NF == 4 && $1 == 201 { print $2 }')
  say_reads "status reads meanwhile, $1 x $rate/s" "$work/reads"
}

waiting() { grep -q '^waiting' "$work/waits.err" && [ "$(in_flight)" -gt "$waits" ]; } # this look is one too
in_flight() { api GET /metrics | awk '$1 == "proxact_http_in_flight" { print $2 }'; }
bench_waits() {
  local waiter job=${jobs[1]}
  client waits --url="$PROXACT_URL" --path="/v1/jobs/$job?wait=30s" --clients="$waits" >"$work/waits" 2>"$work/waits.err" &
  waiter=$!
  wait_until 30 waiting || die "the long polls did not begin"
  api POST "/v1/jobs/$job:cancel" >/dev/null
  wait "$waiter" || die "the long polls failed"
  row "$waits long polls on one job: told of its end" clients "$(value answered "$work/waits")"
  row "$waits long polls on one job: the first after" ms "$(value first_ms "$work/waits")"
  row "$waits long polls on one job: half after" ms "$(value told_p50_ms "$work/waits")"
  row "$waits long polls on one job: the last after" ms "$(value told_max_ms "$work/waits")"
}

mkdir -p "$(dirname "$csv")"
printf 'what,median,lowest,highest,times,unit\n' >"$csv"
service_start
worker_start 1
worker_start 2
/usr/bin/python3 "$here/make_service_data.py" "$hopper" "$work/part.safetensors" 1 >/dev/null || die "making the upload failed"
dataset=$(new_dataset load) || exit 1
upload "$dataset" "$hopper" >/dev/null || exit 1
jobs=("$(train "$dataset" 1)" "$(train "$dataset" 2)") || exit 1
for job in "${jobs[@]}"; do wait_until 60 trains "$job" || die "training $job did not begin"; done
job_path=/v1/jobs/${jobs[0]},/v1/jobs/${jobs[1]}
say "$(nproc) cores, load $(cut -d' ' -f1-3 /proc/loadavg); two trainings run throughout; $idle idle connections beside every run"
begun=$(mark)
sleep "$seconds" # not a wait for something: how far do they come alone
alone=$(since "$begun")
row "the two trainings alone" steps/s "$alone"
for n in $clients_list; do reads "status, 200" "$n"; done
for n in $clients_list; do reads "status, 304" "$n" --match; done
bench_nginx "$n"
bench_uploads "${clients_list%% *}"
bench_waits
row "the server's peak resident size" MB "$(peak_mb "$(pid_of "$PROXACT_VAR/server.pid")")"
say "load at the end $(cut -d' ' -f1-3 /proc/loadavg); written to $csv"
