# Killed workers and children: seconds until the job runs again. Sourced by bench_service.sh.
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

bench_recovery() {
  test_profile=(--lease-ms=2000 --heartbeat-ms=400 --reap-ms=200)
  small=$(new_dataset recovery) || exit 1
  upload "$small" "$demo" >/dev/null
  supervisor_killed "worker killed, lease 2 s: runs elsewhere" "$test_kills" "${test_profile[@]}"
  child_killed "$test_kills"
  pipeline_completes
  supervisor_killed "worker killed, lease 30 s: runs elsewhere" "$default_kills"
}
