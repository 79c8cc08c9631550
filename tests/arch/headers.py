#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone, and all of a folder's compile together, in either order.

Usage: tests/arch/headers.py      CC: the compiler, gcc if not given
"""
import os
import pathlib
import shlex
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = "libmicrohttpd libpq hiredis jansson libcurl hdf5 libzip libzstd snappy zlib libcrypto libseccomp libprotobuf-c"


def compiler():
    build = os.environ.get("PROXACT_BUILD", str(ROOT / "build"))
    flags = subprocess.run(["pkg-config", "--cflags", *PACKAGES.split()], capture_output=True, text=True, check=True).stdout
    return [*shlex.split(os.environ.get("CC", "gcc")), "-std=c11", "-D_GNU_SOURCE", '-DPX_VERSION="0"', "-fsyntax-only", "-Wall",
            "-Wextra", "-Werror", "-Wno-psabi", "-I.", f"-I{build}/gen", *flags.split(), "-x", "c", "-"]


def fault(command, headers):
    """What the compiler says of a file that includes these headers; "" if it is content."""
    text = "".join(f'#include "{h}"\n' for h in headers)
    return subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT).stderr


def main():
    folders = defaultdict(list)
    for room in ("lib", "server", "worker", "clients", "tests/support", "tests/fault/lib"):
        for path in sorted((ROOT / room).rglob("*.h")):
            folders[path.parent].append(str(path.relative_to(ROOT)))
    sets = [[h] for headers in folders.values() for h in headers]
    sets += [order for headers in folders.values() for order in (headers, headers[::-1])]
    if len(sets) < 150:
        print(f"{len(sets)} headers and folders: the test looks in the wrong place")
        return 1
    command = compiler()
    assert fault(command, ["tests/arch/no_such.h"]), "a header that is missing was not noticed"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = [(headers, said) for headers, said in zip(sets, pool.map(lambda s: fault(command, s), sets)) if said]
    for headers, said in faults:
        print(f"{' and '.join(headers[:2])}{' ...' if len(headers) > 2 else ''}:\n{said}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
