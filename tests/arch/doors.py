#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An exported symbol tells its header, and a header its files: read off the objects with nm, and the headers.

A symbol is its folder's prefix and its header's name, in singular or plural: store_job_claim is in lib/store/jobs.h,
px_decoder_feed in lib/read/decode.h. A header of several files shares their first word (plan_parts.h: plan_add in
plan.c), and a folder's own header has its prefix alone (idm.h). The file that defines it has the same first word.

Usage: tests/arch/doors.py [BUILD]      BUILD: a folder of objects; default $PROXACT_BUILD, or build
"""
import os
import pathlib
import re
import subprocess
import sys

ROOMS = ("lib", "server", "worker")
# The prefix of a folder's symbols: the longest path counts.
PREFIXES = {"lib": "px", "lib/flow": "flow", "lib/store": "store", "lib/transfer": "transfer", "lib/redis": "queue",
            "server/http": "http", "server/api": "api", "server/app": "", "worker": "", "worker/env": "px",
            "lib/idm": "idm", "lib/rl": "rl", "worker/sim": "sim", "worker/jobs": "job"}
# Words of the whole tree, shorter than their rule would have them; and what replaces a function of the C library.
EXEMPT = {"main", "recv"}
# Symbols that a row of a table names and declares: their header has no say. Table, row's word, symbol.
TABLES = (("schema/kinds.def", r"^PX_KIND\(\w+, (\w+)", "job_{}"), ("schema/uploads.def", r"^PX_UPLOAD\(\w+, (\w+)", "px_read_{}"),
          ("schema/algos.def", r'^PX_ALGO\("[^"]*", \w+, (\w+)', "{}_algo"), ("worker/env/env_kind.h", r"^ *KIND\((\w+)\)", "px_env_{}"))


def prefix_of(folder):
    while folder not in PREFIXES:
        folder = os.path.dirname(folder)
    return PREFIXES[folder]


def stem(word):
    """Without the ending that makes a plural, a doer or a doing of it."""
    return re.sub(r"(ing|er|al|e)$", "", re.sub(r"s$", "", word)) or word


def declared():
    """symbol -> the header that declares it."""
    found = {}
    for room in ROOMS:
        for path in sorted(pathlib.Path(room).rglob("*.h")):
            text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
            text = re.sub(r"^\s*#(\\\n|.)*$", "", text, flags=re.M)
            for name in re.findall(r"^(?!static|typedef)[A-Za-z_][\w *]*?[ *](\w+)\(", text, flags=re.M):
                found.setdefault(name, str(path))
            for name in re.findall(r"^[A-Z_]+\((\w+)\);", text, flags=re.M):
                found.setdefault(name, str(path))
            for names in re.findall(r"^extern ([^;(]*);", text, flags=re.M):
                for name in re.findall(r"(\w+)(?:\[\w*\])*(?:,|$)", names):
                    found.setdefault(name, str(path))
    return found


def named_by_tables():
    return {symbol.format(word) for path, row, symbol in TABLES for word in re.findall(row, pathlib.Path(path).read_text(), flags=re.M)}


def defined(build):
    """(symbol, source file) of all that objects export."""
    objects = [str(path) for room in ROOMS for path in pathlib.Path(build, room).rglob("*.o")
               if path.relative_to(build).with_suffix(".c").exists()]
    listing = subprocess.run(["nm", "-A", "-g", "--defined-only", *objects], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        path, rest = line.split(":", 1)
        kind, name = rest.split()[-2:]
        if "." not in name and name not in EXEMPT:
            yield name, os.path.relpath(path, build)[:-2] + ".c"


def fault(symbol, header, source):
    """What is wrong, or ""."""
    folder, name = os.path.split(header[:-2])
    prefix, words = prefix_of(folder), name.split("_")
    own = name in (prefix, prefix + "s", os.path.basename(folder))
    said = symbol.lower().split("_")
    if said[0] == prefix and not words[0] == prefix:
        said = said[1:]
    whole = [stem(w) for w in said[:len(words)]] == [stem(w) for w in words]
    shared = stem(said[0]) == stem(words[0]) and any(pathlib.Path(folder).glob(words[0] + "*.c"))
    if not (own and symbol.lower().startswith(prefix) or whole or shared):
        return f"{symbol} is declared in {header}, whose name it does not have"
    if not own and stem(os.path.basename(source)[:-2].split("_")[0]) != stem(words[0]):
        return f"{symbol} is declared in {header}, but defined in {source}"
    return ""


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PROXACT_BUILD", "build")
    os.chdir(pathlib.Path(__file__).resolve().parents[2])
    assert fault("px_arena_new", "lib/base/buf.h", "lib/base/buf.c"), "a symbol in another's header was not noticed"
    assert fault("px_buf_put", "lib/base/buf.h", "lib/base/mem.c"), "a symbol of another file was not noticed"
    assert not fault("store_job_claim", "lib/store/jobs.h", "lib/store/jobs.c")
    headers, rows, faults, n = declared(), named_by_tables(), [], 0
    for symbol, source in sorted(defined(build)):
        if symbol in rows:
            n += 1
        elif symbol in headers:
            n += 1
            faults += filter(None, [fault(symbol, headers[symbol], source)])
        else:
            faults.append(f"{symbol} of {source} is in no header: make it static, or declare it")
    if n < 900:
        faults.append(f"{n} symbols: the test looks in the wrong place")
    for line in faults:
        print(line)
    print(f"{n} exported symbols, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
