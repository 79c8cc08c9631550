#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Uploads in parts (tus 1.0.0) on a real server, with curl: the protocol, cut lines, a server killed in the middle, two
# writers at one place, expiry. tus_client.sh does it with a client that others wrote.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"

files=$work/files
mkdir "$files"
/usr/bin/python3 "$root/tests/support/make_uploads.py" "$files" || exit 1
"$build/proxact-server" migrate >"$work/out" || exit 1
token=$("$build/proxact-server" token create e2e)
server_start --idle-s=20
sql() { psql -XAtqc "$1" "$PROXACT_DB_URL"; }
b64() { printf '%s' "$1" | base64 -w0; }
octets='Content-Type: application/offset+octet-stream'
tus() { api "$@" -H 'Tus-Resumable: 1.0.0'; }
# create LENGTH [curl's options]: $up
create() {
  local length=$1
  shift
  tus POST /v1/uploads -H "Upload-Length: $length" -H "Upload-Metadata: dataset $(b64 d),filename $(b64 good.jsonl)" "$@"
  up=$(header location)
}
# part OFFSET FILE [curl's options]
part() {
  local offset=$1 file=$2
  shift 2
  tus PATCH "$up" -H "$octets" -H "Upload-Offset: $offset" --data-binary @"$file" "$@"
}
offset_is() {
  tus HEAD "$up" -I
  same "$status $(header upload-offset)" "200 $1"
}
api POST /v1/datasets --json '{"name": "d", "obs_dim": 3, "act_dim": 2}'
file=$files/good.jsonl
size=$(stat -c %s "$file")
head -c 100 "$file" >"$work/p1"
tail -c +101 "$file" | head -c 200 >"$work/p2"
tail -c +301 "$file" >"$work/p3"

# --- what it speaks
api OPTIONS /v1/uploads -H 'Authorization:'
is "discovery needs no token" 204
ok "version, extensions, algorithms" same "$(header tus-version) $(header tus-extension) $(header tus-checksum-algorithm) $(header tus-max-size)" \
  "1.0.0 creation,creation-with-upload,checksum,termination,expiration sha1,sha256 10737418240"

# --- creation
create "$size"
is "an upload is created" 201
ok "its Location" grep -qE '^/v1/uploads/up_[0-9a-f]{20}$' <<<"$up"
ok "Tus-Resumable is in the answer" same "$(header tus-resumable)" 1.0.0
expires() { [ "$(date -d "$(header upload-expires)" +%s)" -gt $(($(date +%s) + 86000)) ]; }
ok "it says when it expires" expires
ok "nothing has arrived" offset_is 0
ok "HEAD tells length and metadata, and is not to be stored" same \
  "$(header upload-length) $(header upload-metadata) $(header cache-control) $(header tus-resumable)" \
  "$size dataset $(b64 d),filename $(b64 good.jsonl) no-store 1.0.0"
