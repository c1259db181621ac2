# SPDX-License-Identifier: Apache-2.0
"""A stored image read part by part: what matches, and every way in which it does not."""

from __future__ import annotations

import hashlib
import io
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from memir.evidence.parts import check_parts, read_image
from memir.evidence.records import Part
from memir.evidence.walker import RecordWalker
from memir.image.records import pack_header

DATA = pack_header(0x1000, 0x3000) + bytes(range(256)) * 32
WHOLE = hashlib.sha256(DATA).hexdigest()
CUTS = (0, 100, 5000, len(DATA))
PARTS = tuple(
    Part(number, low, high - low, hashlib.sha256(DATA[low:high]).hexdigest())
    for number, (low, high) in enumerate(itertools.pairwise(CUTS), 1)
)


class Stored:
    """A store of one object in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.opened: list[tuple[str, str]] = []

    @contextmanager
    def open(self, where: str, version: str) -> Iterator[io.BytesIO]:
        self.opened.append((where, version))
        yield io.BytesIO(self.data)

    def facts(self, where: str, version: str) -> Mapping[str, Any]:
        return {}

    def names(self, where: str) -> Iterator[str]:
        yield where.rpartition("/")[2]


def test_parts_that_match() -> None:
    walker, done = RecordWalker(), list[int]()
    assert list(check_parts(io.BytesIO(DATA), PARTS, walker, "image", done.append)) == [("", WHOLE)]
    assert done == list(CUTS[1:])
    assert walker.ranges == [(0x1000, 0x3000)]
    assert list(check_parts(io.BytesIO(b""), (), RecordWalker())) == [("", hashlib.sha256(b"").hexdigest())]


@pytest.mark.parametrize(
    ("data", "parts", "where", "what"),
    [
        (DATA[:-1], PARTS, "image part 3 (bytes 5,000 and on)", "is 1 bytes short"),
        (DATA[:200] + b"x" + DATA[201:], PARTS, "image part 2 (bytes 100 and on)", "has SHA-256"),
        (DATA, (replace(PARTS[0], offset=7), *PARTS[1:]), "image part 1 (bytes 7 and on)", "recorded at 7, not at 0"),
        (DATA, (replace(PARTS[0], size=-5), *PARTS[1:]), "image part 1 (bytes 0 and on)", "has SHA-256"),
        (b"x" * len(DATA), PARTS, "image", "no LiME or AVML record"),
    ],
)
def test_parts_that_do_not(data: bytes, parts: tuple[Part, ...], where: str, what: str) -> None:
    found = list(check_parts(io.BytesIO(data), parts, RecordWalker(), "image"))
    assert found[-1][0] == ""
    assert any(place == where and what in words for place, words in found), found


def test_a_whole_image() -> None:
    def read(data: bytes, size: int = len(DATA), sha256: str = WHOLE) -> list[tuple[str, str]]:
        return list(read_image("s3://b/k", "v1", size, sha256, PARTS, stored := Stored(data), RecordWalker())) + (
            [] if stored.opened == [("s3://b/k", "v1")] else [("opened", "otherwise")]
        )

    assert read(DATA) == []
    assert read(DATA, sha256="") == []
    assert read(DATA + b"x") == [("s3://b/k", f"is longer than the {len(DATA):,} bytes that are recorded")]
    assert read(DATA, 5) == [("s3://b/k", f"has {len(DATA):,} bytes in its parts, recorded are 5")]
    assert read(DATA, sha256="0" * 64) == [("s3://b/k", f"has SHA-256 {WHOLE}, recorded is {'0' * 64}")]
