# SPDX-License-Identifier: Apache-2.0
"""A collector's stream taken apart by a reader of its own."""

from __future__ import annotations

import hashlib
import json
from typing import Any

MAGIC = b"memir-collect 1\n"


def items(data: bytes) -> tuple[dict[str, tuple[bytes, dict[str, Any]]], dict[str, Any]]:
    """(content and trailer of each file, the last line); hashes are compared."""
    assert data.startswith(MAGIC)
    place = len(MAGIC)
    files: dict[str, tuple[bytes, dict[str, Any]]] = {}

    def line() -> dict[str, Any]:
        nonlocal place
        end = data.index(b"\n", place)
        value: dict[str, Any] = json.loads(data[place:end])
        place = end + 1
        return value

    while "end" not in (head := line()):
        content = b""
        while size := int.from_bytes(data[place : place + 4], "big"):
            content += data[place + 4 : place + 4 + size]
            place += 4 + size
        place += 4
        trailer = line()
        assert trailer["sha256"] == hashlib.sha256(content).hexdigest()
        files[head["name"]] = content, trailer
    assert place == len(data)
    assert head["end"] == len(files)
    return files, head
