# SPDX-License-Identifier: Apache-2.0
"""Records of LiME, and of AVML, whose format is LiME's with a second record type.

Records of a 32-byte header (records.py) and a body, to the end of the file.
"""

from __future__ import annotations

from pathlib import Path

from memir.errors import ImageFormatError, TruncatedImageError
from memir.image.layout import MAX_PHYSICAL, Layout, Segment, append
from memir.image.records import HEADER_SIZE, Record, unpack_header
from memir.image.source import Source, read


def read_header(source: Source, offset: int, after: int) -> Record:
    """The record at an offset of the file. after: first address that may follow (ranges must rise).

    ImageFormatError for a wrong magic or version, bytes where zeros belong, or ranges that are empty, overlap,
    fall or are absurd; TruncatedImageError if the header is cut.
    """
    if offset + HEADER_SIZE > source.size:
        raise TruncatedImageError(
            f"{source.name}: the file ends at {source.size:#x}, within the record header at offset {offset:#x}. "
            "Acquire again, or read what is there with --allow-truncated"
        )
    try:
        header = unpack_header(read(source, offset, HEADER_SIZE), MAX_PHYSICAL)
    except ImageFormatError as error:
        raise ImageFormatError(f"{source.name}: at offset {offset:#x}: {error}") from error
    if header.start < after:
        raise ImageFormatError(
            f"{source.name}: record at offset {offset:#x} starts at {header.start:#x}, "
            f"but the one before it ends at {after - 1:#x}: ranges overlap or are not in order"
        )
    return Record(header.start, header.end - header.start, offset + HEADER_SIZE, header.compressed)


def read_layout(source: Source, allow_truncated: bool, folder: Path | None) -> Layout:
    """The layout of a file of records: served from the file itself, unless any of them is compressed."""
    from memir.image.avml import Blocks

    plain: list[Segment] = []  # pointing into the file
    flat: list[Segment] = []  # pointing into the array that blocks are unpacked to
    blocks = Blocks(source)
    compressed = False
    offset, after, missing = 0, 0, 0
    while offset < source.size and not missing:
        try:
            record = read_header(source, offset, after)
        except TruncatedImageError:
            if not allow_truncated:
                raise
            missing = HEADER_SIZE - (source.size - offset)
            break
        compressed |= record.compressed
        at = blocks.size
        done, offset = blocks.add(record)
        append(plain, Segment(record.start, done, record.offset), source.name)
        append(flat, Segment(record.start, done, at), source.name)
        missing = record.size - done or max(0, offset - source.size)
        if missing and not allow_truncated:
            raise truncated(source, record.offset, missing)
        after = record.start + record.size
    if not compressed:
        return Layout("LiME", plain, source, source, missing=missing, holes_may_be_zero=True)
    return Layout("AVML", flat, blocks.lazy(folder), source, missing=missing, holes_may_be_zero=True)


def truncated(source: Source, offset: int, missing: int) -> TruncatedImageError:
    """The error for a body that the file does not hold whole."""
    return TruncatedImageError(
        f"{source.name}: the range whose bytes begin at offset {offset:#x} lacks {missing} bytes: the file ends at "
        f"{source.size:#x}. Acquire again, or read what is there with --allow-truncated"
    )
