# SPDX-License-Identifier: Apache-2.0
"""The record header of LiME and AVML, declared once for files (lime.py) and for streams (memir/evidence/walker.py).

32 bytes, little-endian: magic u32, version u32, start u64, end u64 (inclusive), u64 zero.
https://github.com/504ensicsLabs/LiME/blob/master/doc/README.md, https://github.com/microsoft/avml (src/image.rs)

- version 1, magic `EMiL`: the range's bytes as they are
- version 2, magic `AVML`: one stream in snappy's framing format, then a u64 with the stream's length
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from memir.errors import ImageFormatError

LIME_MAGIC, AVML_MAGIC = 0x4C694D45, 0x4C4D5641
_HEADER = struct.Struct("<IIQQQ")
HEADER_SIZE = _HEADER.size
_KINDS = {(LIME_MAGIC, 1): False, (AVML_MAGIC, 2): True}


class Header(NamedTuple):
    """The range [start, end) in bytes of physical memory; compressed: version 2."""

    start: int
    end: int
    compressed: bool


def unpack_header(data: bytes, limit: int) -> Header:
    """One header. limit: no range may end above this address.

    ImageFormatError, without the place, for a wrong magic or version, padding that is not zero, and ranges that are
    empty or absurd.
    """
    magic, version, start, last, padding = _HEADER.unpack(data)
    compressed = _KINDS.get((magic, version))
    if compressed is None:
        raise ImageFormatError(f"no LiME or AVML record: magic {magic:#010x}, version {version}")
    if padding:
        raise ImageFormatError("the record header is damaged: its last 8 bytes are not zero")
    if last < start or last >= limit:
        raise ImageFormatError(f"the record has the absurd range {start:#x}-{last:#x}")
    return Header(start, last + 1, compressed)


def pack_header(start: int, end: int, *, compressed: bool = False) -> bytes:
    """The header of a range [start, end)."""
    magic, version = (AVML_MAGIC, 2) if compressed else (LIME_MAGIC, 1)
    return _HEADER.pack(magic, version, start, end - 1, 0)


@dataclass(frozen=True, slots=True)
class Record:
    """One header: the range [start, start + size) whose body begins at `offset`; compressed or as it is."""

    start: int
    size: int
    offset: int
    compressed: bool
