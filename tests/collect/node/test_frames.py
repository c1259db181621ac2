# SPDX-License-Identifier: Apache-2.0
"""The stream as it is written, byte by byte."""

from __future__ import annotations

import hashlib
import io
import json

from memir.collect.node.frames import MAGIC, PIECE, Frames, component, line


def test_a_stream_byte_by_byte() -> None:
    out = io.BytesIO()
    frames = Frames(out)
    frames.file("node/a b", b"abc")
    item = frames.item("node/a_b")
    item.write(bytes(PIECE + 1))
    item.facts = {"x": 1}
    item.close("cut")
    for _ in range(3):
        frames.gap("file", "/x", "gone")
    frames.end({"processes": 2})
    data = out.getvalue()
    digest = hashlib.sha256(b"abc").hexdigest()
    first = (
        MAGIC + b'{"name":"node/a_b"}\n' + b"\0\0\0\3abc" + b"\0\0\0\0"
        + b'{"size":3,"sha256":"%s","error":"","facts":{}}\n' % digest.encode()
    )  # fmt: skip
    assert data.startswith(first)
    rest = data[len(first) :]
    assert rest.startswith(b'{"name":"node/a_b~2"}\n\0\x10\0\0')
    assert rest.count(b"\0\0\0\1\0\0\0\0\0") == 1
    trailer, end = (json.loads(row[row.index(b"{") :]) for row in rest.splitlines()[-2:])
    assert (trailer["size"], trailer["error"], trailer["facts"]) == (PIECE + 1, "cut", {"x": 1})
    gap = {"kind": "file", "where": "/x", "why": "gone", "count": 3, "missing": False}
    assert end == {"end": 2, "gaps": [gap], "facts": {"processes": 2}}


def test_copy_of_an_open_file() -> None:
    """All of it, or up to a bound; what could be read before an error stays."""
    item = Frames(io.BytesIO()).item("log")
    assert (item.copy(io.BytesIO(b"x" * (PIECE + 5)), 4 * PIECE), item.size) == ("", PIECE + 5)
    item = Frames(io.BytesIO()).item("log")
    assert (item.copy(io.BytesIO(bytes(3 * PIECE)), PIECE), item.size) == (f"cut after {PIECE} bytes", PIECE)

    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise OSError(5, "Input/output error")
            return super().read(size)

    item = Frames(io.BytesIO()).item("log")
    assert (item.copy(Broken(bytes(2 * PIECE)), 4 * PIECE), item.size) == ("Input/output error", PIECE)


def test_names_that_any_file_system_takes() -> None:
    assert [component(name) for name in ("config.json", ".hidden", "../x", "a b\n", "")] == [
        "config.json", "_hidden", "_._x", "a_b_", "_",
    ]  # fmt: skip
    assert line({"path": "\udcff"}) == b'{"path":"\\udcff"}\n'
