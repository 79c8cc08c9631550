# SPDX-License-Identifier: Apache-2.0
"""Files of tensors: github.com/huggingface/safetensors, "Format"."""

from __future__ import annotations

import json
import math
import os
import struct
from typing import Any, Dict, List, Mapping, Tuple, Union

import numpy as np

from .errors import ProxactError

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}


def read_safetensors(source: Union[str, "os.PathLike[str]", bytes]) -> Tuple[Dict[str, Any], Dict[str, str]]:
    """The arrays by name, and the file's metadata.

    source: a path, or the file's bytes. Raises ProxactError if it is no such file; bfloat16 is not read.
    """
    if isinstance(source, bytes):
        raw = source
    else:
        with open(source, "rb") as file:
            raw = file.read()
    try:
        (header_n,) = struct.unpack_from("<Q", raw)
        if header_n > len(raw) - 8:
            raise ValueError("the header is longer than the file")
        header = json.loads(raw[8 : 8 + header_n])
        meta = header.pop("__metadata__", {})
        body = memoryview(raw)[8 + header_n :]
        return {name: _array(body, entry) for name, entry in header.items()}, meta
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as why:
        raise ProxactError(f"this is not a safetensors file: {why}", "Was it cut off? Download it again.") from why


def write_safetensors(arrays: Mapping[str, Any]) -> bytes:
    """The bytes of a file with these arrays, as float32."""
    header: Dict[str, Any] = {}
    parts: List[bytes] = []
    at = 0
    for name, value in arrays.items():
        array = np.asarray(value, "<f4")
        parts.append(array.tobytes())
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(parts)


def _array(body: memoryview, entry: Dict[str, Any]) -> Any:
    begin, end = entry["data_offsets"]
    dtype = np.dtype(_DTYPES[entry["dtype"]])
    if not 0 <= begin <= end <= len(body) or end - begin != dtype.itemsize * math.prod(entry["shape"]):
        raise ValueError("a tensor's offsets and its shape differ")
    return np.frombuffer(body[begin:end], dtype).reshape(entry["shape"])
