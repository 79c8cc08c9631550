#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Uploads on a real server: every format and encoding, labelled and action-free parts, export and back, and every bad
# input answered with its place, nothing stored, the server going on.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"

files=$work/files
mkdir "$files"
/usr/bin/python3 "$root/tests/support/make_uploads.py" "$files" || exit 1
"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create e2e)
# libmicrohttpd sees an end that comes together with data only when the connection has been idle for its time.
server_start --idle-s=10

# new_dataset NAME: $ds
new_dataset() {
  api POST /v1/datasets --json "{\"name\": \"$1\", \"obs_dim\": 3, \"act_dim\": 2}"
  [ "$status" = 201 ] || fail "dataset $1"
  ds=$(field .id)
}
declare -A media=([hdf5]=application/x-hdf5 [npz]=application/x-npz [jsonl]=application/jsonl
  [safetensors]=application/x-safetensors [csv]=text/csv [lerobot]=application/x-tar)
# send FORMAT FILE [curl's options]
send() {
  local format=$1 file=$2
  shift 2
  api POST "/v1/datasets/$ds/trajectories?filename=$(basename "$file")" -H "Content-Type: ${media[$format]}" \
    --data-binary @"$file" "$@"
}
counts='.trajectories == 12 and .steps == 126'

# --- what is probably a mistake is told, and kept with the dataset
new_dataset lint
/usr/bin/python3 - "$work/lint.jsonl" <<'PY'
import json, math, sys
with open(sys.argv[1], "w") as out:
    for n in range(4):
        obs = [[math.sin(0.37 * t + n), math.cos(0.23 * t * (n + 1)), 7] for t in range(121)]
        if n == 2:
            obs[60:] = [[x, y + 40, z] for x, y, z in obs[60:]]
        out.write(json.dumps({"observations": obs, "rewards": [math.sin(t) for t in range(120)], "terminated": False}) + "\n")
PY
send jsonl "$work/lint.jsonl"
is "lint: in the upload's answer" 201 '[.findings[] | [.code, .severity, .field, .trajectory, .step]]
  == [["jump", "warning", "observations[1]", 2, 60], ["constant_observation", "info", "observations[2]", null, null]]
  and (.findings | all(.hint and .message and (.figure | type) == "number"))'
send jsonl "$work/lint.jsonl"
api GET "/v1/datasets/$ds/lint"
is "lint: of all uploads" 200 '.warnings == 2 and .infos == 2 and [.items[].trajectory] == [2, 6, null, null]
  and (.items | all(.file == "lint.jsonl"))'
api GET "/v1/datasets/$ds/lint?limit=1"
is "lint: warnings first" 200 '.warnings == 2 and (.items | length) == 1 and .items[0].code == "jump"'
api GET "/v1/datasets/none/lint"
is "lint: no such dataset" 404 true
api DELETE "/v1/datasets/$ds"
is "lint: goes with its dataset" 204
api GET "/v1/datasets/$ds/lint"
is "lint: then there is none" 404 true
new_dataset clean
api GET "/v1/datasets/$ds/lint"
is "lint: nothing was found" 200 '. == {"warnings": 0, "infos": 0, "items": []}'

# --- what is accepted
for format in hdf5 npz jsonl safetensors; do
  new_dataset "plain-$format"
  send $format "$files/good.$format"
  is "$format" 201 "$counts and .labelled_steps == 126 and .format == \"$format\" and .version == 2"
  api GET "/v1/datasets/$ds"
  is "$format: the dataset counts it" 200 "$counts and .labelled_steps == 126 and .segments == 1 and .version == 2"
  api GET "/v1/datasets/$ds/trajectories/11"
  cp "$work/body" "$work/trajectory-$format"
  is "$format: its last trajectory" 200 '.steps == 16 and (.observations | length) == 17 and .terminated
    and (.action_source | unique) == ["true"] and (.actions | length) == 16'
  gzip -k "$files/good.$format"
  zstd -q "$files/good.$format"
  send $format "$files/good.$format.gz" -H 'Content-Encoding: gzip'
  is "$format: gzip" 201 "$counts"
  send $format "$files/good.$format.zst" -H 'Content-Encoding: zstd' -H 'Transfer-Encoding: chunked'
  is "$format: zstd, its length not told" 201 "$counts and .version == 4"
