#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Data that changes, with curl: true actions that come later, a segment taken out, versions, and jobs on an earlier version.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
service_start 2
cd "$work" || exit 1
api() { curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" "$@"; }
url=$PROXACT_URL/v1 ds=$PROXACT_URL/v1/datasets/edits
etag() { api -o /dev/null -D - "$ds" | tr -d '\r' | sed -n 's/^[Ee][Tt]ag: //p'; }
# put TRAJECTORY JSON [CURL...]: true actions for it, at the present version
put() { api -o answer.json -X PUT -H "If-Match: $(etag)" --json "$2" "${@:3}" "$ds/trajectories/$1/actions"; }
add() { api -o answer.json -X POST -H "If-Match: $(etag)" -T "$1" "${@:2}" "$ds/actions?filename=$1"; }
# answers WHAT CODE POINTER COMMAND...: the request is refused with that problem, and nothing changes.
answers() {
  local what=$1 code=$2 pointer=$3 before
  shift 3
  before=$(etag)
  "$@" >/dev/null 2>&1
  expect "$what" jq -e --arg c "$code" --arg p "$pointer" '.code == $c and (.errors[0].pointer // "") == $p' answer.json || cat answer.json
  expect "and the dataset is as before" test "$before" = "$(etag)"
}
follow() { # JOB: leaves its document in job.json once it has ended
  SECONDS=0
  until state=$(api "$url/jobs/$1?wait=10s" | tee job.json | jq -r .state) && [[ $state =~ ^(succeeded|failed|cancelled)$ ]]; do
    [ "$SECONDS" -lt $((300 * PX_PATIENCE)) ] || break
  done
}

# A point that an action pushes. Three files of 8 trajectories of 20 steps: the second has its actions, and a scale of its own.
# Its trajectories all terminate at the same length, which lint takes for a time limit.
awk 'BEGIN { srand(11); for (f = 0; f < 3; f++) { file = "part" f ".csv"
  print "episode,step,obs_0,act_0,reward,terminated,truncated" >file
  for (e = 0; e < 8; e++) { x = (rand() - 0.5) * (1 + f)
    for (t = 0; t < 20; t++) { a = -x / 2 + rand() / 5 - 0.1
      printf "%d,%d,%.6f,%s,%.6f,%d,%d\n", e, t, x, f == 1 ? sprintf("%.6f", a) : "", -x * x, f == 1 && t == 19, f != 1 && t == 19 >file
      if (f != 1) printf "%d,%d,%.6f\n", e + 4 * f, t, a >"truth.csv"; x += a }
    printf "%d,20,%.6f,,,,\n", e, x >file } } }'
expect "a dataset is created" api --json '{"name": "edits", "obs_dim": 1, "act_dim": 1}' "$url/datasets"
for f in 0 1 2; do
  expect "part $f is stored" api -X POST -T "part$f.csv" "$ds/trajectories?filename=part$f.csv&source=robot-$((f / 2))"
done
expect "the dataset tells its sources" jq -e '.sources == [
  {"source": "robot-0", "trajectories": 16, "steps": 320, "labelled_steps": 160},
  {"source": "robot-1", "trajectories": 8, "steps": 160, "labelled_steps": 0}]' <(api "$ds")
expect "and pages are of one of them" jq -e '(.items | map(.n) == [range(16; 24)]) and (.items | all(.source == "robot-1"))' \
  <(api "$ds/trajectories?source=robot-1")
expect "page by page" jq -e '(.items | map(.n) == [10, 11]) and .next == 12' <(api "$ds/trajectories?source=robot-0&from=10&limit=2")
expect "and so does a trajectory" jq -e '.source == "robot-1"' <(api "$ds/trajectories/23")
first=$(api "$ds" | jq .version)
expect "each upload is a version" jq -e '[.items[] | .change] == ["append", "append", "append"] and (.items | map(.steps) == [480, 320, 160])' \
  <(api "$ds/versions")
expect "and a segment" jq -e '.items | map([.segment, .first_trajectory, .trajectories, .labelled_steps]) ==
  [[0, 0, 8, 0], [1, 8, 8, 160], [2, 16, 8, 0]]' <(api "$ds/segments")

