#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX's own checker over the models of a folder, with shape inference, and what docs/policies.md promises of them.

Usage: tests/onnx/check.py DIR LEAST     (LEAST: how many models there are at least)
"""
import glob
import os
import sys

import onnx

names = sorted(glob.glob(os.path.join(sys.argv[1], "*.onnx")))
assert len(names) >= int(sys.argv[2]), f"{len(names)} models"
for name in names:
    model = onnx.load(name)
    onnx.checker.check_model(model, full_check=True)
    assert [(s.domain, s.version) for s in model.opset_import] == [("", 17)], name
    props = {p.key: p.value for p in model.metadata_props}
    assert props["format"].startswith("proxact"), name
    assert model.graph.output[0].name == "actions" and "observations" in [i.name for i in model.graph.input], name
    for door in [*model.graph.input, *model.graph.output]:
        assert door.type.tensor_type.shape.dim[0].dim_param == "batch" and door.doc_string, f"{name}: {door.name}"
    print(f"{os.path.basename(name)}: {len(model.graph.node)} nodes, {os.path.getsize(name)} bytes")