api GET "$up"
is "GET tells it as a document" 200 ".state == \"receiving\" and .received_bytes == 0 and .size_bytes == $size and .format == \"jsonl\""
refuse() { # NAME STATUS CODE [curl's options]
  local name=$1 expected=$2 code=$3
  shift 3
  api POST /v1/uploads "$@"
  is "$name" "$expected" ".code == \"$code\""
  ok "$name: Tus-Resumable is in the answer" same "$(header tus-resumable)" 1.0.0
}
good=(-H 'Tus-Resumable: 1.0.0' -H "Upload-Metadata: dataset $(b64 d),filename $(b64 a.jsonl)")
refuse "without a version" 412 precondition_failed -H 'Upload-Length: 5'
ok "412 names the version" same "$(header tus-version)" 1.0.0
refuse "with another version" 412 precondition_failed -H 'Tus-Resumable: 0.2.2' -H 'Upload-Length: 5'
refuse "without a length" 400 bad_request "${good[@]}"
refuse "with a length that is none" 400 bad_request "${good[@]}" -H 'Upload-Length: 5x'
refuse "with a negative length" 400 bad_request "${good[@]}" -H 'Upload-Length: -5'
refuse "an empty file" 400 bad_request "${good[@]}" -H 'Upload-Length: 0'
refuse "a file that is too long" 413 too_large "${good[@]}" -H 'Upload-Length: 10737418241'
refuse "a length to be told later" 400 bad_request "${good[@]}" -H 'Upload-Defer-Length: 1'
refuse "a part of a parallel upload" 400 bad_request "${good[@]}" -H 'Upload-Length: 5' -H 'Upload-Concat: partial'
meta() { refuse "$1" "$2" "$3" -H 'Tus-Resumable: 1.0.0' -H 'Upload-Length: 5' -H "Upload-Metadata: $4"; }
meta "metadata that is no base64" 400 bad_request "dataset d"
meta "a key twice" 400 bad_request "dataset $(b64 d),dataset $(b64 d)"
meta "no dataset" 422 bad_field "filename $(b64 a.npz)"
meta "an unknown dataset" 404 not_found "dataset $(b64 x),filename $(b64 a.npz)"
meta "no format" 415 unsupported_media "dataset $(b64 d)"
meta "an unknown media type" 415 unsupported_media "dataset $(b64 d),filetype $(b64 video/mp4)"
meta "a flag that is none" 422 bad_field "dataset $(b64 d),format $(b64 npz),ignore_actions $(b64 perhaps)"
meta "an unknown word for duplicates" 422 bad_field "dataset $(b64 d),format $(b64 npz),on_duplicate $(b64 perhaps)"
meta "keys for a file without groups" 422 bad_field "dataset $(b64 d),format $(b64 npz),obs_keys $(b64 position)"
meta "long metadata" 413 too_large "dataset $(b64 d),filename $(b64 "$(head -c 4000 /dev/zero | tr '\0' a)")"

# --- parts
part 0 "$work/p1"
is "the first part" 204
ok "moves the offset" same "$(header upload-offset)" 100
part 0 "$work/p1"
is "the same part again is refused" 409 '.code == "conflict" and (.detail | test("offset 100"))'
ok "and changes nothing" offset_is 100
part 99 "$work/p2"
is "a part that begins too early" 409
part 101 "$work/p2"
is "a part that begins too late" 409
tus PATCH "$up" -H "$octets" --data-binary @"$work/p2"
is "a part without an offset" 400
tus PATCH "$up" -H 'Upload-Offset: 100' -H 'Content-Type: text/plain' --data-binary @"$work/p2"
is "a part of another type" 415
api PATCH "$up" -H "$octets" -H 'Upload-Offset: 100' --data-binary @"$work/p2"
is "a part without a version" 412
cat "$work/p2" "$work/p3" "$work/p1" >"$work/long"
part 100 "$work/long"
is "more than was announced" 413
part 100 "$work/long" -H 'Transfer-Encoding: chunked'
is "more than was announced, its length not told" 413
ok "nothing of them is there" offset_is 100
api POST "$up" -H 'Tus-Resumable: 1.0.0' -H 'X-HTTP-Method-Override: PATCH' -H "$octets" -H 'Upload-Offset: 100' \
  --data-binary @"$work/p2" 
is "a part by POST for those who cannot PATCH" 204
ok "nothing is in the dataset yet" same "$(sql "select trajectories_n from datasets") $(sql "select count(*) from jobs")" "0 0"
part 300 "$work/p3" -H 'Transfer-Encoding: chunked'
is "the last part" 204
job=$(header proxact-job)
ok "makes the ingest job" same "$(sql "select id || ' ' || kind || ' ' || (spec->>'upload') from jobs")" "$job ingest ${up##*/}"
ok "the stored bytes are the file's" same "$(sql "select encode(sha256(string_agg(bytes, ''::bytea order by no)), 'hex') from blob_chunks")" \
  "$(sha256sum "$file" | cut -d' ' -f1)"
api GET "$up"
is "the document names it" 200 ".state == \"received\" and .job_id == \"$job\" and .received_bytes == $size"
ok "HEAD tells that all is there" offset_is "$size"
part "$size" /dev/null
is "an empty part at the end changes nothing" 204
ok "there is one job" same "$(sql 'select count(*) from jobs')" 1
tus DELETE "$up"
is "it cannot be dropped while the job needs it" 409
"$build/proxact-worker" --poll-ms=200 >"$work/worker.log" 2>&1 &
worker=$!
has_trajectories() { [ "$(sql 'select trajectories_n from datasets')" = "$1" ]; }
ok "a worker reads it" wait_until 30 has_trajectories 12
api GET "/v1/jobs/$job?wait=10s"
is "and the job has succeeded" 200 '.state == "succeeded" and .result.trajectories == 12'
ok "HEAD still tells that all is there" offset_is "$size"