ones=$(jq -nc '{actions: [range(20) | [. / 100]]}')
answers "an edit must name a version" precondition_required "" api -o answer.json -X PUT --json "$ones" "$ds/trajectories/0/actions"
answers "the present one" precondition_failed "" api -o answer.json -X PUT -H 'If-Match: "1"' --json "$ones" "$ds/trajectories/0/actions"
answers "of a trajectory that is there" not_found "" put 24 "$ones"
answers "with an action for each step" bad_data actions put 0 '{"actions": [[0.5]]}'
answers "in the range" bad_data "trajectory 0, step 3, actions[0]" put 0 "$(jq -c '.actions[3] = [7]' <<<"$ones")"
answers "of the right width" bad_data "line 1, actions[2]" put 0 "$(jq -c '.actions[2] = [0, 0]' <<<"$ones")"
answers "for steps that are there" bad_data "trajectory 0, step 20" put 0 '{"step": 19, "actions": [[0], [0]]}'
answers "and not for none" bad_data "" put 0 '{"step": 0, "actions": [null]}'
answers "one trajectory is not another" bad_data trajectory put 0 '{"trajectory": 3, "actions": [[0]]}'
answers "another type is refused" unsupported_media "" api -o answer.json -X PUT -H "If-Match: $(etag)" \
  -H 'Content-Type: text/csv' -d 'x' "$ds/trajectories/0/actions"

expect "some steps get an action" put 2 '{"step": 5, "actions": [[0.25], null, [-0.5]]}'
expect "and it is told" jq -e --argjson v "$first" '.version == $v + 1 and .trajectories == 1 and .steps == 2 and .replaced == 0' answer.json
expect "they are true actions" jq -e '.actions[5] == [0.25] and .actions[7] == [-0.5] and .actions[6] == null and
  (.action_source | [.[5], .[6], .[7]] == ["true", "absent", "true"])' <(api "$ds/trajectories/2")
expect "the dataset counts them" jq -e '.labelled_steps == 162 and .labelled_trajectories == 9' <(api "$ds")
answers "a step that has one keeps it" conflict "trajectory 2, step 7" put 2 '{"step": 6, "actions": [[0.1], [0.2]]}'
expect "unless it is to be replaced" api -o answer.json -X PUT -H "If-Match: $(etag)" --json '{"step": 7, "actions": [[0.75]]}' "$ds/trajectories/2/actions?replace=true"
expect "which is told too" jq -e '.steps == 1 and .replaced == 1' answer.json
expect "a whole trajectory is labelled" put 0 "$ones"
expect "and is then the same as one that comes with its actions" jq -e '.duplicates == 1' <(
  awk -F, -v OFS=, 'NR == 1 { print; next } $1 == 0 { if ($2 < 20) $4 = $2 / 100; print }' part0.csv >again.csv
  api -X POST -T again.csv "$ds/trajectories?filename=again.csv&on_duplicate=skip")

