#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists of words live once, in schema/*.def: no program repeats one, and what people look a word up in has them all.

Usage: tests/arch/lists.py [ROOT]
"""
import os
import pathlib
import re
import sys

# Table, its row's word; and the documents that name every word.
LISTS = {"schema/kinds.def": (r"^PX_KIND\w*\(\w+, (\w+)", ()), "schema/envs.def": (r"^PX_ENV\((\w+)", ("README.md", "worker/env/env.h")),
         "schema/uploads.def": (r"^PX_UPLOAD\(\w+, (\w+)", ("docs/uploads.md",)),
         "schema/exports.def": (r"^PX_EXPORT\(\w+, (\w+)", ("lib/write/write.h",)),
         "schema/lint.def": (r'^PX_LINT\(\w+, "(\w+)"', ("docs/lint.md", "schema/openapi.yaml")),
         "schema/algos.def": (r'^PX_ALGO\("([^"]+)"', ("README.md", "docs/policies.md"))}
PROGRAMS = ("lib/**/*.[ch]", "server/**/*.[ch]", "worker/**/*.[ch]", "clients/**/*.[ch]", "clients/**/*.py", "deploy/*.sh",
            "schema/queries/*.sql")
# So many words of one list, side by side, repeat it. Kinds have groups of a few: those that label, say.
NEAR, NEAR_KINDS = 3, 6
# Numbers of each word, which are not the list: the environments' own, and the nets of an algorithm.
OF_EACH = {"worker/env/env_mujoco.c", "lib/flow/estimate.c"}


def words_of(table, row):
    found = re.findall(row, pathlib.Path(table).read_text(), flags=re.M)
    assert len(found) > 2, f"{table} has {len(found)} rows: the test looks in the wrong place"
    return found


def repeated(text, words, near=NEAR):
    """The first place where `near` words of a list stand side by side, between quotes, commas, bars and the like."""
    word = "(?:" + "|".join(map(re.escape, sorted(words, key=len, reverse=True))) + ")"
    return re.search(rf"(?<![\w%])(?:[.]?{word}(?:[\"'`,|./ \\\n]+|\"?, *\"?| or | and )){{{near - 1}}}[.]?{word}(?!\w)", text)


def main():
    os.chdir(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2])
    faults = []
    assert repeated('"one", "two", "three"', ["one", "two", "three"]) and repeated("one|two|three", ["three", "two", "one"])
    assert repeated(".one, .two or .three", ["one", "two", "three"]) and not repeated("one, two, four", ["one", "two", "three"])
    files = sorted({path for pattern in PROGRAMS for path in pathlib.Path().glob(pattern)})
    for table, (row, documents) in LISTS.items():
        words = words_of(table, row)
        for path in files:
            if str(path) in OF_EACH:
                continue
            text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), path.read_text(), flags=re.S)
            found = repeated(text, words, NEAR_KINDS if "kinds" in table else NEAR)
            if found:
                faults.append(f"{path}:{text.count(chr(10), 0, found.start()) + 1}: repeats {table}: {' '.join(found[0].split())}")
        for document in documents:
            text = pathlib.Path(document).read_text()
            faults += [f"{document}: {word} of {table} is not in it" for word in words
                       if not re.search(rf"(?<![\w%]){re.escape(word)}(?!\w)", text)]
    for line in faults:
        print(line)
    return 1 if faults else 0


sys.exit(main())
