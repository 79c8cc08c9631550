#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demo's pipeline (deploy/demo.sh) with several network seeds, once with labels of the IDM and once of the simulator.
# Usage: tests/bench/bench_demo.sh      (make bench-demo)
#   SEEDS  JSON list, default [0, 1, 2, 3]
# Prints a row for each seed: returns of labelled only, proxies by the IDM and by the simulator (with the labels that the
# pipeline chose), all true actions; and for how many seeds labelled only < proxies <= all true actions holds. Returns of
# 20 episodes; "<=" allows for the two 95% intervals over episodes to overlap.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d) || exit 1
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT
for labeller in idm simulator; do
  PIPELINE="{\"labeller\": \"$labeller\", \"seeds\": ${SEEDS:-[0, 1, 2, 3]}}" PROXACT_VAR=$work/$labeller "$root/deploy/demo.sh" \
    >"$work/$labeller.log" || { cat "$work/$labeller.log"; exit 1; }
  cp "$work/$labeller/demo/report.json" "$work/$labeller.json"
done
jq -rs '
  def at($report; $variant; $seed): [$report.runs[] | select(.variant == $variant and .seed == $seed)][0];
  def shown: "\(.return_mean | round) [\(.return_ci95[0] | round), \(.return_ci95[1] | round)]";
  .[0] as $idm | .[1] as $sim | [$idm.runs[].seed] | unique as $seeds
  | "| seed | labelled only | ss, IDM labels | ss, simulator labels | all true actions |", "|---|---|---|---|---|",
    ($seeds[] | . as $s | "| \(.) | \(at($idm; "labelled_only"; $s) | shown) | \(at($idm; "ss"; $s) | shown) | " +
      "\(at($sim; "ss"; $s) | shown) | \(at($sim; "oracle"; $s) | shown) |"),
    (({IDM: $idm, simulator: $sim} | to_entries[]) as {key: $name, value: $r}
      | [$seeds[] | select(at($r; "labelled_only"; .).return_mean < at($r; "ss"; .).return_mean
          and at($r; "ss"; .).return_ci95[0] <= at($r; "oracle"; .).return_ci95[1])] as $held
      | "\($name): the order holds for \($held | length) of \($seeds | length) seeds; labels \($r.policies.ss.labels.chosen), " +
        "mse \($r.label.mse)")' "$work/idm.json" "$work/simulator.json"
