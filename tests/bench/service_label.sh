# SPDX-License-Identifier: Apache-2.0
# Loading a dataset and labelling it, in one process and end to end. Sourced by bench_service.sh.
# shellcheck shell=bash disable=SC2154

# One dataset: hopper with its actions, and the large file without.
label_data() {
  labelling=$(new_dataset "labelling") || exit 1
  upload "$labelling" "$hopper" >/dev/null
  upload "$labelling" "$big" "&ignore_actions=true" >/dev/null
  transitions=$(sql "select steps_n from datasets where id = '$labelling'")
}

# Five members of the default profile's size; few steps, since speed does not depend on quality.
train_members() {
  local member job jobs=()
  for member in 0 1 2 3 4; do
    job=$(submit train_idm "{\"dataset\": \"$labelling\", \"segments\": 3, \"member\": $member,
      \"idm\": {\"members\": 5, \"steps\": 50, \"validate_every\": 50}}") || exit 1
    jobs+=("$job")
  done
  for job in "${jobs[@]}"; do job_await "$job" 300 "state = 'succeeded'"; done
  models=$(printf '"mdl_%s",' "${jobs[@]#job_}")
  models="[${models%,}]"
}

# label_once: seconds from the claim of the first shard to the publication
label_once() {
  local job
  job=$(submit label "{\"dataset\": \"$labelling\", \"models\": $models}") || exit 1
  job_await "$job" 1200 "job_is_final(state)"
  sql "select extract(epoch from max(e.at) filter (where e.job_id = '$job' and e.to_state = 'succeeded')
                               - min(e.at) filter (where e.job_id <> '$job' and e.to_state = 'running'))
       from job_events e where e.job_id = '$job' or e.job_id in (select needs_id from job_deps where job_id = '$job'
         and needs_id in (select id from jobs where kind = 'label_shard'))"
}

# label_with N: sets rate, transitions a second with so many workers, and per_cpu_s, by their processor time
label_with() {
  local i seconds before after worker
  rate=() per_cpu_s=()
  for ((i = 0; i < label_repeats; i++)); do
    before=0 after=0
    for ((worker = 1; worker <= $1; worker++)); do before=$(calc "$before + $(cpu_s "$(worker_pid $worker)")"); done
    seconds=$(label_once) || exit 1
    [ -n "$seconds" ] || die "the labelling failed"
    for ((worker = 1; worker <= $1; worker++)); do after=$(calc "$after + $(cpu_s "$(worker_pid $worker)")"); done
    rate+=("$(calc "$transitions / $seconds")")
    per_cpu_s+=("$(calc "$transitions / ($after - $before)")")
  done
}

bench_label() {
  local one two what unit numbers alone products whole
  label_data
  row "labelling: the dataset" transitions "$transitions"
  worker_start 1
  worker_start 2
  train_members
  label_with 2
  row "labelling end to end, 2 workers" transitions/s "${rate[@]}"
  row "labelling end to end, 2 workers" transitions/cpu-s "${per_cpu_s[@]}"
  two=$(median "${rate[@]}")
  worker_stop 2
  label_with 1
  row "labelling end to end, 1 worker" transitions/s "${rate[@]}"
  row "labelling end to end, 1 worker" transitions/cpu-s "${per_cpu_s[@]}"
  one=$(median "${rate[@]}")
  whole=$(median "${per_cpu_s[@]}")
  worker_stop 1
  row "labelling: 2 workers against 1" times "$(calc "$two / $one")"
  "$build/tests/bench/bench_worker" "$labelling" "$(jq -r 'join(",")' <<<"$models")" "$repeats" >"$work/steps" ||
    die "bench_worker failed"
  while IFS=$'\t' read -r what unit numbers; do
    # shellcheck disable=SC2086  # split on purpose
    {
      row "$what" "$unit" $numbers
      case $what in *idm_label*) alone=$(median $numbers) ;; *products*) products=$(median $numbers) ;; esac
    }
  done <"$work/steps"
  row "labelling: end to end of idm_label alone" % "$(calc "100 * $whole / $alone")"
  row "labelling: time outside matrix products, idm_label" % "$(calc "100 * (1 - $alone / $products)")"
  row "labelling: time outside matrix products, end to end" % "$(calc "100 * (1 - $whole / $products)")"
}