# Many at once.
printf '%s\n' '{"trajectory": 16, "step": 2, "actions": [[0.5], [0.25]]}' '{"trajectory": 1, "actions": [[1], [0]], "action_mask": [false, true], "step": 0}' >some.jsonl
(cat some.jsonl; echo '{"trajectory": 99, "step": 0, "actions": [[0]]}') >bad.jsonl
answers "one bad line refuses all" bad_data trajectory add bad.jsonl
(cat some.jsonl some.jsonl) >twice.jsonl
answers "a step twice is refused" bad_data "trajectory 1, step 1" add twice.jsonl
expect "lines of several trajectories" add some.jsonl
expect "are taken together" jq -e '.trajectories == 2 and .steps == 3' answer.json
expect "arrays are made" /usr/bin/python3 -c '
import numpy as np
t = np.loadtxt("truth.csv", delimiter=",")
n = t[:, 0].astype("i8"); n[len(n) // 2:] += 8
np.savez("truth.npz", trajectory=n, step=t[:, 1].astype("i4"), actions=t[:, 2:].astype("f4"), action_mask=n % 8 < 4)
np.savez("bad.npz", trajectory=np.array([3, 3.5]), step=np.zeros(2), actions=np.zeros((2, 1)))'
answers "a number that is not whole is named" bad_data "trajectory[1]" add bad.npz
before=$(api "$ds" | jq .data_version)
expect "and arrays" api -o answer.json -X POST -H "If-Match: $(etag)" -T truth.npz "$ds/actions?filename=truth.npz&replace=true"
expect "with a mask" jq -e '.trajectories == 8 and .steps == 160 and .replaced == 25' answer.json || cat answer.json

# What changed, and a segment less.
expect "the difference between versions is told" jq -e '.segments_relabelled == [0, 2] and .segments_added == [] and .segments_removed == [] and
  (.labelled_steps[1] - .labelled_steps[0]) == 135 and (.changes | length) == 1 and .changes[0].change == "actions"' <(api "$ds/diff?from=$before") || api "$ds/diff?from=$before"
api "$ds/trajectories/16" | jq -c 'del(.n)' >moved.json
with=$(api "$ds" | jq .data_version)
api -o answer.json -X DELETE "$ds/segments/1" 2>/dev/null
expect "a segment is not deleted blindly" jq -e '.code == "precondition_required"' answer.json
expect "but with the version" api -o answer.json -X DELETE -H "If-Match: $(etag)" "$ds/segments/1"
expect "once" test "$(curl -s -o /dev/null -w '%{http_code}' -X DELETE -H "Authorization: Bearer $PROXACT_TOKEN" -H "If-Match: $(etag)" "$ds/segments/1")" = 404
expect "the trajectories behind it move up" jq -e --slurpfile was moved.json 'del(.n) == $was[0]' <(api "$ds/trajectories/8")
expect "with their sources" jq -e '.sources | map([.source, .trajectories]) == [["robot-0", 8], ["robot-1", 8]]' <(api "$ds")
expect "in pages too" jq -e '.items | map(.n) == [range(16)] and (map(.segment) | unique) == [0, 2]' <(api "$ds/trajectories")
expect "the statistics are those of the rest" bash -c 'for f in 0 2; do :; done
  curl -sS -H "Authorization: Bearer $PROXACT_TOKEN" --json "{\"name\": \"rest\", \"obs_dim\": 1, \"act_dim\": 1}" -o /dev/null "$PROXACT_URL/v1/datasets"
  for f in 0 2; do curl -sS -H "Authorization: Bearer $PROXACT_TOKEN" -o /dev/null -X POST -T part$f.csv "$PROXACT_URL/v1/datasets/rest/trajectories?filename=part$f.csv"; done'
api "$url/datasets/rest" >rest.json
expect "to rounding" jq -e --slurpfile r rest.json '.trajectories == 16 and .steps == 320 and .returns == $r[0].returns and
  ((.obs_mean[0] - $r[0].obs_mean[0]) | fabs) < 1e-9 and ((.obs_std[0] - $r[0].obs_std[0]) | fabs) < 1e-9' <(api "$ds") || api "$ds"
expect "an upload still finds its place" api -X POST -T part1.csv "$ds/trajectories?filename=part1.csv"
expect "behind the others" jq -e '.items | map([.segment, .first_trajectory]) == [[0, 0], [2, 8], [3, 16]]' <(api "$ds/segments")

# Jobs keep the version they name.
small='"idm": {"profile": "fast", "members": 2, "steps": 300}, "policies": [{"algo": "bc", "updates": 200, "hidden": 32}], "judge": "assess"'
answers "a version that never was is refused" bad_field /spec/dataset_version api -o answer.json \
  --json '{"kind": "train_idm", "spec": {"dataset": "edits", "dataset_version": 1000}}' "$url/jobs"
now=$(api --json "{\"dataset\": \"edits\", $small}" "$url/pipelines" | jq -r .id)
old=$(api --json "{\"dataset\": \"edits\", \"dataset_version\": $with, $small}" "$url/pipelines" | jq -r .id)
follow "$now"
expect "a pipeline passes over the gap" test "$state" = succeeded || jq . job.json
expect "and labels what is there" jq -e '.steps == 480' <(api "$url/label_sets/$(jq -r .result.label.label_set job.json)")
expect "and tells what lint found in it" jq -e '.result | .lint.warnings == 1 and .lint.items[0].code == "time_limit" and
  (.warnings | any(.code == "data_suspect" and .figures.warnings == 1))' job.json || jq .result job.json
expect "and how its labels are by source" jq -e '.result.label.sources | map(.source) == ["robot-0", "robot-1"] and
  all(.trajectories == 8 and .labels > 0 and .mean_score > 0 and has("mse"))' job.json || jq .result.label job.json
follow "$old"
expect "another runs on the dataset as it was" test "$state" = succeeded || jq . job.json
set=$(jq -r .result.label.label_set job.json)
expect "as its labels and its report say" jq -e --argjson v "$with" '.result.dataset_version == $v and .result.segments == 3' job.json
expect "which are read beside what is there now" jq -e -s 'length == 24 and (.[0:16] | all(.action_source | all(. == 1 or . == 2)))' \
  <(api "$ds/export?format=jsonl&label_set=$set")
api -o answer.json -X POST -T again.csv "$ds/trajectories?filename=again.csv&async=true&source=later"
follow "$(jq -r .id answer.json)"
expect "a job that reads a file keeps its source" jq -e '.items | length == 1' <(api "$ds/trajectories?source=later")
expect "the dataset goes with all its versions" api -X DELETE "$ds"

finish
