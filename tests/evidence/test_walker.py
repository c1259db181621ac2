# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import random
import struct

import cramjam
import pytest

from memir.errors import ImageFormatError
from memir.evidence.walker import RecordWalker
from memir.image.records import pack_header
from tests.fuzz import cases

CASES = cases(300)
RANGES = [(0x1000, 0x5000), (0x100000, 0x123000), (0x200000, 0x201000)]


def lime(ranges: list[tuple[int, int]]) -> bytes:
    rng = random.Random(1)
    return b"".join(pack_header(start, end) + rng.randbytes(end - start) for start, end in ranges)


def raw_header(magic: int, version: int, start: int, last: int, padding: int) -> bytes:
    return struct.pack("<IIQQQ", magic, version, start, last, padding)


def avml(ranges: list[tuple[int, int]], seed: int = 1) -> bytes:
    rng = random.Random(seed)
    out = b""
    for start, end in ranges:
        plain = b"".join(rng.choice([rng.randbytes(4096), bytes(4096)]) for _ in range((end - start) // 4096))
        packed = bytes(cramjam.snappy.compress(plain))
        out += pack_header(start, end, compressed=True) + packed + struct.pack("<Q", len(packed))
    return out


@pytest.mark.parametrize(("data", "version"), [(lime(RANGES), 1), (avml(RANGES), 2)], ids=["lime", "avml"])
@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 20])
def test_ranges_whatever_the_pieces(data: bytes, version: int, step: int) -> None:
    walker = RecordWalker()
    for at in range(0, len(data), step):
        walker.feed(data[at : at + step])
    walker.finish()
    assert (walker.ranges, walker.version, walker.offset) == (RANGES, version, len(data))


@pytest.mark.parametrize("data", [lime(RANGES), avml(RANGES)], ids=["lime", "avml"])
def test_a_cut_anywhere_but_on_an_edge_is_seen(data: bytes) -> None:
    edges = {0}
    for count in range(1, 4):
        edges.add(len(lime(RANGES[:count])) if data[:4] == b"EMiL" else len(avml(RANGES[:count])))
    step = 1 if os.environ.get("CI") else 13
    for cut in sorted({*range(0, len(data) + 1, step), *edges}):
        walker = RecordWalker()
        walker.feed(data[:cut])
        assert bool(walker.torn) == (cut not in edges), cut


def test_an_empty_stream_is_no_image() -> None:
    with pytest.raises(ImageFormatError, match="no record"):
        RecordWalker().finish()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"A" * 32, "at byte 0: no LiME or AVML record"),
        (raw_header(0x4C694D45, 2, 0, 1, 0), "version 2"),
        (raw_header(0x4C694D45, 1, 5, 4, 0), "absurd"),
        (raw_header(0x4C694D45, 1, 0, 1, 9), "last 8 bytes are not zero"),
        (raw_header(0x4C694D45, 1, 0, 0, 0) + b"x" + raw_header(0x4C4D5641, 2, 0, 1, 0), "format changes"),
        (raw_header(0x4C4D5641, 2, 0, 4095, 0) + bytes(10), "no snappy stream"),
    ],
)
def test_what_neither_format_allows(data: bytes, words: str) -> None:
    with pytest.raises(ImageFormatError, match=words):
        RecordWalker().feed(data)


def test_a_wrong_length_after_the_data() -> None:
    data = bytearray(avml(RANGES[:1]))
    data[-8] ^= 1
    with pytest.raises(ImageFormatError, match="length says"):
        RecordWalker().feed(bytes(data))


def test_hostile_streams_raise_only_the_named_error() -> None:
    rng = random.Random(3)
    sources = [lime(RANGES[:1]), avml(RANGES[:1])]
    for _ in range(CASES):
        data = bytearray(rng.choice(sources))
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(min(len(data), 200))] = rng.randrange(256)
        walker = RecordWalker()
        try:
            walker.feed(bytes(data))
        except ImageFormatError as error:
            assert "byte" in str(error)
        assert len(walker._held) <= 64


@pytest.mark.parametrize("data", [lime(RANGES), avml(RANGES)], ids=["lime", "avml"])
@pytest.mark.parametrize("step", [11, 5000, 1 << 20])
def test_the_ram_can_be_looked_at_on_the_way(data: bytes, step: int) -> None:
    seen = bytearray()

    def look(piece: bytes) -> bool:
        seen.extend(piece)
        return False

    walker = RecordWalker(look)
    for at in range(0, len(data), step):
        walker.feed(data[at : at + step])
    walker.finish()
    assert walker.ranges == RANGES
    assert len(seen) == sum(end - start for start, end in RANGES)
    if data[:4] == b"EMiL":
        assert bytes(seen[: RANGES[0][1] - RANGES[0][0]]) == data[32 : 32 + RANGES[0][1] - RANGES[0][0]]


def test_looking_stops_when_it_has_found(tmp_path: object) -> None:
    calls: list[int] = []

    def look(piece: bytes) -> bool:
        calls.append(len(piece))
        return True

    walker = RecordWalker(look)
    walker.feed(avml(RANGES))
    assert len(calls) == 1
    assert walker.ranges == RANGES
