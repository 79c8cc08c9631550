#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No circle of files: what a .c file calls is defined in files that do not need it, read off the objects with nm.

Usage: tests/arch/circles.py [BUILD]      BUILD: a folder of objects; default $PROXACT_BUILD, or build
"""
import os
import subprocess
import sys
from collections import defaultdict

# Defined here, so that they stand before the C library's: who calls them means the C library's.
INTERPOSED = {"recv"}
ROOMS = ("lib", "server", "worker", "clients")


def symbols(build):
    """(file, kind, name) of every symbol of the objects; a file is named as its source, without suffix."""
    objects = [os.path.join(folder, name) for room in ROOMS for folder, _, names in os.walk(os.path.join(build, room))
               for name in names if name.endswith(".o") and os.path.exists(os.path.join(os.path.relpath(folder, build), name[:-1] + "c"))]
    assert len(objects) > 100, f"{len(objects)} objects in {build}: the test looks in the wrong place"
    listing = subprocess.run(["nm", "-A", *objects], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        path, rest = line.split(":", 1)
        *_, kind, name = rest.split()
        yield os.path.relpath(path, build)[:-2], kind, name


def needs(found):
    """file -> {file it calls: names}"""
    home, wanted, graph = {}, defaultdict(set), defaultdict(lambda: defaultdict(set))
    for file, kind, name in found:
        if kind in "TDBRVWi":
            home.setdefault(name, file)
        elif kind == "U":
            wanted[file].add(name)
    for file, names in wanted.items():
        for name in names - INTERPOSED:
            if home.get(name, file) != file:
                graph[file][home[name]].add(name)
    return graph


def circles(graph):
    """Tarjan's strongly connected components of more than one file."""
    index, low, stack, found = {}, {}, [], []

    def visit(file):
        index[file] = low[file] = len(index)
        stack.append(file)
        for other in list(graph[file]):
            if other not in index:
                visit(other)
            if other in stack:
                low[file] = min(low[file], low[other])
        if low[file] == index[file]:
            at = stack.index(file)
            if len(stack) - at > 1:
                found.append(stack[at:])
            del stack[at:]

    for file in list(graph):
        if file not in index:
            visit(file)
    return found


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    build = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PROXACT_BUILD", "build")
    graph = needs(symbols(build))
    # The test tests itself: a circle that is put in must be found.
    a, b = next((file, other) for file in graph for other in graph[file])
    probe = defaultdict(dict, {file: dict(others) for file, others in graph.items()})
    probe[b] = {**probe[b], a: {"probe"}}
    assert circles(probe), "a circle put in was not found"
    found = circles(graph)
    for circle in found:
        print("a circle of files:")
        for file in circle:
            for other in circle:
                if graph[file].get(other):
                    print(f"  {file} calls {other}: {', '.join(sorted(graph[file][other])[:6])}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
