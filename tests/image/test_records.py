# SPDX-License-Identifier: Apache-2.0
"""The record header of LiME and AVML, byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memir.errors import ImageFormatError
from memir.image.records import AVML_MAGIC, HEADER_SIZE, LIME_MAGIC, Header, Record, pack_header, unpack_header

LIMIT = 1 << 52
AVML_FILE = Path(__file__).parent / "data" / "avml-0.21.avml"


def test_the_bytes() -> None:
    assert HEADER_SIZE == 32
    assert pack_header(0x1000, 0x9FC00) == b"EMiL\1\0\0\0" + struct.pack("<QQQ", 0x1000, 0x9FBFF, 0)
    assert pack_header(0x1000, 0x9FC00, compressed=True) == b"AVML\2\0\0\0" + struct.pack("<QQQ", 0x1000, 0x9FBFF, 0)
    assert unpack_header(pack_header(0, 1), LIMIT) == Header(0, 1, compressed=False)


def test_a_file_of_the_real_avml() -> None:
    data = AVML_FILE.read_bytes()
    header = unpack_header(data[:HEADER_SIZE], LIMIT)
    assert header.compressed
    assert header.end > header.start
    record = Record(header.start, header.end - header.start, HEADER_SIZE, header.compressed)
    assert data[record.offset :][:10] == b"\xff\x06\0\0sNaPpY"


@given(st.integers(0, LIMIT - 2), st.integers(1, LIMIT), st.booleans())
def test_there_and_back(start: int, size: int, compressed: bool) -> None:
    end = min(start + size, LIMIT - 1)
    data = pack_header(start, end, compressed=compressed)
    assert unpack_header(data, LIMIT) == (start, end, compressed)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ((0, 1, 0, 9, 0), "no LiME or AVML record: magic 0x00000000, version 1"),
        ((LIME_MAGIC, 2, 0, 9, 0), "magic 0x4c694d45, version 2"),
        ((AVML_MAGIC, 1, 0, 9, 0), "version 1"),
        ((LIME_MAGIC, 1, 0, 9, 1), "its last 8 bytes are not zero"),
        ((LIME_MAGIC, 1, 10, 9, 0), "absurd range 0xa-0x9"),
        ((LIME_MAGIC, 1, 0, LIMIT, 0), "absurd range"),
        ((AVML_MAGIC, 2, 0, (1 << 64) - 1, 0), "absurd range 0x0-0xffffffffffffffff"),
    ],
)
def test_what_is_none(fields: tuple[int, ...], words: str) -> None:
    with pytest.raises(ImageFormatError, match=words):
        unpack_header(struct.pack("<IIQQQ", *fields), LIMIT)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 1))
def test_any_bytes(data: bytes, like: int) -> None:
    """A range of some bytes below the limit, or the named error."""
    head = (b"EMiL\1\0\0\0", b"AVML\2\0\0\0")[like]
    for given_bytes in (data, head + data[8:24] + bytes(8)):
        try:
            header = unpack_header(given_bytes, LIMIT)
            assert 0 <= header.start < header.end <= LIMIT
        except ImageFormatError:
            continue
