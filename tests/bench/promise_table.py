#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tables of a study of proxy labels, from the rows of bench_promise.c: python3 promise_table.py FILE.csv [MASKS]

For each algorithm, q and data set: D4RL-normalised returns of the known actions alone, of true and proxy actions (IDM,
simulator) with the labels that a pipeline would choose, and of all true actions. mean ± half the 95% interval (Student's
t) over all policies of all masks, or of those named, such as "0,1". "chosen" counts what the labels became per mask: all, confident or true_only.
"""
import csv
import math
import sys
from collections import Counter, defaultdict

T95 = [0, 12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18]


def mean(values):
    return sum(values) / len(values) if values else float("nan")


def shown(values):
    if not values:
        return "-"
    if len(values) < 3:
        return f"{mean(values):.1f}"
    m, n = mean(values), len(values)
    sd = math.sqrt(sum((v - m) ** 2 for v in values) / (n - 1))
    return f"{m:.1f} ± {T95[min(n - 1, len(T95) - 1)] * sd / math.sqrt(n):.1f}"


def choose(cell, candidates):
    """The labels with the highest mean selection return of one mask, as a pipeline chooses."""
    present = [c for c in candidates if cell.get(c)]
    return max(present, key=lambda c: mean([float(r["selection"]) for r in cell[c]])) if present else None


def main(path, only=None):
    cells = defaultdict(lambda: defaultdict(list))  # (algo, options, q, dataset) -> mask, (source, labels) -> rows
    oracles = defaultdict(list)
    for row in csv.DictReader(open(path, encoding="utf-8")):
        if row["source"] == "oracle":
            oracles[row["algo"], row["options"], row["dataset"]].append(float(row["final"]))
        elif not only or row["mask"] in only.split(","):
            key = row["algo"], row["options"], row["q"], row["dataset"]
            cells[key][row["mask"], row["source"], row["labels"]].append(row)
    last = None
    for key in sorted(cells):
        algo, options, q, dataset = key
        if (algo, options, q) != last:
            last = algo, options, q
            print(f"\n{algo} {options} q {q}\n| dataset | labelled only | ss, IDM | chosen | ss, simulator | chosen | "
                  "all true | IDM all | simulator all |\n|---|---|---|---|---|---|---|---|---|")
        masks = sorted({m for m, _, _ in cells[key]})
        final = defaultdict(list)
        chosen = defaultdict(Counter)
        for mask in masks:
            cell = {(s, l): rows for (m, s, l), rows in cells[key].items() if m == mask}
            for name, candidates in (("idm", [("idm", "all"), ("idm", "confident"), ("labelled_only", "all")]),
                                     ("simulator", [("simulator", "all"), ("labelled_only", "all")])):
                if not cell.get((name, "all")):
                    continue
                best = choose(cell, candidates)
                final[name] += [float(r["final"]) for r in cell[best]]
                chosen[name]["true_only" if best[0] == "labelled_only" else best[1]] += 1
                final[name + " all"] += [float(r["final"]) for r in cell[name, "all"]]
            final["labelled_only"] += [float(r["final"]) for r in cell.get(("labelled_only", "all"), [])]
        counts = {n: " ".join(f"{k} {v}" for k, v in c.items()) for n, c in chosen.items()}
        print(f"| {dataset} | {shown(final['labelled_only'])} | {shown(final['idm'])} | {counts.get('idm', '')} | "
              f"{shown(final['simulator'])} | {counts.get('simulator', '')} | {shown(oracles[algo, options, dataset])} | "
              f"{shown(final['idm all'])} | {shown(final['simulator all'])} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
