#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes those parts of schema/openapi.yaml anew that are tables in lib/flow and schema.

Usage: schema/openapi_specs.py TEST_OPENAPI
TEST_OPENAPI is the test that compares both; it prints `POINTER should be:` and JSON for what differs.
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


def find(text, pointer):
    """Begin, end and indent of the value at a JSON pointer; None where its last member is missing."""
    decoder, at = json.JSONDecoder(), text.index("{")
    for name in (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]):
        member = re.compile(r'[\s,{]*(?=["}])')
        is_list, number = text[at] == "[", 0
        at += 1
        while True:
            at = (re.compile(r"[\s,]*") if is_list else member).match(text, at).end()
            if text[at] in "}]":
                return None
            if is_list:
                key, number = str(number), number + 1
            else:
                key, at = decoder.raw_decode(text, at)
                at = re.compile(r"\s*:\s*").match(text, at).end()
            if key == name:
                break
            at = decoder.raw_decode(text, at)[1]
    line = text[text.rindex("\n", 0, at) + 1:at]
    return at, decoder.raw_decode(text, at)[1], len(line) - len(line.lstrip())


def put(text, pointer, value):
    """Replaces the value at a JSON pointer, or adds it as the first one of the schemas."""
    found = find(text, pointer)
    if not found:
        name = pointer.rsplit("/", 1)[1]
        return text.replace('    "schemas": {\n', f'    "schemas": {{\n      "{name}": {show(value, 6)},\n', 1)
    begin, end, indent = found
    return text[:begin] + show(value, indent) + text[end:]


def main():
    out = subprocess.run([sys.argv[1]], capture_output=True, text=True).stdout
    with open(PATH, encoding="utf-8") as file:
        text = file.read()
    for found in re.finditer(r"^  (/\S+) should be:\n", out, re.M):
        value, _ = json.JSONDecoder().raw_decode(out, found.end())
        text = put(text, found.group(1), value)
        print(f"{PATH}: {found.group(1)}")
    json.loads(text)
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(text)


main()
