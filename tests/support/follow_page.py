#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Follows a page of docs/adding-*.md in a copy of the tree, and prints its commands.

Usage: tests/support/follow_page.py PAGE COPY
A line before a code block says what becomes of it:
  `FILE`:                         the block is this new file
  In `FILE`, before `TEXT`:       it goes before the first line that has TEXT
  In `FILE`, after `TEXT`:        it goes after the first line that has TEXT
Blocks of sh are the commands. A page that touches more than five places of the tree is refused; a description that
`make openapi` writes is one of them.
"""
import os
import re
import sys

PLACES_MAX = 5
HEAD = re.compile(r"(?:In `([^`]+)`, (before|after) `([^`]+)`|`([^`]+)`):")


def steps(text):
    """(head, language, block) of each code block; head: the last line of text before it."""
    lines, head, at = text.split("\n"), "", 0
    while at < len(lines):
        if lines[at].startswith("```"):
            end = lines.index("```", at + 1)
            yield head, lines[at][3:], "".join(line + "\n" for line in lines[at + 1:end])
            at = end
        elif lines[at].strip():
            head = lines[at]
        at += 1


def insert(path, where, text, block):
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines(keepends=True)
    at = next((i for i, line in enumerate(lines) if text in line), None)
    if at is None:
        sys.exit(f"{path} has no line with '{text}'")
    if where == "after":
        # the rest of a line that goes on stays behind the block
        begin = lines[at].index(text) + len(text)
        lines[at:at + 1] = [lines[at][:begin].rstrip() + "\n", block, lines[at][begin:]] if lines[at][begin:].strip() else [lines[at], block]
    else:
        lines.insert(at, block)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(lines)


def main(page, copy):
    with open(page, encoding="utf-8") as file:
        found = list(steps(file.read()))
    commands, places = "", set()
    for head, language, block in found:
        match = HEAD.fullmatch(head)
        if language == "sh":
            commands += block
        elif not match:
            sys.exit(f"{page}: a block says not where it goes: '{head}'")
        elif match[4]:
            places.add(match[4])
            path = os.path.join(copy, match[4])
            if os.path.exists(path):
                sys.exit(f"{page}: {match[4]} is there already")
            with open(path, "w", encoding="utf-8") as file:
                file.write(block)
        else:
            places.add(match[1])
            insert(os.path.join(copy, match[1]), match[2], match[3], block)
    if "openapi" in commands:
        places.add("schema/openapi.yaml")
    print(f"{os.path.basename(page)}: {len(places)} places: {', '.join(sorted(places))}", file=sys.stderr)
    if len(places) > PLACES_MAX or not commands:
        sys.exit(f"{page}: {len(places)} places, of {PLACES_MAX} at most; {'no ' if not commands else ''}commands")
    print(commands, end="")


main(*sys.argv[1:])
