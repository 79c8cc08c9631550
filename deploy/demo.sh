#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From upload to policy on a small real dataset, with the commands a user would type. (make demo)
#   PIPELINE='{"seeds": [0, 1, 2]}' changes fields of the pipeline
#   KEEP=1   leaves the service running; `. var/env` points curl and proxact at it, `make down` stops it
# Leaves var/demo/report.json. What already runs (make up) is used and left running.
set -u
# shellcheck source=deploy/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
var=$(var_dir) || die "cannot write to the folder for the stack; PROXACT_VAR names another"
data=$PX_ROOT/deploy/demo/hopper-demo.hdf5
[ -f "$data" ] || die "$data is missing"
started_s=$SECONDS
mkdir -p "$var/demo"
rm -f "$var/demo/report.json"

started_here=""
pid_of "$var/server.pid" >/dev/null || started_here=yes
job="" # while it is not finished
finish() {
  local rc=$?
  # Left alone, it would go on beside whatever is started next.
  [ -z "$job" ] || curl -sS -o /dev/null -X POST -H "Authorization: Bearer $PROXACT_TOKEN" "$PROXACT_URL/v1/jobs/$job:cancel"
  if [ -n "$started_here" ] && [ "${KEEP:-}" != 1 ]; then "$PX_ROOT/deploy/down.sh"; fi
  exit $rc
}
trap finish EXIT
trap 'exit 130' INT TERM

"$PX_ROOT/deploy/up.sh" || exit 1
# shellcheck source=/dev/null
. "$var/env"

# api METHOD PATH [curl's options]: prints the answer, or says what the server said and ends.
api() {
  local method=$1 path=$2 http
  shift 2
  rm -f "$var/demo/answer" # a 304 writes none
  http=$(curl -sS -X "$method" -o "$var/demo/answer" -w '%{http_code}' -H "Authorization: Bearer $PROXACT_TOKEN" "$@" \
    "$PROXACT_URL$path") || die_log "$var/log/server.log" "is the server still running?" "$method $path failed"
  if [ "$http" -ge 400 ]; then
    die_log "$var/log/server.log" "$(jq -r '.hint // "see the log above"' "$var/demo/answer")" \
      "$method $path answered $http: $(jq -r '.detail // .title' "$var/demo/answer")"
  fi
  if [ -e "$var/demo/answer" ]; then cat "$var/demo/answer"; fi
}

# The stages in order, with how many of their jobs are done, are running and are there in all, and the share of the
# work that is done, in thousandths.
# shellcheck disable=SC2016  # jq's variables
stages='
  [.children[] | .kind |= (if IN("label_shard", "simulate_shard", "check_simulator", "train_inverse") then "label" else . end)] as $jobs
  | ("train_idm", "label", "train_policy", "evaluate", "report") as $stage
  | [$jobs[] | select(.kind == $stage)] | select(length > 0)
  | [$stage, ([.[] | select(.state == "succeeded")] | length), ([.[] | select(.state == "running")] | length), length,
     ([.[] | if .state == "succeeded" then 1 elif .progress.total > 0 then .progress.step / .progress.total else 0 end]
      | 1000 * add / length | floor)]
  | @tsv'

# time_left STAGE SHARE: from the pace since the stage was first seen, once it has gone 2% further. A single job says
# how long it needs itself, but not how long the ones need that wait for a worker.
declare -A first_s first_share
time_left() {
  local elapsed_s moved
  : "${first_s[$1]:=$SECONDS}" "${first_share[$1]:=$2}"
  elapsed_s=$((SECONDS - first_s[$1])) moved=$(($2 - first_share[$1]))
  if [ "$moved" -ge 20 ]; then printf -v left ', about %s left' "$(as_time $((elapsed_s * (1000 - $2) / moved)))"; else left=""; fi
}

# Each stage that has ended leaves one line. The one in work has a line that is rewritten on a terminal; elsewhere it
# is printed when it begins and every ten seconds.
declare -A told
live="" live_s=0
show() {
  local stage done_n running_n all_n share left line
  while IFS=$'\t' read -r stage done_n running_n all_n share; do
    if [ "$done_n" -eq "$all_n" ]; then
      [ -n "${told[$stage]:-}" ] && continue
      told[$stage]=yes
      [ ! -t 1 ] || printf '\r\033[K'
      say "$(printf '  %-13s done, %d %s  [%s]' "$stage" "$all_n" "$([ "$all_n" = 1 ] && echo job || echo jobs)" "$(as_time $((SECONDS - started_s)))")"
    elif [ "$running_n" -gt 0 ] || [ "$done_n" -gt 0 ]; then
      line=$(printf '  %-13s %3d%%  %d of %d jobs done, %d running' "$stage" $((share / 10)) "$done_n" "$all_n" "$running_n")
      time_left "$stage" "$share"
      line+="$left  [$(as_time $((SECONDS - started_s)))]"
      if [ -t 1 ]; then
        printf '\r\033[K%s' "$line"
      elif [ "$stage" != "$live" ] || [ $((SECONDS - live_s)) -ge 10 ]; then
        say "$line"
        live_s=$SECONDS
      fi
      live=$stage
      return
    fi
  done < <(jq -r "$stages" "$var/demo/job.json")
}

some_worker() {
  local file
  for file in "$var"/worker-*.pid; do
    if pid_of "$file" >/dev/null; then return 0; fi
  done
  return 1
}

