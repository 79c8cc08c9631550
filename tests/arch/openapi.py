#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""schema/openapi.yaml keeps to OpenAPI 3.1: its meta-schema, whole references, one name per operation, true schemas."""
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError as missing:
    print(f"SKIP openapi: {missing.name} is missing; deploy/install-deps.sh test installs it")
    sys.exit(0)

ROOT = pathlib.Path(__file__).resolve().parents[2]


def walk(node, place=""):
    yield place, node
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        yield from walk(child, f"{place}/{key}")


def resolves(document, ref):
    node = document
    for part in ref.removeprefix("#/").split("/"):
        node = node.get(part) if isinstance(node, dict) else None
    return node is not None


def findings(document, meta):
    found = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}"
             for e in jsonschema.Draft202012Validator(meta).iter_errors(document)]
    used = set()
    for place, node in walk(document):
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            used.add(node["$ref"])
            if not resolves(document, node["$ref"]):
                found.append(f"{place}: {node['$ref']} is not there")
    for name, schema in document["components"]["schemas"].items():
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as wrong:
            found.append(f"{name}: {wrong.message}")
        if f"#/components/schemas/{name}" not in used:
            found.append(f"{name}: nothing refers to it")
    names = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    found += [f"{name}: names two operations" for name in set(names) if names.count(name) > 1]
    return found


def main():
    document = json.loads((ROOT / "schema/openapi.yaml").read_text())
    meta = json.loads((ROOT / "tests/arch/openapi-3.1.json").read_text())
    wrong = findings(document, meta)
    # The check itself: a broken document must be found out.
    broken = json.loads(json.dumps(document))
    broken["paths"]["/healthz"]["get"]["responses"]["200"] = {"content": {}}
    broken["paths"]["/version"]["get"]["operationId"] = "healthz"
    del broken["components"]["schemas"]["State"]
    if len(findings(broken, meta)) < 3:
        wrong.append("this test does not see a broken document")
    print("\n".join(wrong))
    return 1 if wrong else 0


sys.exit(main())