done
same_trajectories() {
  local format
  for format in npz jsonl safetensors; do
    jq -e -s '.[0] == .[1]' "$work/trajectory-hdf5" "$work/trajectory-$format" >/dev/null || { echo "$format"; return 1; }
  done
}
ok "all formats give the same trajectory" same_trajectories
api GET "/v1/datasets/plain-npz/export?format=lerobot"
cp "$work/body" "$work/again.tar"
new_dataset plain-lerobot
send lerobot "$work/again.tar"
is "lerobot, as it was exported" 201 '.trajectories == 36 and .labelled_steps == 378 and .format == "lerobot"'
api GET "/v1/datasets/$ds/trajectories/11"
cp "$work/body" "$work/trajectory-lerobot"
ok "it is the same trajectory" same "$(jq -S . "$work/trajectory-lerobot")" "$(jq -S . "$work/trajectory-npz")"
api POST "/v1/datasets/$ds/trajectories?filename=again.tar&obs_keys=state" --data-binary @"$work/again.tar"
is "lerobot: one of its keys" 201 '.layout == "lerobot"'
api POST "/v1/datasets/$ds/trajectories?filename=again.tar&obs_keys=torque" --data-binary @"$work/again.tar"
is "lerobot: keys that it has not" 422 '.errors[0].pointer == "obs_keys"'
new_dataset ways
send hdf5 "$files/minari.hdf5"
is "Minari" 201 "$counts and .layout == \"minari\""
api POST "/v1/datasets/$ds/trajectories?format=jsonl" -H 'Content-Type:' --data-binary @"$files/good.jsonl"
is "the format by ?format=" 201 "$counts"
api POST "/v1/datasets/$ds/trajectories" -H 'X-Filename: some/good.npz' --data-binary @"$files/good.npz"
is "the format by X-Filename" 201 "$counts and .file == \"good.npz\""
api POST "/v1/datasets/ways/trajectories" -H 'Content-Type: application/x-hdf5' -T "$files/good.hdf5"
is "the dataset by its name" 201
digest=$(openssl dgst -sha256 -binary "$files/good.jsonl" | base64)
send jsonl "$files/good.jsonl" -H "Content-Digest: sha-512=:AA==:, sha-256=:$digest:"
is "a digest that is right" 201
send jsonl "$files/good.jsonl" -H "Repr-Digest: sha-256=:${digest/[a-z]/0}:"
is "a digest that is wrong" 460 '.code == "checksum_mismatch"'
send jsonl "$files/good.jsonl" -H "Content-Digest: sha-256=nonsense"
is "a digest that is none" 400
send jsonl "$files/good.jsonl" -H 'Prefer: respond-async'
is "to be read by a job" 202 '.kind == "ingest" and .state == "queued"'
ok "whose Location is told" same "$(header location)" "/v1/jobs/$(field .id)"

# --- what is there already
new_dataset twice
again() { # WORD: the same file once more
  api POST "/v1/datasets/$ds/trajectories?filename=good.npz&on_duplicate=$1" -H "Content-Type: ${media[npz]}" --data-binary @"$files/good.npz"
}
send jsonl "$files/good.jsonl"
is "a file" 201 '.duplicates == 0 and .notes == []'
again skip
is "again, in another format: left out" 201 '.trajectories == 0 and .duplicates == 12 and .version == 2 and
  (.notes[-1] | test("all 12 trajectories are in the dataset already.*left out"))'
again refuse
is "or refused, with its place" 409 '.code == "conflict" and (.detail | test("good.npz: trajectory 0 is in the dataset already")) and
  (.hint | test("on_duplicate=skip"))'