# --- what is there already
create_again() { # WORD
  tus POST /v1/uploads -H "Upload-Length: $size" -H "Upload-Metadata: dataset $(b64 d),filename $(b64 again.jsonl),on_duplicate $(b64 "$1")" \
    -H "$octets" --data-binary @"$file"
}
create_again refuse
is "the file again, to be refused if it is there" 201
job=$(header proxact-job)
over() { api GET "/v1/jobs/$job?wait=10s"; [ "$(field .finished_at)" != null ]; }
wait_until 120 over
is "its job fails" 200 '.state == "failed" and .reason == "conflict" and (.error.detail | test("again.jsonl: trajectory 0 is in the dataset already"))'
create_again skip
is "the file again, to be left out" 201
job=$(header proxact-job)
wait_until 120 over
is "its job tells so" 200 '.state == "succeeded" and .result.trajectories == 0 and .result.duplicates == 12'
ok "nothing came of these" has_trajectories 12

# --- with the first part, with one that is everything, with a key
create "$size" -H "$octets" --data-binary @"$work/p1"
is "creation with the first part" 201
ok "which is there" same "$(header upload-offset)" 100
tus DELETE "$up"
is "it is dropped" 204
tus HEAD "$up" -I
is "and gone" 404
part 100 "$work/p2"
is "for writers too" 404
create "$size" -H "$octets" --data-binary @"$file" -H 'Idempotency-Key: whole'
is "creation with everything" 201
job=$(header proxact-job) first=$up
create "$size" -H "$octets" --data-binary @"$file" -H 'Idempotency-Key: whole'
is "its repeat" 201
ok "is the same upload, and the same job" same "$up $(header proxact-job) $(header idempotent-replayed)" "$first $job true"
create "$((size + 1))" -H "$octets" --data-binary @"$file" -H 'Idempotency-Key: whole'
is "with another length it is another request" 422
create "$size" -H 'Content-Type: application/jsonl' --data-binary @"$file"
is "creation with a body of another type" 415
ok "it is read once" wait_until 30 has_trajectories 24

# --- checksums
sum() { printf '%s %s' "$1" "$(openssl dgst -"$1" -binary "$2" | base64)"; }
create "$size"
part 0 "$work/p1" -H "Upload-Checksum: $(sum sha1 "$work/p2")"
is "sha1 of other bytes" 460 '.code == "checksum_mismatch"'
ok "they are not stored" offset_is 0
part 0 "$work/p1" -H "Upload-Checksum: $(sum sha1 "$work/p1")"
is "sha1" 204
part 100 "$work/p2" -H "Upload-Checksum: $(sum sha256 "$work/p2")" -H 'Transfer-Encoding: chunked'
is "sha256" 204
for wrong in "md5 $(b64 1234567890123456)" "sha1" "sha1 $(b64 short)" "sha256 nonsense" "sha1 $(openssl dgst -sha256 -binary "$work/p3" | base64)"; do
  part 300 "$work/p3" -H "Upload-Checksum: $wrong"
  is "a checksum that is none: ${wrong:0:12}" 400
done
part 300 "$work/p3" -H "Upload-Checksum: $(sum sha256 "$work/p3")"
is "the last part, checked" 204
ok "it is read" wait_until 30 has_trajectories 36
printf '{"observations": [[0,0]], "rewards": []}\n' >"$work/bad"
create "$(stat -c %s "$work/bad")" -H "$octets" --data-binary @"$work/bad"
is "a file that is broken" 201
job=$(header proxact-job)
api GET "/v1/jobs/$job?wait=10s"
ended() { api GET "/v1/jobs/$job"; [ "$(field .state)" = failed ]; }
ok "its job fails" wait_until 20 ended
is "and names the place" 200 '.error.pointer | test("trajectory")'
tus DELETE "$up"
is "then it can be dropped" 204
kill -TERM $worker
wait $worker

