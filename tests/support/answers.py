# SPDX-License-Identifier: Apache-2.0
"""Checks answers recorded by tests/support/server.sh against the API's description.

Usage: answers.py OPENAPI FOLDER   FOLDER holds N.request (method, path, status), N.head and N.body
"""
import json
import pathlib
import re
import sys

import jsonschema


def find_operation(document, method, path):
    best = None
    for template, item in document["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower().replace("head", "get") in item:
            if best is None or template.count("{") < best[0].count("{") or ":" in template.split("/")[-1]:
                best = template, item[method.lower().replace("head", "get")]
    return best and best[1]


def check(document, request, head, body):
    method, path, status = request.split("\n")[:3]
    operation = find_operation(document, method, path)
    if operation is None or not status.isdigit():
        return None  # paths that are not there, and connections that were cut, are the tests' own matter
    if int(status) >= 400:
        media, schema = "application/problem+json", {"$ref": "#/components/schemas/Problem"}
    else:
        described = operation["responses"].get(status)
        if described is None:
            return f"{method} {path}: {status} is not described"
        if "content" not in described:
            return f"{method} {path}: {status} has a body" if body else None
        found = re.findall(r"(?im)^content-type: ([^;\n]+)", head)
        media = found[-1].strip() if found else None
        if media not in described["content"] and "*/*" not in described["content"]:
            return f"{method} {path}: {media} is not described"
        schema = described["content"].get(media, {}).get("schema", {})
    if not media.endswith("json") or method == "HEAD":
        return None
    whole = dict(schema, components=document["components"])
    validator = jsonschema.Draft202012Validator(whole)
    for error in validator.iter_errors(json.loads(body)):
        return f"{method} {path} {status}: {'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"
    return None


def main():
    document = json.loads(pathlib.Path(sys.argv[1]).read_text())
    wrong, n = [], 0
    for request in sorted(pathlib.Path(sys.argv[2]).glob("*.request")):
        base = request.with_suffix("")
        finding = check(document, request.read_text(), base.with_suffix(".head").read_text(),
                        base.with_suffix(".body").read_bytes() if base.with_suffix(".body").exists() else b"")
        n += 1
        if finding:
            wrong.append(finding)
    print("\n".join(wrong) or f"{n} answers are as described")
    return 1 if wrong or not n else 0


sys.exit(main())