# follow PIPELINE: to its end. Long polls: the answer comes when something changed, or after the wait.
follow() {
  local job=$1 document state etag=""
  while :; do
    document=$(api GET "/v1/jobs/$job?wait=2s" -H "If-None-Match: $etag" -D "$var/demo/headers") || exit 1
    if [ -n "$document" ]; then
      printf '%s' "$document" >"$var/demo/job.json"
      etag=$(sed -n 's/^[Ee][Tt][Aa][Gg]: *\(.*\)\r$/\1/p' "$var/demo/headers" | tail -n 1)
    fi
    state=$(jq -r .state "$var/demo/job.json")
    show
    some_worker || die_log "$var/log/worker-1.log" "'make down', then 'make demo'" "no worker is running any more"
    case $state in
      succeeded) return 0 ;;
      failed | cancelled)
        [ ! -t 1 ] || printf '\n'
        die_log "$var/log/worker-1.log" "$(jq -r '.error.hint // "the logs are in var/log/"' "$var/demo/job.json")" \
          "$job $state: $(jq -r '.error.detail // ([.children[]? | select(.state == "failed") | "\(.name): \(.reason)"] | first) // .reason' "$var/demo/job.json")" ;;
    esac
  done
}

say "upload: $(basename "$data"), $(du -k "$data" | cut -f1) kB"
# A name can be had once; a second demo makes a second dataset.
dataset=$(api POST /v1/datasets --json "{\"name\": \"hopper-demo-$(date +%s)-$$\", \"obs_dim\": 11, \"act_dim\": 3, \"env\": \"hopper\"}") || exit 1
dataset=$(jq -r .id <<<"$dataset")
api POST "/v1/datasets/$dataset/trajectories" -H 'Content-Type: application/x-hdf5' --data-binary "@$data" \
  >"$var/demo/upload.json" || exit 1
api GET "/v1/datasets/$dataset" >"$var/demo/dataset.json" || exit 1
jq -r '"  \(.trajectories) trajectories, \(.steps) transitions, \(.labelled_steps) with actions"' "$var/demo/dataset.json"

# 90% of the known actions are hidden, to measure with: what is left comes from the worse half by return.
say "pipeline: IDM, labels by the simulator, policies with and without them, evaluation in MuJoCo"
jq -n --arg dataset "$dataset" --argjson more "${PIPELINE:-"{}"}" '{
  dataset: $dataset,
  mask: {protocol: "coupled", p: 10, q: 50, seed: 0},
  labeller: "simulator",
  baselines: ["labelled_only", "oracle"],
  policies: [{algo: "bc", top_percent: 40, updates: 10000}],
  seeds: [0, 1, 2, 3]
} + $more' >"$var/demo/pipeline.json" || die "PIPELINE holds no JSON object"
job=$(api POST /v1/pipelines --json "@$var/demo/pipeline.json") || exit 1
job=$(jq -r .id <<<"$job")
follow "$job"
pipeline=$job job=""

jq --slurpfile d "$var/demo/dataset.json" --argjson wall_s $((SECONDS - started_s)) --arg job "$pipeline" '
  .result + {dataset: ($d[0] | {id, name, env, trajectories, steps}), pipeline: $job, wall_s: $wall_s}' \
  "$var/demo/job.json" >"$var/demo/report.json" || die "the report has not the shape expected"

jq -r '
  def short: if . == null then "-" elif fabs >= 100 then round | tostring else (. * 1000 | round / 1000 | tostring) end;
  # Small errors in scientific notation, three digits.
  def small: if . == null then "-" elif . >= 0.001 or . <= 0 then short else
    (. | log10 | floor) as $e | (. / pow(10; $e) * 100 | round / 100 | tostring) + "e" + ($e | tostring) end;
  def left(n): . + (" " * ([n - length, 0] | max));
  def right(n): (" " * ([n - length, 0] | max)) + .;
  "",
  "Labels on the hidden actions            mse     R2   share",
  ((.label.labellers // {proxact: .label}) | to_entries[] | ("  " + ({idm: "inverse dynamics model", verified: "simulator, verified steps",
      simulator: "simulator, all its steps"}[.key] // .key) | left(34)) +
    (.value.mse | small | right(9)) + (.value.r2 | short | right(7)) +
    (if .value.share then (.value.share * 1000 | round / 10 | tostring) + "%" | right(8) else "" end)),
  (.label.yardsticks // {} | to_entries[] | ("  yardstick: " + .key | left(34)) +
    ((if .value | type == "object" then .value.mse else .value end) | small | right(9))),
  (.label.coverage // empty | "  \(.["95"] * 1000 | round / 10)% of the hidden actions lie within 1.96 action_std of their label"),
  "",
  "Policies                            return   95% interval      normalised   episodes",
  (.algorithms | to_entries[] | .key as $algo | .value as $variants
    | (["labelled_only", "labelled only"], ["ss", "proxact (semi-supervised)"], ["oracle", "all true actions"]) as [$key, $name]
    | $variants[$key] | select(. != null)
    | ("  " + ($algo | left(8)) + $name | left(36)) + (.return_mean | short | right(6)) +
      ((if .return_ci95 then "  [" + (.return_ci95[0] | short) + ", " + (.return_ci95[1] | short) + "]" else "  -" end) | left(18)) +
      (.normalized | short | right(10)) + (.episodes | tostring | right(10))),
  (.algorithms | to_entries[] | .key as $algo | .value.ss.labels // empty | "", "  \($algo) learned from \(.chosen) labels: \(.by)"),
  (.warnings // [] | select(length > 0) | "", "Warnings",
    (.[] | "  \(.code): \(.message)", "    \(.hint)"))' "$var/demo/report.json"
say
say "wall time $(as_time $((SECONDS - started_s))); report: ${var/#$PX_ROOT\//}/demo/report.json"
if [ "${KEEP:-}" = 1 ] || [ -z "$started_here" ]; then
  say "It keeps running at $PROXACT_URL: '. ${var/#$PX_ROOT\//}/env' sets curl and proxact up, 'make down' stops it."
fi
