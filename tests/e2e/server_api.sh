#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The API on a real server, without uploads: who gets in, documents, lists, versions, long polls, and requests that
# two programs could read in two ways.
set -u
[ -n "${PX_TEST_STACK:-}" ] || exec "$(dirname "$0")/../support/stack.sh" "$0" "$@"
# shellcheck source=tests/support/server.sh
. "$(dirname "$0")/../support/server.sh"

ok "migrate prepares an empty database" "$build/proxact-server" migrate
ok "migrate again changes nothing" "$build/proxact-server" migrate
token=$("$build/proxact-server" token create e2e)
ok "a token has its prefix and 256 bits" grep -qE '^pxa_[0-9a-f]{64}$' <<<"$token"
server_start

# --- who gets in
closed() {
  local path method answer bad=0
  while read -r method path; do
    answer=$(curl -sS -o "$work/out" -w '%{http_code}' -X "$method" "$url$path")
    [ "$answer" = 401 ] && jq -e '.code == "unauthorized"' "$work/out" >/dev/null || { echo "$method $path: $answer"; bad=1; }
  done < <(jq -r '.paths | to_entries[] | .key as $p | .value | to_entries[] | select(.value.security != [])
                  | "\(.key | ascii_upcase) \($p | gsub("[{][a-z_]+[}]"; "x"))"' "$root/schema/openapi.yaml")
  return "$bad"
}
ok "every route but the open ones answers 401 without a token" closed
opened() {
  local path
  for path in / /healthz /readyz /version /openapi.json; do curl -fsS -o /dev/null "$url$path" || return 1; done
}
ok "the open routes answer without a token" opened
# What a browser is told of every answer, of good ones and of errors.
guarded() {
  local path
  for path in / /healthz /openapi.json /v1/jobs /nothing; do
    curl -sSi "$url$path" | tr -d '\r' >"$work/guarded"
    grep -qi '^x-content-type-options: nosniff$' "$work/guarded" && grep -qi "^content-security-policy: default-src 'none'" "$work/guarded" || return 1
  done
}
ok "no answer may be sniffed, or load anything" guarded
ok "401 says how to authenticate" grep -qi '^www-authenticate: Bearer' <(curl -sSi "$url/v1/jobs")
ok "a wrong token is refused" same "$(curl -sS -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer pxa_no' "$url/v1/jobs")" 401
ok "a path that is not there is 401 without a token" same "$(curl -sS -o /dev/null -w '%{http_code}' "$url/v1/nothing")" 401
api GET /v1/nothing
is "and 404 with one" 404 '.code == "not_found"'
api PUT /v1/datasets
is "another method is 405" 405
ok "405 names the methods" same "$(header allow)" "POST, GET, HEAD"
api HEAD /v1/datasets -I
is "HEAD answers as GET" 200
api GET /openapi.json
is "the description is served" 200 '.openapi == "3.1.0"'
api GET /readyz
is "ready with Redis" 200 '.redis == "up"'
api GET /metrics
ok "metrics name no ids" refused grep -qE '(ds|job|mdl)_[0-9a-f]{8}' "$work/body"
ok "metrics count requests" grep -q '^proxact_http_requests_total{operation="readyz",class="2xx"}' "$work/body"
api GET /version -H 'X-Request-Id: abc-1'
ok "a request id is taken over" same "$(header x-request-id)" abc-1
api GET /version -H 'X-Request-Id: a b"c'
ok "a strange one is not" grep -qE '^req_[0-9a-f]{16}$' <(header x-request-id)

# --- datasets
api POST /v1/datasets --json '{"name": "one", "obs_dim": 3, "act_dim": 2, "act_low": -2, "act_high": [1, 3]}'
is "a dataset is created" 201 '.act_low == [-2, -2] and .act_high == [1, 3] and .trajectories == 0 and .env == null'
one=$(field .id) etag=$(header etag)
ok "Location names it" same "$(header location)" "/v1/datasets/$one"
api POST /v1/datasets --json '{"name": "one", "obs_dim": 3, "act_dim": 2}'
is "a name can be had once" 409 '.code == "conflict"'
bad_dataset() {
  api POST /v1/datasets --json "$2"
  is "$1" 422 ".code == \"bad_field\" and .errors[0].pointer == \"$3\""
}
for name in ' ' 'a ' '..' 'a/b' 'a\nb' 'a\u202eb' "$one"; do
  bad_dataset "the name '$name' is refused" "{\"name\": \"$name\", \"obs_dim\": 3, \"act_dim\": 2}" /name
done
long=$(printf 'é%.0s' {1..200})
api POST /v1/datasets --json "{\"name\": \"$long\", \"obs_dim\": 3, \"act_dim\": 2}"
is "a name has 200 characters, not bytes" 201 ".name == \"$long\""
api DELETE "/v1/datasets/$(field .id)"
bad_dataset "an unknown field is named" '{"name": "x", "obs_dim": 3, "act_dim": 2, "colour": 1}' /colour
bad_dataset "a missing field is named" '{"name": "x", "obs_dim": 3}' /act_dim
bad_dataset "dims with a fraction are refused" '{"name": "x", "obs_dim": 3.0, "act_dim": 2}' /obs_dim
bad_dataset "dims out of bounds are named" '{"name": "x", "obs_dim": 5000, "act_dim": 2}' /obs_dim
bad_dataset "a bound of another length is named" '{"name": "x", "obs_dim": 3, "act_dim": 2, "act_low": [1]}' /act_low
bad_dataset "low above high is refused" '{"name": "x", "obs_dim": 3, "act_dim": 2, "act_low": 1}' /act_low
bad_dataset "a simulator of other dimensions is refused" '{"name": "x", "obs_dim": 12, "act_dim": 3, "env": "hopper"}' /env
bad_dataset "null is no simulator" '{"name": "x", "obs_dim": 11, "act_dim": 3, "env": null}' /env
bad_dataset "an unknown simulator is refused" '{"name": "x", "obs_dim": 3, "act_dim": 2, "env": "doom"}' /env
api POST /v1/datasets --json '{"name": "classes", "obs_dim": 4, "act_count": 6}'
is "discrete actions are declared by their count" 201 '.act_count == 6 and .act_dim == 1 and .act_low == [0] and .act_high == [5]'
api DELETE "/v1/datasets/$(field .id)"
bad_dataset "one discrete action is too few" '{"name": "x", "obs_dim": 3, "act_count": 1}' /act_count
bad_dataset "discrete actions have one number" '{"name": "x", "obs_dim": 3, "act_count": 2, "act_dim": 2}' /act_dim
bad_dataset "discrete actions have no range of their own" '{"name": "x", "obs_dim": 3, "act_count": 2, "act_high": 1}' /act_high
for name in two three; do api POST /v1/datasets --json "{\"name\": \"$name\", \"obs_dim\": 3, \"act_dim\": 2}"; done
api GET '/v1/datasets?limit=2'
is "lists come in pages" 200 '[.items[].name] == ["one", "three"] and .next == "three"'
api GET '/v1/datasets?limit=2&after=three'
is "and go on at next" 200 '[.items[].name] == ["two"] and .next == null'
api GET '/v1/datasets?limt=2'
is "an unknown query parameter is refused" 422 '.errors[0].pointer == "limt"'
api GET '/v1/datasets?limit=0'
is "a limit out of bounds is refused" 422 '.errors[0].pointer == "limit"'
api GET "/v1/datasets/$one" -H "If-None-Match: $etag"
is "an unchanged document is 304" 304
ok "304 has no body" test ! -s "$work/body"
api GET "/v1/datasets/$one" -H 'If-None-Match: "77", W/"78"'
is "another version is sent" 200
api GET /v1/datasets/two
is "a dataset is found by its name" 200 '.name == "two"'
api DELETE /v1/datasets/two
is "a dataset is deleted" 204
api GET /v1/datasets/two
is "and is gone" 404 '.code == "not_found"'

# --- jobs that are refused before they start
api POST /v1/pipelines --json "{\"dataset\": \"$one\"}"
is "an empty dataset has nothing to learn from" 422 '.code == "no_labels" and .errors[0].pointer == "/dataset"'
api POST /v1/pipelines --json '{"dataset": "ds_00000000000000000000"}'
is "an unknown dataset" 404 '.errors[0].pointer == "/dataset"'
api POST /v1/pipelines --json "{\"dataset\": \"$one\", \"polices\": []}"
is "an unknown field of a pipeline" 422 '.errors[0].pointer == "/polices"'
api POST /v1/jobs --json "{\"kind\": \"train_idm\", \"spec\": {\"dataset\": \"$one\", \"speed\": 9}}"
is "an unknown field of a spec" 422 '.errors[0].pointer == "/spec/speed"'
api POST /v1/jobs --json "{\"kind\": \"train_idm\", \"spec\": {\"dataset\": \"$one\"}, \"prio\": 9}"
is "an unknown field of a job" 422 '.errors[0].pointer == "/prio"'
api POST /v1/jobs --json "{\"kind\": \"train_idm\", \"spec\": {\"dataset\": \"$one\", \"idm\": {\"lr\": 5}}}"
is "a spec out of bounds" 422 '.errors[0].pointer == "/spec/idm/lr"'
api POST /v1/jobs --json '{"kind": "ingest", "spec": {}}'
is "a kind that only the server makes" 422 '.errors[0].pointer == "/kind"'
api POST /v1/jobs --json '{"kind": "evaluate", "spec": {"model": "mdl_00000000000000000000", "env": "hopper"}}'
is "an unknown model" 404 '.errors[0].pointer == "/spec/model"'
api GET /v1/jobs/job_00000000000000000000
is "an unknown job" 404
api GET /v1/jobs/ds_1
is "an id of another kind" 404
for path in label_sets/ls_0 models/mdl_0 models/mdl_0/weights jobs/job_0/events jobs/job_0/metrics jobs/job_0/artifacts/x; do
  api GET "/v1/$path"
  is "unknown: $path" 404
done
for path in label_sets models workers jobs; do
  api GET "/v1/$path"
  is "an empty list: $path" 200 '.items == [] and .next == null'
done

# --- bodies
api POST /v1/datasets -H 'Content-Type: text/plain' -d '{}'
is "a body that is not JSON by its type" 415
api POST /v1/datasets --json '{"name": '
is "broken JSON names line and column" 400 '.detail | test("line 1, column")'
api POST /v1/datasets --json '{"name": "a", "name": "b", "obs_dim": 1, "act_dim": 1}'
is "a name given twice in JSON" 400
api POST /v1/datasets --json '[]'
is "JSON that is no object" 400
printf '{"a":%s%s}' "$(printf '[%.0s' {1..100})" "$(printf ']%.0s' {1..100})" >"$work/deep"
api POST /v1/datasets --json @"$work/deep"
is "JSON that nests too deep" 400 '.detail | test("deeper than 32")'
{ printf '{"name": "'; head -c 1100000 /dev/zero | tr '\0' a; printf '"}'; } >"$work/long"
api POST /v1/datasets --json @"$work/long"
is "JSON that is too long" 413
api POST /v1/datasets --json @"$work/long" -H 'Transfer-Encoding: chunked' -H 'Expect:'
is "JSON that is too long, its length not told" 413
api GET /version -H "X-Long: $(head -c 20000 /dev/zero | tr '\0' a)"
is "headers that are too large" 431 '.code == "headers_too_large"'

# --- requests that libmicrohttpd would take
raw() { # the status of the answer to these bytes
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf '%b' "$1" >&3
  timeout 5 cat <&3 >"$work/raw"
  local rc=$?
  exec 3>&-
  if [ $rc -ne 0 ]; then echo "still open"; else sed -n '1s/^HTTP.1.. \([0-9]*\).*/\1/p' "$work/raw" | tr -d '\r'; fi
}
end='\r\n\r\n'
guarded() { ok "$1: 400, and the connection is closed" same "$(raw "$2")" 400; }
guarded "two Content-Length" "POST /v1/datasets HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 9$end{}"
guarded "Content-Length beside Transfer-Encoding" \
  "POST /v1/datasets HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked${end}2\r\n{}\r\n0$end"
guarded "another Transfer-Encoding" "POST /v1/datasets HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked$end"
guarded "a space before the colon" "GET /version HTTP/1.1\r\nHost: a\r\nX-A : b$end"
guarded "two Hosts" "GET /version HTTP/1.1\r\nHost: a\r\nHost: b$end"
guarded "no Host" "GET /version HTTP/1.1\r\nX-A: b$end"
guarded "a negative Content-Length" "POST /v1/datasets HTTP/1.1\r\nHost: a\r\nContent-Length: -1$end"
guarded "two Authorization" "GET /v1/jobs HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b$end"
guarded "a path without a slash" "GET version HTTP/1.1\r\nHost: a$end"
guarded "a fragment in the path" "GET /version#x HTTP/1.1\r\nHost: a$end"
guarded "a control character in a header" "GET /version HTTP/1.1\r\nHost: a\r\nX-A: b\001c$end"
closing="Connection: close\r\n"
ok "NUL in a path is refused" same "$(raw "GET /v1/jobs/a%%00b HTTP/1.1\r\nHost: a\r\n${closing}Authorization: Bearer $token$end")" 400
ok "a broken escape is refused" same "$(raw "GET /v1/jobs/a%%zz HTTP/1.1\r\nHost: a\r\n${closing}Authorization: Bearer $token$end")" 400
ok "an escaped slash stays in its segment" same "$(raw "GET /v1%%2Fjobs HTTP/1.1\r\nHost: a\r\n${closing}Authorization: Bearer $token$end")" 404
ok "HTTP/1.0 is answered" same "$(raw "GET /version HTTP/1.0$end")" 200
ok "an HTTP/1.1 connection is kept and used again" same \
  "$(curl -sS -o /dev/null -o /dev/null -w '%{num_connects} ' "$url/version" "$url/version")" "1 0 "

# --- long polls, on a job that nothing runs
export_spec="{\"kind\": \"export\", \"spec\": {\"dataset\": \"$one\"}}"
api POST /v1/jobs --json "$export_spec"
is "an empty dataset cannot be exported by a job" 422
/usr/bin/python3 - "$work/t.jsonl" <<'PY'
import json, sys
with open(sys.argv[1], "w") as f:
    for i in range(4):
        f.write(json.dumps({"observations": [[i, t, 0] for t in range(6)], "rewards": [1.0] * 5,
                            "actions": [[0.5, 0.25]] * 5 if i < 2 else None, "terminated": True, "truncated": False}) + "\n")
PY
api POST "/v1/datasets/$one/trajectories" -H 'Content-Type: application/jsonl' --data-binary @"$work/t.jsonl"
is "trajectories arrive" 201 '.trajectories == 4 and .labelled_steps == 10'
api POST '/v1/jobs?dry_run=true' --json "$export_spec"
is "a dry run answers the plan" 200 '.count == 1 and .spec.segments == 1'
api POST /v1/jobs --json "$export_spec"
is "a job is submitted" 202 '.state == "queued" and .kind == "export"'
job=$(field .id) etag=$(header etag)
ok "its Location" same "$(header location)" "/v1/jobs/$job"
api GET "/v1/jobs/$job"
is "an unfinished job" 200
ok "says when to look again" same "$(header retry-after)" 1
began=$(date +%s%N)
api GET "/v1/jobs/$job?wait=1s" -H "If-None-Match: $etag"
is "a long poll without a change is 304" 304
took=$((($(date +%s%N) - began) / 1000000))
ok "after the time asked for ($took ms)" test $took -ge 900
api GET "/v1/jobs/$job?wait=20s" -H 'If-None-Match: "0"'
is "whoever knows an old version is answered at once" 200
api GET "/v1/jobs/$job?wait=5m"
is "a strange wait is refused" 422 '.errors[0].pointer == "wait"'
curl -sS -w '%{http_code} %{time_total}\n' -o "$work/polled" -H "Authorization: Bearer $token" "$url/v1/jobs/$job?wait=30s" >"$work/poll" &
poll=$!
waiting() { curl -sS -H "Authorization: Bearer $token" "$url/metrics" | grep -q '^proxact_http_in_flight 2$'; }
ok "a long poll waits" wait_until 10 waiting
api POST "/v1/jobs/$job:cancel"
is "the job is cancelled" 200 '.state == "cancelled"'
wait $poll
read -r code seconds <"$work/poll"
ok "the long poll answers soon after ($seconds s)" test "$code" = 200 -a "${seconds%.*}" -lt 29
ok "with the new state" jq -e '.state == "cancelled"' "$work/polled"
api POST "/v1/jobs/$job:cancel"
is "what has ended cannot be cancelled" 409
api GET "/v1/jobs/$job/events"
is "its events" 200 '[.items[].to] == ["queued", "cancelled"] or [.items[].to] == ["ready", "cancelled"]'
api POST "/v1/jobs/$job:retry"
is "retry submits a fresh copy" 202 ".id != \"$job\" and .state == \"queued\""
api POST "/v1/jobs/$(field .id):retry"
is "only what has ended" 409
for i in 1 2 3 4 5; do
  api POST /v1/pipelines --json "{\"dataset\": \"$one\", \"baselines\": [\"labelled_only\"]}"
  api POST "/v1/jobs/$(field .id):cancel"
  is "a pipeline is cancelled with all its jobs ($i)" 200 '.state == "cancelled" and all(.children[]; .state == "cancelled")'
done
api POST '/v1/pipelines?dry_run=true' --json "{\"dataset\": \"one\", \"policies\": [\"bc\", {\"algo\": \"td3bc\", \"updates\": 10}], \"seeds\": [1, 2]}"
is "a pipeline's plan, the dataset by its name" 200 '[.jobs[] | select(.kind == "train_policy")] | length == 4'
before='{"dataset": "one", "judge": "assess", "assess": {"updates": 7}, "policies": [{"algo": "cql", "actions": 3}]}'
api POST '/v1/pipelines?dry_run=true' --json "$before"
is "names of before are taken, and told" 200 '([.warnings[] | [.code, .old, .new, .pointer]] | sort) == [["old_name", "actions", "n_action_samples", "/policies/0/actions"],
  ["old_name", "assess", "ope", "/assess"], ["old_name", "assess", "ope", "/evaluation"], ["old_name", "judge", "evaluation", "/judge"]]'
