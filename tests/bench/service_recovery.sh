# SPDX-License-Identifier: Apache-2.0
# Killed workers and children, PostgreSQL and Redis gone and back: seconds until jobs go on. Sourced by bench_service.sh.
# shellcheck shell=bash disable=SC2154

long_policy() {
  submit train_policy "{\"dataset\": \"$small\", \"policy\": {\"algo\": \"td3bc\", \"updates\": 10000000, \"hidden\": 32}}"
}
# since EPOCHREALTIME JOB EPOCH STATE: seconds from then to the job's event, by the clock both share
since() {
  sql "select extract(epoch from min(at)) - $1 from job_events where job_id = '$2' and epoch = $3 and to_state = '$4' and at > to_timestamp($1)"
}

# worker_kill N: at once and without a word; sets begun
worker_kill() {
  local pid
  pid=$(worker_pid "$1") || die "worker $1 has ended by itself"
  begun=$EPOCHREALTIME
  kill -KILL "$pid"
  wait "$pid" 2>/dev/null # or the shell would tell of it
}

# supervisor_killed WHAT REPEATS [worker options]: the second worker is idle when the first is killed.
supervisor_killed() {
  local what=$1 times=$2 i job seconds=() begun
  shift 2
  for ((i = 0; i < times; i++)); do
    worker_start 1 "$@"
    job=$(long_policy) || exit 1
    job_await "$job" 60 "state = 'running' and step > 0"
    worker_start 2 "$@"
    worker_kill 1
    job_await "$job" 120 "state = 'running' and epoch = 2"
    seconds+=("$(since "$begun" "$job" 2 running)")
    cancel "$job"
    worker_stop 1
    worker_stop 2
  done
  row "$what" s "${seconds[@]}"
}

child_killed() {
  local times=$1 i job known=() again=() begun
  worker_start 1
  for ((i = 0; i < times; i++)); do
    job=$(long_policy) || exit 1
    job_await "$job" 60 "state = 'running' and step > 0"
    begun=$EPOCHREALTIME
    kill -KILL "$(worker_child 1)"
    job_await "$job" 60 "state = 'running' and epoch = 2"
    known+=("$(since "$begun" "$job" 1 ready)")
    again+=("$(since "$begun" "$job" 2 running)")
    cancel "$job"
  done
  worker_stop 1
  row "child killed: known" s "${known[@]}"
  row "child killed: runs again" s "${again[@]}"
}

# A pipeline whose worker is killed while it trains a policy ends all the same.
pipeline_completes() {
  local job policy begun
  worker_start 1 "${test_profile[@]}"
  job=$(api POST /v1/pipelines --json "{\"dataset\": \"$small\", \"idm\": {\"members\": 1, \"steps\": 60, \"hidden\": 32,
    \"validate_every\": 30}, \"episodes\": 2, \"policies\": [{\"algo\": \"td3bc\", \"updates\": 3000, \"hidden\": 64}]}" | jq -r .id)
  policy=$(sql "select id from jobs where parent_id = '$job' and kind = 'train_policy'")
  job_await "$policy" 120 "state = 'running' and step > 0"
  worker_start 2 "${test_profile[@]}"
  worker_kill 1
  job_await "$job" 300 "job_is_final(state)"
  [ "$(sql "select state from jobs where id = '$job'")" = succeeded ] || die "the pipeline did not survive its worker's death"
  [ "$(sql "select epoch from jobs where id = '$policy'")" = 2 ] || die "the policy was trained before its worker was killed"
  row "worker killed in a pipeline: the pipeline succeeds after" s "$(since "$begun" "$job" "$(sql "select epoch from jobs where id = '$job'")" succeeded)"
  worker_stop 1
  worker_stop 2
}

# Submits a small job, again until the server takes it; sets job.
small_job() {
  until job=$(curl -sS --fail -X POST -H "Authorization: Bearer $PROXACT_TOKEN" "$PROXACT_URL/v1/jobs" --json \
    "{\"kind\": \"export\", \"spec\": {\"dataset\": \"$small\", \"format\": \"jsonl\", \"actions\": \"true\"}}" 2>>"$work/refused" | jq -er .id); do
    sleep 0.02
  done
}
# away NAME SIGNAL: the stack's process of that name is gone; sets begun
away() {
  begun=$EPOCHREALTIME
  kill -s "$2" "$(pid_of "$PROXACT_VAR/$1.pid")"
  wait_until 30 has_ended "$PROXACT_VAR/$1.pid" || die "$1 goes on"
}

# One worker is training, the other idle, while PostgreSQL crashes and is started again at once.
postgres_back() {
  local times=$1 i job training answers=() runs=() begun
  worker_start 1
  training=$(long_policy) || exit 1
  job_await "$training" 60 "state = 'running' and step > 0"
  worker_start 2
  for ((i = 0; i < times; i++)); do
    away postgres QUIT
    "$root/deploy/stack.sh" start >"$work/stack.log" || die "PostgreSQL did not come back"
    answers+=("$(calc "$EPOCHREALTIME - $begun")")
    small_job
    job_await "$job" 60 "state = 'succeeded'"
    runs+=("$(since "$begun" "$job" 1 running)")
  done
  job_await "$training" 60 "state = 'running' and epoch = 1 and lease_expires_at > clock_timestamp()"
  cancel "$training"
  worker_stop 1
  worker_stop 2
  row "PostgreSQL crashed: started again, and it answers" s "${answers[@]}"
  row "PostgreSQL crashed: a job submitted then runs" s "${runs[@]}"
}

# claim_delays REPEATS WHAT: from ready to running
claim_delays() {
  local times=$1 i job took=()
  for ((i = 0; i < times; i++)); do
    small_job
    job_await "$job" 60 "state = 'succeeded'"
    took+=("$(sql "select extract(epoch from min(at) filter (where to_state = 'running') - min(at)) from job_events where job_id = '$job'")")
  done
  row "$2" s "${took[@]}"
}
redis_back() {
  local times=$1 begun
  worker_start 1
  claim_delays "$times" "with Redis: a ready job is claimed after"
  away redis KILL
  claim_delays "$times" "Redis gone: a ready job is claimed after"
  "$root/deploy/stack.sh" start >"$work/stack.log" || die "Redis did not come back"
  sleep 1.5 # a worker asks for it again after a second
  claim_delays "$times" "Redis back: a ready job is claimed after"
  worker_stop 1
}

bench_recovery() {
  test_profile=(--lease-ms=2000 --heartbeat-ms=400 --reap-ms=200)
  small=$(new_dataset recovery) || exit 1
  upload "$small" "$demo" >/dev/null
  supervisor_killed "worker killed, lease 2 s: runs elsewhere" "$test_kills" "${test_profile[@]}"
  child_killed "$test_kills"
  pipeline_completes
  postgres_back "$outages"
  redis_back "$test_kills"
  supervisor_killed "worker killed, lease 30 s: runs elsewhere" "$default_kills"
}