# --- a large file: cut lines, a killed server
/usr/bin/python3 - "$work/large" <<'PY'
import os, random, sys
random.seed(1)
with open(sys.argv[1], "wb") as f:
    for _ in range(40):
        f.write(random.randbytes(1 << 20))
    f.write(b"end")
PY
large=$(stat -c %s "$work/large")
received() { sql "select received_bytes from uploads where id = '${up##*/}'"; }
received_more() { [ "$(received)" -gt "$1" ]; }
# slow_part RATE: sends what is missing on a slow line, in the background
slow_part() {
  local at
  at=$(received)
  tail -c +$((at + 1)) "$work/large" | curl -sS -o /dev/null -X PATCH --limit-rate "$1" -T - -H "Authorization: Bearer $token" \
    -H 'Tus-Resumable: 1.0.0' -H "$octets" -H 'Expect:' -H "Upload-Offset: $at" "$url$up" 2>/dev/null &
  slow=$!
}
create "$large"
slow_part 3M
ok "a long part is stored while it comes" wait_until 20 received_more $((1 << 20))
kill -9 $slow; wait $slow 2>/dev/null
at=$(received)
slow_part 3M
ok "after a cut it goes on from there" wait_until 20 received_more "$at"
server_kill
wait $slow 2>/dev/null
at=$(received)
server_start --idle-s=20
ok "after the server was killed, what was acknowledged is there" offset_is "$at"
slow_part 30M
ok "it goes on" wait_until 20 received_more "$at"
wait $slow
ok "to the end" offset_is "$large"
ok "the stored bytes are the file's" same \
  "$(sql "select encode(sha256(string_agg(bytes, ''::bytea order by no)), 'hex') from blob_chunks c join uploads u using (blob_id) where u.id = '${up##*/}'")" \
  "$(sha256sum "$work/large" | cut -d' ' -f1)"
ok "no more bytes than the file has" same "$(sql "select sum(length(bytes)) from blob_chunks c join uploads u using (blob_id) where u.id = '${up##*/}'")" "$large"
ok "one job was made" same "$(sql "select count(*) from jobs where spec->>'upload' = '${up##*/}'")" 1
slow_line() { # a line so slow that a cut would cost everything, were only whole steps stored
  create "$large"
  head -c 3000000 "$work/large" | curl -sS -o /dev/null -X PATCH --limit-rate 400K -T - -H "Authorization: Bearer $token" \
    -H 'Tus-Resumable: 1.0.0' -H "$octets" -H 'Expect:' -H 'Upload-Offset: 0' "$url$up" 2>/dev/null &
  slow=$!
  wait_until 20 received_more 0
}
ok "on a slow line, too, it is stored while it comes" slow_line
kill -9 $slow; wait $slow 2>/dev/null
tus DELETE "$up"

# --- two writers at one place: one is taken
two_writers() {
  local i codes pids=()
  create "$large"
  for i in 1 2; do
    curl -sS -o /dev/null -w '%{http_code}\n' -X PATCH --data-binary @"$work/large" -H "Authorization: Bearer $token" \
      -H 'Tus-Resumable: 1.0.0' -H "$octets" -H 'Upload-Offset: 0' "$url$up" >"$work/writer.$i" &
    pids+=($!)
  done
  wait "${pids[@]}"
  codes=$(sort "$work"/writer.* | tr '\n' ' ')
  [ "$codes" = "204 409 " ] || { echo "$codes"; return 1; }
  [ "$(sql "select encode(sha256(string_agg(bytes, ''::bytea order by no)), 'hex') from blob_chunks c join uploads u using (blob_id) where u.id = '${up##*/}'")" = \
    "$(sha256sum "$work/large" | cut -d' ' -f1)" ]
}
ok "of two writers at one place one is taken, and the file is whole" two_writers

# --- expiry
create "$size" -H "$octets" --data-binary @"$work/p1"
sql "update uploads set expires_at = clock_timestamp() where id = '${up##*/}'"
tus HEAD "$up" -I
is "an upload that has expired is gone" 404
part 100 "$work/p2"
is "and takes no more" 404

ok "every answer is as described" check_answers
ok "nothing is left in the spool folder" same "$(ls -A "$work/spool")" ""
ok "the server was never in trouble" refused grep -E 'level=error|Sanitizer' "$work/server.log"
finish