ok "the spec has those of now" jq -e '.spec | .evaluation == "ope" and .ope.updates == 7 and .policies[0].n_action_samples == 3' "$work/body"
api POST /v1/pipelines --json "$before"
is "an answer to a submission tells them too" 202 '.warnings | length == 4'
api GET "/v1/jobs/$(field .id)"
is "its spec has those of now" 200 '.spec.evaluation == "ope" and (.warnings | not) and any(.children[]; .kind == "ope")'
api POST "/v1/jobs/$(field .id):cancel"
api GET '/v1/jobs?kind=assess&limit=1'
is "a kind of before lists its jobs" 200 '.items[0].kind == "ope"'
api POST '/v1/pipelines?dry_run=true' --json '{"dataset": "one", "judge": "none", "evaluation": "none"}'
is "not both names at once" 422 '.errors[0].pointer == "/judge" and (.detail | contains("evaluation"))'
api POST '/v1/jobs?dry_run=true' --json '{"kind": "assess", "spec": {"dataset": "one", "model": "mdl_none"}}'
is "a kind of before is the one of now" 404 '.errors[0].pointer == "/spec/model"'
api POST /v1/pipelines --json "{\"dataset\": \"$one\", \"baselines\": [\"oracle\"]}"
is "an oracle without truth is refused" 422 '.errors[0].pointer == "/baselines"'
coupled='"protocol": "coupled"'
api POST '/v1/pipelines?dry_run=true' --json "{\"dataset\": \"$one\", \"mask\": {$coupled, \"p\": 50, \"q\": 50}}"
is "of two labelled trajectories a mask hides one" 200 '.spec.mask.p == 50'
api POST '/v1/pipelines?dry_run=true' --json "{\"dataset\": \"$one\", \"mask\": {\"p\": 10, \"q\": 50}}"
is "a mask's numbers without a protocol are not ignored" 422 '.errors[0].pointer == "/mask/protocol" and (.hint | contains("coupled"))'
api POST '/v1/pipelines?dry_run=true' --json "{\"dataset\": \"$one\", \"mask\": {$coupled, \"p\": 50, \"q\": 10}}"
is "half of all cannot come from a tenth" 422 '.errors[0].pointer == "/mask/p"'
api POST /v1/datasets --json '{"name": "partly", "obs_dim": 1, "act_dim": 1}'
partly=$(field .id)
steps='"observations": [[0], [1], [2]], "rewards": [1, 1], "terminated": false'
printf '%s\n' "{$steps, \"actions\": [null, [0.5]]}" >"$work/partly.jsonl"
upload_partly() { api POST "/v1/datasets/$partly/trajectories" -H 'Content-Type: application/jsonl' --data-binary @"$work/partly.jsonl"; }
upload_partly
is "a trajectory with one of its actions" 201 '.labelled_steps == 1'
api POST '/v1/pipelines?dry_run=true' --json "{\"dataset\": \"$partly\"}"
is "is enough to learn from" 200
api POST '/v1/pipelines?dry_run=true' --json "{\"dataset\": \"$partly\", \"baselines\": [\"oracle\"]}"
is "and no truth for an oracle" 422 '.errors[0].pointer == "/baselines" and (.detail | contains("0 of 1"))'
api POST '/v1/pipelines?dry_run=true' --json "{\"dataset\": \"$partly\", \"mask\": {$coupled, \"p\": 10, \"q\": 50}}"
is "a mask over a single one hides nothing, which the report tells" 200
api POST '/v1/pipelines?dry_run=true' --json "{\"dataset\": \"$partly\", \"mask\": {$coupled, \"p\": 100, \"q\": 100}}"
is "nor does one that keeps all" 200
upload_partly
api POST '/v1/pipelines?dry_run=true' --json "{\"dataset\": \"$partly\", \"mask\": {$coupled, \"p\": 10, \"q\": 50}, \"baselines\": [\"oracle\"]}"
is "of two partly labelled ones a mask hides one" 200
api GET "/v1/jobs?state=cancelled&kind=pipeline&limit=2"
is "jobs are filtered" 200 '(.items | length) == 2 and .next != null'
api GET "/v1/jobs?state=ready"
is "an unknown state is refused" 422
api DELETE "/v1/datasets/$one"
is "a dataset with unfinished jobs stays" 409

ok "every answer is as described" check_answers
ok "the log has no token" refused grep -q "${token#pxa_}" "$work/server.log"
ok "the server was never in trouble" refused grep -E 'level=error|Sanitizer' "$work/server.log"
finish
