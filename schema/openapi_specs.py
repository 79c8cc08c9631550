#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the job specs of schema/openapi.yaml anew from the tables in lib/flow.

Usage: schema/openapi_specs.py TEST_OPENAPI
TEST_OPENAPI is the test that compares both; it prints `NAME should be:` and JSON for what differs.
"""
import json
import re
import subprocess
import sys

PATH, WIDTH = "schema/openapi.yaml", 118


def show(value, indent):
    """JSON in the file's style: whatever fits stays on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if len(line) + indent <= WIDTH or not isinstance(value, (dict, list)):
        return line
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        body = [f"{pad}{json.dumps(k)}: {show(v, indent + 2)}" for k, v in value.items()]
        return "{\n" + ",\n".join(body) + "\n" + " " * indent + "}"
    return "[\n" + ",\n".join(pad + show(v, indent + 2) for v in value) + "\n" + " " * indent + "]"


def put(text, name, value):
    """Replaces the schema `name`, or adds it as the first one."""
    entry = f'      "{name}": {show(value, 6)}'
    found = re.search(rf'^      "{name}": ', text, re.M)
    if not found:
        return text.replace('    "schemas": {\n', f'    "schemas": {{\n{entry},\n', 1)
    _, end = json.JSONDecoder().raw_decode(text, found.end())
    return text[: found.start()] + entry + text[end:]


def main():
    out = subprocess.run([sys.argv[1]], capture_output=True, text=True).stdout
    with open(PATH, encoding="utf-8") as file:
        text = file.read()
    for found in re.finditer(r"^  (\w+) should be:\n", out, re.M):
        value, _ = json.JSONDecoder().raw_decode(out, found.end())
        text = put(text, found.group(1), value)
        print(f"{PATH}: {found.group(1)}")
    json.loads(text)
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(text)


main()