again perhaps
is "another word" 422 '.code == "bad_field" and .errors[0].pointer == "on_duplicate"'
api GET "/v1/datasets/$ds"
is "nothing came of these" 200 "$counts and .version == 2"
send npz "$files/good.npz" -H "Idempotency-Key: twice-$$"
is "unless asked, it is stored twice and noted" 201 '.trajectories == 12 and .duplicates == 12 and (.notes[-1] | test("stored twice"))'
send npz "$files/good.npz" -H "Idempotency-Key: twice-$$"
is "a repeated request is no upload" 201 '.version == 3'
api GET "/v1/datasets/$ds"
is "all of it is counted" 200 '.trajectories == 24'

# --- labelled step by step: enough to learn from; a mask hides whole trajectories with any labelled step
new_dataset steps
printf '%s\n' '{"observations": [[0,0,0],[1,1,1],[2,2,2]], "rewards": [0,1], "actions": [[0.1,0.2],null], "terminated": false, "truncated": true}' \
  >"$work/steps.jsonl"
send jsonl "$work/steps.jsonl"
is "one labelled step" 201 '.steps == 2 and .labelled_steps == 1 and .version == 2'
api POST "/v1/pipelines?dry_run=true" --json "{\"dataset\": \"$ds\"}"
is "is something to learn from" 200
api POST "/v1/pipelines?dry_run=true" --json "{\"dataset\": \"$ds\", \"mask\": {\"protocol\": \"coupled\"}}"
is "and a mask may hide the trajectory" 200

# --- labelled, action-free and mixed, in several parts
new_dataset mixed
send hdf5 "$files/free.hdf5"
is "a file without actions" 201 "$counts and .labelled_steps == 0"
api POST /v1/pipelines --json "{\"dataset\": \"$ds\"}"
is "a dataset without labels: the pipeline says so before it starts" 422 '.code == "no_labels"'
api GET "/v1/jobs?dataset=$ds"
is "and nothing was submitted" 200 '.items == []'
send jsonl "$files/partly.jsonl"
is "some trajectories with actions" 201 "$counts and .labelled_steps == 45"
send hdf5 "$files/partly.hdf5"
is "an action mask" 201 "$counts and .labelled_steps == 45"
api POST "/v1/datasets/$ds/trajectories?ignore_actions=true" -H "Content-Type: application/x-hdf5" -T "$files/good.hdf5"
is "actions to be ignored" 201 "$counts and .labelled_steps == 0"
send safetensors "$files/good.safetensors"
is "and a labelled part" 201 "$counts and .labelled_steps == 126"
api GET "/v1/datasets/$ds"
is "the dataset holds all parts" 200 '.trajectories == 60 and .labelled_trajectories == 24 and .labelled_steps == 216'
cp "$work/body" "$work/mixed"
api GET "/v1/datasets/$ds/trajectories?from=40&limit=10"
is "in upload order" 200 '[.items[].n] == [range(40; 50)] and .items[8].labelled_steps == 5 and .next == 50'
api GET "/v1/datasets/$ds/trajectories/13"
is "an unlabelled trajectory has no actions" 200 '.n == 13 and .action_source[0] == "true"'
api GET "/v1/datasets/$ds/trajectories/20"
is "and says so" 200 '(.action_source | unique) == ["absent"] and (.actions | unique) == [null]'
api GET "/v1/datasets/$ds/trajectories/60"
is "there is no trajectory 60" 404
api POST "/v1/pipelines?dry_run=true" --json "{\"dataset\": \"$ds\", \"mask\": {\"protocol\": \"coupled\", \"p\": 20, \"q\": 50}}"
is "a mask that leaves something" 200
api POST "/v1/jobs?dry_run=true" --json "{\"kind\": \"train_policy\", \"spec\": {\"dataset\": \"$ds\", \"mask\": {\"protocol\": \"coupled\"}}}"
is "a mask for a policy alone" 200 '.spec.mask.p == 10'
api POST /v1/jobs --json "{\"kind\": \"train_policy\", \"spec\": {\"dataset\": \"$ds\", \"policy\": \"bc\"}}"
is "a policy to be trained" 202
training=$(field .id)
api POST /v1/jobs --json "{\"kind\": \"ope\", \"spec\": {\"model\": \"mdl_${training#job_}\", \"dataset\": \"$ds\"}}"
is "its assessment waits for it" 202 ".state == \"blocked\" and .needs == [\"$training\"]"
api POST /v1/jobs --json '{"kind": "evaluate", "spec": {"model": "mdl_00000000000000000000", "env": "hopper"}}'
is "a model that nothing makes" 404 '.errors[0].pointer == "/spec/model"'
api POST "/v1/jobs/$training:cancel"
is "the training is cancelled" 200 '.state == "cancelled"'

