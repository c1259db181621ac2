# SPDX-License-Identifier: Apache-2.0
"""Records of LiME, and of AVML, whose format is LiME's with a second record type.

Records of a 32-byte header (records.py) and a body, to the end of the file.
"""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np

from memir.errors import ImageFormatError, TruncatedImageError
from memir.image.layout import MAX_PHYSICAL, Layout, Segment, append
from memir.image.lazy import is_zero
from memir.image.records import HEADER_SIZE, Record, unpack_header
from memir.image.source import Source, read

_STEP = 1 << 20  # zeros are looked through a MiB at a time: no file needs its own size in memory


def read_header(source: Source, offset: int) -> Record:
    """The record at an offset of the file.

    ImageFormatError for a wrong magic or version, bytes where zeros belong, or ranges that are empty or absurd;
    TruncatedImageError if the header is cut.
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
    return Record(header.start, header.end - header.start, offset + HEADER_SIZE, header.compressed)


def read_layout(source: Source, allow_truncated: bool, folder: Path | None) -> Layout:
    """The layout of a file of records: served from the file itself, unless any of them is compressed.

    Read all the same, and said in the layout's repairs: zeros behind the last record (of a tape, a preallocated file),
    records that are not in the order of their addresses, and ranges that stand in it twice, whole or in part (a stream
    that was resumed). allow_truncated: bytes behind whole records that are no record end the file, which is said too.
    """
    from memir.image.avml import Blocks

    blocks = Blocks(source)
    walked = _Walk()
    compressed, repairs = False, []
    offset, missing = 0, 0
    while offset < source.size and not missing:
        try:
            record = read_header(source, offset)
        except (TruncatedImageError, ImageFormatError) as error:
            if offset and _zeros(source, offset):
                repairs.append(f"{source.size - offset} zero bytes behind the last record are left out")
                break
            if not allow_truncated or not (offset or isinstance(error, TruncatedImageError)):
                raise
            if not isinstance(error, TruncatedImageError):
                rest = f"the last {source.size - offset} bytes, from offset {offset:#x} on, are left out"
                repairs.append(f"{rest}: they are no record")
                break
            missing = HEADER_SIZE - (source.size - offset)
            break
        compressed |= record.compressed
        index = blocks.size
        done, offset = blocks.add(record)
        walked.add(record, done, index)
        missing = record.size - done or max(0, offset - source.size)
        if missing and not allow_truncated:
            raise truncated(source, record.offset, missing)
    segments, how = walked.segments(source.name, flat=compressed)
    data = blocks.lazy(folder) if compressed else source
    return Layout(
        "AVML" if compressed else "LiME", segments, data, source,
        missing=missing, holes_may_be_zero=True, repairs=(*repairs, *how),
    )  # fmt: skip


def _zeros(source: Source, offset: int) -> bool:
    """Whether nothing but zeros follows."""
    return all(
        is_zero(read(source, start, min(_STEP, source.size - start))) for start in range(offset, source.size, _STEP)
    )


class _Walk:
    """The records in the order of the file. Columns, as a hostile file may have one for each 33 of its bytes."""

    def __init__(self) -> None:
        self._start, self._size, self._done = array("q"), array("q"), array("q")
        self._body, self._flat = array("q"), array("q")  # where the bytes are, in the file and unpacked

    def add(self, record: Record, done: int, flat: int) -> None:
        """A record of which `done` bytes are there."""
        for column, value in (
            (self._start, record.start), (self._size, record.size), (self._done, done),
            (self._body, record.offset), (self._flat, flat),
        ):  # fmt: skip
            column.append(value)

    def segments(self, name: str, *, flat: bool) -> tuple[list[Segment], list[str]]:
        """(segments by address, what had to be repaired). Of two records of one range the first is taken."""
        start = np.array(self._start, np.int64)
        order = np.argsort(start, kind="stable")
        repairs, again = [], 0
        if len(start) and (np.diff(start) < 0).any():
            repairs.append("its records are not in the order of their addresses: they were put in order")
        out: list[Segment] = []
        twice, last, end = 0, -1, 0
        place = self._flat if flat else self._body
        for number in order.tolist():
            low, size = self._start[number], self._done[number]
            if last >= 0 and (low, self._size[number]) == (self._start[last], self._size[last]):
                twice += 1
                continue
            held = min(max(end - low, 0), size)  # what the records before it hold of it
            again += held
            last, end = number, max(end, low + size)
            append(out, Segment(low + held, size - held, place[number] + held), name)
        if twice:
            repairs.append(
                f"{twice} records of ranges that stand in it before were left out: the first of each is read"
            )
        if again:
            repairs.append(f"{again} bytes stand in it twice: those of the record that begins lower are read")
        return out, repairs


def truncated(source: Source, offset: int, missing: int) -> TruncatedImageError:
    """The error for a body that the file does not hold whole."""
    return TruncatedImageError(
        f"{source.name}: the range whose bytes begin at offset {offset:#x} lacks {missing} bytes: the file ends at "
        f"{source.size:#x}. Acquire again, or read what is there with --allow-truncated"
    )
