#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Least privilege: server and worker run as roles that own nothing, do all their work, and cannot do more.
set -u
# shellcheck source=tests/support/service.sh
. "$(dirname "$0")/../support/service.sh"
service_start 1
cd "$work" || exit 1
api() { curl -sS --fail-with-body -H "Authorization: Bearer $PROXACT_TOKEN" "$@"; }
owner=$("$root/deploy/stack.sh" psql-url)
as() { psql -XAtqc "$2" "${owner/proxact@/$1@}"; }
denied() { ! as "$1" "$2" 2>denied && grep -qE 'permission denied|must be owner' denied || { cat denied; return 1; }; }

expect "server and worker are their roles" same "$(as proxact "select string_agg(distinct usename, ' ' order by usename) from pg_stat_activity
  where datname = 'proxact' and usename like 'proxact\_%'")" "proxact_server proxact_worker"

# Work of each kind: an upload in one piece and in parts, labels, a policy, an assessment, a report, an export by a job.
expect "a dataset" api -o dataset.json --json '{"name": "roles", "obs_dim": 11, "act_dim": 3, "env": "hopper"}' "$PROXACT_URL/v1/datasets"
expect "an upload" api -o upload.json -X POST -H 'Content-Type: application/x-hdf5' -T "$demo_data" "$PROXACT_URL/v1/datasets/roles/trajectories"
expect "an upload in parts" "$proxact" upload roles "$demo_data"
expect "a pipeline" api -o pipeline.json -H 'Idempotency-Key: once' --json '{"dataset": "roles", "mask": {"protocol": "coupled", "p": 50, "q": 100},
  "idm": {"profile": "fast", "members": 1, "steps": 30}, "policies": [{"algo": "bc", "updates": 50}], "episodes": 1, "evaluation": "both",
  "ope": {"updates": 20}}' "$PROXACT_URL/v1/pipelines"
state_of() { api "$PROXACT_URL/v1/jobs/$1?wait=10s" | jq -r .state; }
ended() {
  local i
  for ((i = 0; i < 60; i++)); do case $(state_of "$1") in succeeded) return 0 ;; failed | cancelled) break ;; esac; done
  api "$PROXACT_URL/v1/jobs/$1"
  return 1
}
expect "succeeds" ended "$(jq -r .id pipeline.json)"
dataset=$(jq -r .id dataset.json)
expect "an export by a job" api -o export.json --json "{\"kind\": \"export\", \"spec\": {\"dataset\": \"$dataset\", \"format\": \"npz\"}}" "$PROXACT_URL/v1/jobs"
expect "succeeds too" ended "$(jq -r .id export.json)"
expect "the dataset is deleted" api -X DELETE "$PROXACT_URL/v1/datasets/roles"
no_refusal() { ! grep -h 'permission denied' "$PROXACT_VAR"/log/server.log "$PROXACT_VAR"/log/worker-*.log; }
expect "nothing was refused" no_refusal

# What neither may do: change a rule, switch it off, rewrite what was applied, or choose another life of the database.
for role in proxact_server proxact_worker; do
  expect "$role cannot switch a rule off" denied $role 'alter table jobs disable trigger all'
  expect "$role cannot drop one" denied $role 'drop trigger jobs_check_transition on jobs'
  expect "$role cannot replace one" denied $role "create or replace function jobs_check_transition() returns trigger language plpgsql as 'begin return new; end'"
  expect "$role cannot make tables" denied $role 'create table more (n int)'
  expect "$role cannot empty one" denied $role 'truncate jobs cascade'
  expect "$role cannot write to applied migrations" denied $role 'delete from schema_migrations'
  expect "nor to applied functions" denied $role "update schema_functions set sha256 = 'x'"
  expect "$role cannot begin another incarnation" denied $role "select incarnation_begin('mine')"
  expect "$role cannot skip the triggers of a session" denied $role 'set session_replication_role = replica'
done
expect "a worker cannot read tokens" denied proxact_worker 'select * from api_tokens'
expect "nor make one" denied proxact_worker "insert into api_tokens (name, sha256) values ('x', sha256('x'))"
expect "nor read kept answers" denied proxact_worker 'select body from idempotency_keys'
expect "nor delete a dataset" denied proxact_worker 'delete from datasets'
expect "nor its segments" denied proxact_worker 'delete from segments'
expect "the server cannot remove a token" denied proxact_server 'delete from api_tokens'

# The containers' way: an empty database that the migrating role owns, and passwords.
expect "another database" as proxact 'create database second'
second=${owner/\/proxact\?/\/second?}
expect "gets its roles" psql -XAtq -v ON_ERROR_STOP=1 -f "$root/deploy/roles.sql" "$second"
own() { PROXACT_DB_URL=${second/proxact@/proxact_migrate@} "${proxact}-server" "$@"; }
expect "a role that is no superuser migrates" own migrate
expect "and again" own migrate
# Functions are replaced by the role that made them, and keep their owner, grants and rights.
in_second() { psql -XAtqc "$1" "${second/proxact@/proxact_migrate@}"; }
rights() { in_second "select proname, proowner::regrole, prosecdef, proconfig, proacl from pg_proc where pronamespace = 'public'::regnamespace order by 1"; }
rights >before
expect "incarnation_settle() runs with its owner's rights" grep -q '^incarnation_settle|proxact_migrate|t|{"search_path=public, pg_temp"}|' before
expect "all functions are the migrating role's" same "$(cut -d'|' -f2 before | sort -u)" proxact_migrate
in_second "update schema_functions set sha256 = 'x' where name = 'incarnations'"
expect "a function that differs is replaced" grep -q ' 1 file of functions changed' <(own migrate)
expect "with the rights it had" same "$(rights)" "$(cat before)"
expect "the one-time power stays the owner's" grep -q "^incarnation_begin|proxact_migrate|f||{proxact_migrate=X/proxact_migrate}" before
expect "begins another incarnation" own restored
expect "makes a token" own token create first
answers_as() { psql -XAtqc 'select place from incarnation_settle()' "${second/proxact@/$1@}"; }
expect "a server may ask which life it is" answers_as proxact_server
expect "and so may a worker" answers_as proxact_worker
printf 'proxact_migrate 0a\nproxact_server 0b\nproxact_worker 0c\n' >passwords
give_passwords() { PGHOST=${owner##*host=} POSTGRES_USER=proxact POSTGRES_DB=second "$root/deploy/role-passwords.sh" passwords; }
expect "the roles get passwords" give_passwords
expect "all three" same "$(as proxact "select count(*) from pg_authid where rolname like 'proxact\_%' and rolpassword like 'SCRAM-SHA-256%'")" 3
finish