# --- export and back
mixed=$ds
for format in hdf5 npz jsonl csv safetensors; do
  api GET "/v1/datasets/$mixed/export?format=$format&actions=both"
  is "export $format" 200
  ok "export $format: type and name" same "$(header content-type) $(header content-disposition)" \
    "${media[$format]} attachment; filename=\"mixed.$format\""
  cp "$work/body" "$work/export.$format"
  new_dataset "back-$format"
  send $format "$work/export.$format"
  is "export $format: uploaded again" 201 '.trajectories == 60 and .labelled_steps == 216'
  api GET "/v1/datasets/$ds"
  ok "export $format: the same counts and statistics" jq -e -s 'map({trajectories, steps, labelled_trajectories,
    labelled_steps, returns, lengths}) | .[0] == .[1]' "$work/mixed" "$work/body"
done
api GET "/v1/datasets/$mixed/export?actions=proxy"
is "proxy actions that are not there" 409
api GET "/v1/datasets/$mixed/export?format=xml"
is "an unknown format" 422
api GET "/v1/datasets/$mixed/export?label_set=ls_0"
is "an unknown label set" 404
ok "nothing is left in the spool folder" same "$(ls -A "$work/spool")" ""

# --- what is refused: the place is named, the dataset stays as it was
new_dataset strict
send jsonl "$files/good.jsonl"
api GET "/v1/datasets/$ds"
cp "$work/body" "$work/before"
unchanged() {
  api GET "/v1/datasets/$ds"
  cmp "$work/before" "$work/body"
}
# bad NAME STATUS FILTER FORMAT FILE [curl's options]
bad() {
  local name=$1 expected=$2 filter=$3
  shift 3
  send "$@"
  is "$name" "$expected" "$filter"
  ok "$name: nothing was stored" unchanged
}
data='.code == "bad_data"'
place() { printf '%s and (.errors[0].pointer | test("%s"))' "$data" "$1"; }
bad "wrong observation dims" 422 "$(place observations)" hdf5 "$files/dims.hdf5"
bad "wrong action dims" 422 "$(place actions)" hdf5 "$files/act_dims.hdf5"
bad "NaN in HDF5" 422 "$(place 'trajectory 2, step 1, observations.1')" hdf5 "$files/nan.hdf5"
bad "NaN in JSON" 422 "$data" jsonl "$files/nan.jsonl"
bad "arrays of different lengths" 422 "$data" hdf5 "$files/ragged.hdf5"
bad "a ragged row" 422 "$(place 'trajectory 1')" jsonl "$files/ragged.jsonl"
bad "an action out of range in HDF5" 422 "$(place 'trajectory 3, step 2, actions.1')" hdf5 "$files/range.hdf5"
bad "an action out of range in JSON" 422 "$(place 'trajectory 1, step 3, actions.0')" jsonl "$files/range.jsonl"
bad "a trajectory without steps in JSON" 422 "$(place 'trajectory 1')" jsonl "$files/zero.jsonl"
bad "a trajectory without steps in safetensors" 422 "$data" safetensors "$files/zero.safetensors"
bad "lengths that do not fit" 422 "$data" safetensors "$files/lengths.safetensors"
bad "a file without trajectories" 422 "$data" jsonl "$files/empty.jsonl"
bad "truncated HDF5" 422 "$data" hdf5 "$files/cut.hdf5"
bad "truncated npz" 422 "$data" npz "$files/cut.npz"
bad "truncated safetensors" 422 "$data" safetensors "$files/cut.safetensors"
bad "noise" 422 "$data" hdf5 "$files/noise.hdf5"
bad "a pickle" 422 "$data" npz "$files/pickle.npz"
bad "a zip bomb" 413 '.code == "too_large"' npz "$files/bomb.npz"
bad "a gzip bomb" 413 '.code == "too_large"' jsonl "$files/bomb.jsonl.gz" -H 'Content-Encoding: gzip'
bad "an external link" 422 "$data and (.detail | test(\"link\"))" hdf5 "$files/link.hdf5"
bad "external storage" 422 "$data and (.detail | test(\"extern\"))" hdf5 "$files/external.hdf5"
bad "gzip that is none" 400 '.code == "bad_request"' jsonl "$files/good.jsonl" -H 'Content-Encoding: gzip'
head -c 300 "$files/good.jsonl.gz" >"$files/cut.gz"
bad "gzip that stops in the middle" 400 '.code == "bad_request"' jsonl "$files/cut.gz" -H 'Content-Encoding: gzip'
bad "an unknown encoding" 415 '.code == "unsupported_media"' jsonl "$files/good.jsonl" -H 'Content-Encoding: br'
bad "another format than it says" 422 "$data" hdf5 "$files/good.npz"
api POST "/v1/datasets/$ds/trajectories" -F "file=@$files/good.hdf5"
is "a form" 415 '.hint | test("--data-binary")'
api POST "/v1/datasets/$ds/trajectories" --data-binary @"$files/good.hdf5"
is "a body of unknown format" 415 '.hint | test("Content-Type")'
api POST "/v1/datasets/$ds/trajectories" -H 'Content-Type: application/jsonl' -H 'Content-Length: 0'
is "an empty body" 400
api POST /v1/datasets/ds_00000000000000000000/trajectories -H 'Content-Type: application/jsonl' --data-binary @"$files/good.jsonl"
is "an unknown dataset" 404
send jsonl "$files/cut.hdf5"
ok "errors name the file" grep -q 'cut.hdf5' "$work/body"

