#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# deploy/demo.sh from a checkout that others cannot enter, with a smaller pipeline: its report, and that nothing is left.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
chmod 700 "$work"
export PROXACT_VAR="$work/a b/var"
cleanup() { "$root/deploy/down.sh" --destroy; rm -rf "$work"; }
trap cleanup EXIT
mkdir "$work/a b"
export PIPELINE='{"idm": {"steps": 60, "members": 1, "hidden": 32, "validate_every": 30}, "episodes": 2, "seeds": [0],
  "labeller": "idm", "policies": [{"algo": "td3bc", "updates": 100, "hidden": 32}]}'
fail() { echo "FAIL $*"; cat "$work/out"; tail -n 20 "$PROXACT_VAR"/log/*.log; exit 1; }
PROXACT_FIRST_PORT=$((20000 + $$ % 10000)) "$root/deploy/demo.sh" >"$work/out" 2>&1 || fail "the demo runs"
jq -e '.dataset and .wall_s >= 0 and (.label | has("mse") and has("r2") and has("yardsticks"))
  and .dataset.trajectories == 88
  and ([.policies.ss, .policies.labelled_only, .policies.oracle]
    | all(has("return_mean") and has("return_ci95") and has("normalized") and .episodes == 2))' \
  "$PROXACT_VAR/demo/report.json" >>"$work/out" || fail "the report has every field"
for stage in train_idm label train_policy evaluate report; do
  grep -qE "^  $stage +done" "$work/out" || fail "stage $stage is shown"
done
grep -q 'within 1.96 action_std' "$work/out" || fail "the labels' coverage is told"
jq -e '.warnings | map(.code) | index("no_interval") and index("outside_labelled_returns")' "$PROXACT_VAR/demo/report.json" \
  >>"$work/out" || fail "what is doubtful is in the report"
grep -q '^  no_interval: ' "$work/out" || fail "and told"
grep -q 'all true actions' "$work/out" || fail "the table is shown"
for file in server worker-1 worker-2 postgres redis; do
  [ ! -e "$PROXACT_VAR/$file.pid" ] || fail "$file is stopped"
done
[ ! -e "$PROXACT_VAR/env" ] || fail "var/env is gone with the server"
"$root/deploy/stack.sh" status >/dev/null && fail "the stack is stopped"
exit 0
