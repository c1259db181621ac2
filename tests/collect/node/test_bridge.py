# SPDX-License-Identifier: Apache-2.0
"""The far end of the terminal: lines in, one command, lines out."""

from __future__ import annotations

import base64
import io
import json
import zlib

import pytest

from memir.collect.node.bridge import PIECE, line, lines_of, receive, serve


def test_lines() -> None:
    head, number, kind, checksum, packed = line(7, "o", b"data\n").split()
    assert (head, number, kind) == (b"M", b"7", b"o")
    assert zlib.decompress(base64.b64decode(packed)) == b"data\n"
    assert int(checksum, 16) == zlib.crc32(b"7 o" + packed)
    data = bytes(range(256)) * 300
    rows = lines_of(data)
    assert len(rows) == len(data) // PIECE + 2
    assert receive(io.BytesIO(b"".join(rows) + b"more")) == data


def test_lines_that_are_not_as_they_were_sent() -> None:
    rows = lines_of(b"data")
    for wrong in (b"", rows[1], rows[0].replace(b"M 0 i", b"M 0 o"), rows[0][:-2] + b"\n", b"a b c d e\n"):
        with pytest.raises(ValueError, match="line 0 of the input"):
            receive(io.BytesIO(wrong))


def test_a_command() -> None:
    out = io.BytesIO()
    serve(io.BytesIO(b"".join(lines_of(b"cat; echo wrong >&2; exit 3\n" + bytes(100_000)))), out)
    rows = [row.split() for row in out.getvalue().splitlines()]
    assert [row[1] for row in rows] == [b"%d" % number for number in range(len(rows))]
    by = {b"o": b"", b"e": b"", b"x": b""}
    for row in rows:
        by[row[2]] += zlib.decompress(base64.b64decode(row[4]))
    assert (by[b"o"], by[b"e"]) == (bytes(100_000), b"wrong\n")
    end = json.loads(by[b"x"])
    assert (end["code"], end["size"]) == (3, 100_000)


def test_a_command_that_reads_nothing() -> None:
    out = io.BytesIO()
    serve(io.BytesIO(b"".join(lines_of(b"exec true\n" + bytes(1 << 20)))), out)
    assert out.getvalue().split()[2] == b"x"