# --- uploads cut in the middle
in_flight() { curl -sS -H "Authorization: Bearer $token" "$url/metrics" | sed -n 's/^proxact_http_in_flight //p'; }
alone() { [ "$(in_flight)" = 1 ]; }
together() { [ "$(in_flight)" = 2 ]; }
cut_upload() {
  local curl
  mkfifo "$work/pipe" && exec 4<>"$work/pipe" # open for writing, so that curl sees no end
  head -c 1000 "$files/good.jsonl" >&4
  curl -sS -m 30 -o /dev/null -X POST -T - -H "Authorization: Bearer $token" -H 'Content-Type: application/jsonl' \
    "$url/v1/datasets/$ds/trajectories" <"$work/pipe" 2>/dev/null 4>&- &
  curl=$!
  wait_until 10 together || { echo "the upload was not seen"; return 1; }
  kill -9 "$curl"
  wait "$curl" 2>/dev/null
  exec 4>&-
  wait_until 10 alone
}
ok "an upload is cut in the middle" cut_upload
ok "cut: nothing was stored" unchanged
ok "cut: nothing is left in the spool folder" same "$(ls -A "$work/spool")" ""
exec 3<>"/dev/tcp/127.0.0.1/$port"
printf 'POST /v1/datasets/%s/trajectories HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Type: application/jsonl\r\nContent-Length: 99999\r\n\r\n{"obs' "$ds" "$token" >&3
exec 3>&-
ok "a connection that closes early" wait_until 20 alone
ok "closed: nothing was stored" unchanged

# --- many at once
new_dataset busy
many() {
  local i pids=()
  for i in {1..8}; do
    curl -fsS -o /dev/null -H "Authorization: Bearer $token" -H 'Content-Type: application/x-hdf5' \
      --data-binary @"$files/good.hdf5" "$url/v1/datasets/$ds/trajectories" &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i" || return 1; done
}
ok "eight uploads at once" many
api GET "/v1/datasets/$ds"
is "all of them are there" 200 '.trajectories == 96 and .segments == 8'
send jsonl "$files/good.jsonl"
is "the server goes on" 201

ok "every answer is as described" check_answers
ok "no blob is left over" same "$(psql -XAtqc 'select count(*) from blobs where not attached' "$PROXACT_DB_URL")" 0
ok "the server was never in trouble" refused grep -E 'level=error|Sanitizer' "$work/server.log"
finish
