#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Documents can be read and their references hold: short sentences and table cells, links, anchors and paths that exist.

Usage: tests/arch/prose.py [--figures] [TREE]      TREE: a folder with the documents; default: this one
Code blocks are left out of the counts; a code span counts as one word. --figures prints lengths per document.
"""
import glob
import os
import re
import sys

WORDS_MAX = 40        # of a sentence, and of a table's cell
LONG = 25             # what --figures counts as long
DOCUMENTS = ("*.md", "docs/*.md", "tests/README.md", "tests/data/README.md", "deploy/demo/README.md")
# Folders whose mention in a document must exist. build and var are made by make; the rest of a path is looked up.
FOLDERS = "clients|deploy|docs|lib|migrations|schema|server|tests|worker"
PATH = re.compile(rf"(?<![\w./:$~-])(?:{FOLDERS})/[\w./*{{}},-]*[\w*}}/]")
MADE = {"deploy/secrets/api_token"}  # files that a document tells its reader to make; and those of the pages docs/adding-*.md:
MADE_HERE = re.compile(r"^`([^`]+)`:$", re.M)
SHORT_FORMS = re.compile(r"\b(e\.g|i\.e|et al|vs|cf|Fig|No)\. ")


def kind_of(line, before, in_list):
    """What kind of block a line belongs to, given the kind of the line before it."""
    if re.match(r" {4}", line) and before in (None, "code") and not in_list:
        return "code"
    if line.startswith("#"):
        return "heading"
    if line.lstrip().startswith("|"):
        return "row"
    if re.match(r"\s*([-*]|\d+\.) ", line):
        return "item"
    return before if before in ("item", "text") else "text"


def blocks(text):
    """(kind, line number, text) of each paragraph, list item, heading, table row and code block of Markdown."""
    found, before, fence, in_list = [], None, False, False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            fence, before = not fence, None
            continue
        if not line.strip() and not fence:
            before = None
            continue
        kind = "code" if fence else kind_of(line, before, in_list)
        starts = re.match(r"\s*([-*]|\d+\.) ", line) or kind in ("heading", "row")
        if kind == before and not (starts and kind != "code"):
            found[-1][2].append(line)
        else:
            found.append((kind, number, [line]))
        before = kind
        if not line.startswith(" "):
            in_list = kind == "item"
    return [(kind, number, "\n".join(lines)) for kind, number, lines in found]


def plain(text):
    """Text as it is read: no markup, a link as its words, a code span and a formula as one word."""
    text = re.sub(r"<!--.*?-->|<[^>]*>", "", text, flags=re.S)
    text = re.sub(r"(`+)(?:.+?)\1", "code", text, flags=re.S)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = SHORT_FORMS.sub(r"\1 ", text)
    return " ".join(re.sub(r"[*#]", "", re.sub(r"^\s*([-*]|\d+\.) ", "", text)).split())


def words(text):
    return sum(1 for word in text.split() if re.search(r"\w", word))


def sentences(text):
    return [s for s in re.split(r"(?<=[.!?])[)\"”]* +", plain(text)) if words(s)]


def cells(row):
    return [plain(cell) for cell in re.split(r"(?<!\\)\|", row.strip().strip("|")) if not re.fullmatch(r"[\s:-]*", cell)]


def anchors(text):
    """What a document's links may point at: its headings as GitHub names them, and ids given by hand."""
    names, seen = set(re.findall(r'<a id="([^"]+)"', text)), {}
    for kind, _, heading in blocks(text):
        if kind == "heading":
            title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.lstrip("#").strip()).lower()
            slug = re.sub(r"[^\w\- ]", "", title).replace(" ", "-")
            names.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
            seen[slug] = seen.get(slug, 0) + 1
    return names


def braces(path):
    """a/{b,c}.d -> a/b.d, a/c.d"""
    group = re.search(r"\{([^{}]*)\}", path)
    if not group:
        return [path]
    return [p for choice in group[1].split(",") for p in braces(path[:group.start()] + choice + path[group.end():])]


def check_lengths(name, text):
    for kind, line, block in blocks(text):
        parts = sentences(block) if kind in ("text", "item") else cells(block) if kind == "row" else []
        for part in parts:
            if words(part) > WORDS_MAX:
                yield f"{name}:{line}: {words(part)} words in a {'cell' if kind == 'row' else 'sentence'}: {part[:90]}..."


def check_links(root, name, text, documents):
    prose = "\n".join(block for kind, _, block in blocks(text) if kind != "code")
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", prose)):
        path, _, anchor = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        there = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
        if not os.path.exists(os.path.join(root, there)):
            yield f"{name}: the link {target} leads nowhere"
        elif anchor and there.endswith(".md"):
            other = documents.get(there) or open(os.path.join(root, there), encoding="utf-8").read()
            if anchor not in anchors(other):
                yield f"{name}: {there} has no heading #{anchor}"


def check_paths(root, name, text):
    made = MADE | set(MADE_HERE.findall(text) if name.startswith("docs/adding-") else ())
    text = re.sub(r"https?://\S+|\]\([^)]*\)", "", text)
    for path in {p for match in PATH.findall(text) for p in braces(match.rstrip(".,"))}:
        if path not in made and not glob.glob(os.path.join(root, path)):
            yield f"{name}: {path} is not in the tree"


def figures(documents):
    print(f"{'document':32}{'sentences':>10}{'longest':>9}{'over ' + str(LONG):>9}{'cells':>7}{'longest':>9}")
    total = []
    for name, text in documents.items():
        found = blocks(text)
        lengths = [words(s) for kind, _, b in found if kind in ("text", "item") for s in sentences(b)]
        widths = [words(c) for kind, _, b in found if kind == "row" for c in cells(b)]
        total.append((name, lengths, widths))
    total.append(("all", [n for _, ls, _ in total for n in ls], [n for _, _, ws in total for n in ws]))
    for name, lengths, widths in total:
        share = 100 * sum(n > LONG for n in lengths) / max(len(lengths), 1)
        print(f"{name:32}{len(lengths):10}{max(lengths, default=0):9}{share:8.1f}%{len(widths):7}{max(widths, default=0):9}")


def main(arguments):
    given = [a for a in arguments if not a.startswith("--")]
    root = given[0] if given else os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    names = sorted(os.path.relpath(path, root) for pattern in DOCUMENTS for path in glob.glob(os.path.join(root, pattern)))
    documents = {name: open(os.path.join(root, name), encoding="utf-8").read() for name in names}
    if "--figures" in arguments:
        figures(documents)
        return 0
    found = [f for name, text in documents.items() for check in
             (check_lengths(name, text), check_links(root, name, text, documents), check_paths(root, name, text)) for f in check]
    print("\n".join(found), end="\n" if found else "")
    return bool(found) or not documents


sys.exit(main(sys.argv[1:]))
