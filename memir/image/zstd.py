# SPDX-License-Identifier: Apache-2.0
"""zstd files: RFC 8878 frames, and the seekable format's table of them.

https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from construct import Const, ConstructError, Int8ul, Int32ul, Struct

from memir.errors import ImageError, ImageFormatError, TruncatedImageError
from memir.image.behind import Behind, after_zeros
from memir.image.lazy import LazyBacking
from memir.image.source import LazyFile, Source, read

MAGIC = 0xFD2FB528
SEEK_FOOTER = Struct("count" / Int32ul, "descriptor" / Int8ul, "magic" / Const(0x8F92EAB1, Int32ul))
SKIPPABLE = Struct("magic" / Int32ul, "size" / Int32ul)
_SKIPPABLE, _SKIPPABLE_MASK, _SEEK_TABLE = 0x184D2A50, 0xFFFFFFF0, 0x184D2A5E
_CHECKSUMS, _RESERVED = 0x80, 0x7C
WINDOW_LOG_MAX = 31  # zstd --long=31, its largest
_SEEKABLE_LIMIT = 64 << 20  # bytes: a frame of more than this is no random access


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its place in the file, and the bytes it gives (-1 if its header does not say)."""

    offset: int
    length: int
    content: int


def is_skippable(magic: int) -> bool:
    """Whether a frame with this magic holds no data of zstd's."""
    return magic & _SKIPPABLE_MASK == _SKIPPABLE


def frames(source: Source, behind: Behind) -> Iterator[Frame]:
    """All data frames, found by their headers and block headers alone; TruncatedImageError if the last one is cut.

    behind: counts what stands behind the last frame and is none.
    """
    offset = 0
    while offset < source.size:
        magic = int.from_bytes(read(source, offset, min(4, source.size - offset)), "little")
        if offset and not magic:
            offset = after_zeros(source, offset)
            continue
        if offset and behind.begins_no_part(offset):
            return
        if source.size - offset < 5:
            raise cut(source, offset)
        if is_skippable(magic):
            if offset + 8 > source.size:
                raise cut(source, offset)
            offset += 8 + int(SKIPPABLE.parse(read(source, offset, 8)).size)
            if offset > source.size:
                raise TruncatedImageError(
                    f"{source.name}: zstd's skippable frame runs to {offset:#x}, beyond the end of the file"
                )
            continue
        if magic != MAGIC:
            raise ImageFormatError(f"{source.name}: no zstd frame at offset {offset:#x}")
        header, parameters = _header(source, offset)
        end = _frame_end(source, offset, header) + (4 if parameters.has_checksum else 0)
        if end > source.size:
            raise cut(source, offset)
        yield Frame(offset, end - offset, _content(parameters))
        offset = end


def _header(source: Source, offset: int) -> tuple[int, Any]:
    """(bytes of a frame's header, its parameters)."""
    import zstandard

    start = read(source, offset, min(18, source.size - offset))
    try:
        header = zstandard.frame_header_size(start)
        if header > len(start):
            raise cut(source, offset)
        return header, zstandard.get_frame_parameters(start)
    except (zstandard.ZstdError, ValueError) as error:
        raise ImageFormatError(f"{source.name}: zstd frame header at offset {offset:#x}: {error}") from error


def content_of(source: Source, offset: int) -> int:
    """The bytes that the frame at an offset says it gives; -1 if it does not say."""
    if source.size - offset < 5 or int.from_bytes(read(source, offset, 4), "little") != MAGIC:
        return -1
    try:
        return _content(_header(source, offset)[1])
    except ImageError:
        return -1


def _content(parameters: Any) -> int:
    return -1 if parameters.content_size >= 1 << 63 else int(parameters.content_size)


def _frame_end(source: Source, begin: int, header: int) -> int:
    """The offset after the last block of a frame: RFC 8878 section 3.1.1.2."""
    offset = begin + header
    while True:
        if offset + 3 > source.size:
            raise cut(source, begin)
        word = int.from_bytes(read(source, offset, 3), "little")
        last, kind, size = word & 1, word >> 1 & 3, word >> 3
        if kind == 3:
            raise ImageFormatError(f"{source.name}: zstd block at offset {offset:#x} is of the reserved type")
        offset += 3 + (1 if kind == 1 else size)
        if last:
            return offset


def cut(source: Source, offset: int) -> TruncatedImageError:
    """The error for a frame that the file does not hold whole."""
    return TruncatedImageError(
        f"{source.name}: the zstd frame at offset {offset:#x} is cut off by the end of the file ({source.size} "
        "bytes): copy the file again, or read what is there with --allow-truncated"
    )


def seekable(source: Source, folder: Path | None, workers: int = 0) -> LazyFile | None:
    """A lazily decompressed view of a file in the seekable format; None if it is not in that format.

    Only the table at the end is read: what it says of a frame is held against the frame when that is unpacked.
    """
    table = seek_table(source)
    if table is None:
        return None
    lengths, sizes = table
    offsets = np.cumsum(lengths) - lengths
    used = np.flatnonzero(sizes)
    if not len(used) or int(sizes.max()) > _SEEKABLE_LIMIT:
        return None
    starts = (np.cumsum(sizes) - sizes)[used]

    def load(which: int) -> bytes:
        row = used[which]
        return _unpack(source, Frame(int(offsets[row]), int(lengths[row]), int(sizes[row])))

    backing = LazyBacking(int(sizes.sum()), starts, load, folder, workers=workers, ahead=workers)
    return LazyFile(f"{source.name} (unpacked)", backing, source)


def seek_table(source: Source) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """(compressed, decompressed) bytes of every frame, int64[n] each; None if there is no table that fits the file."""
    footer = SEEK_FOOTER.sizeof()
    if source.size < footer + SKIPPABLE.sizeof():
        return None
    try:
        trailer = SEEK_FOOTER.parse(read(source, source.size - footer, footer))
    except ConstructError:
        return None
    entry = 12 if trailer.descriptor & _CHECKSUMS else 8
    size = trailer.count * entry + footer
    begin = source.size - size - SKIPPABLE.sizeof()
    if begin < 0 or trailer.descriptor & _RESERVED:
        return None
    frame = SKIPPABLE.parse(read(source, begin, SKIPPABLE.sizeof()))
    if frame.magic != _SEEK_TABLE or frame.size != size:
        return None
    raw = np.frombuffer(read(source, begin + SKIPPABLE.sizeof(), trailer.count * entry), "<u4")
    table = raw.reshape(-1, entry // 4)[:, :2].astype(np.int64)
    if int(table[:, 0].sum()) != begin:
        return None
    return table[:, 0], table[:, 1]


def _unpack(source: Source, frame: Frame) -> bytes:
    import zstandard

    _, parameters = _header(source, frame.offset)
    # decompress() would make room for whatever the frame's own header claims
    if _content(parameters) not in (-1, frame.content):
        raise ImageFormatError(
            f"{source.name}: zstd frame at offset {frame.offset:#x} says it gives {parameters.content_size} bytes, "
            f"the seek table says {frame.content}"
        )
    try:
        unpack = zstandard.ZstdDecompressor(max_window_size=1 << WINDOW_LOG_MAX)
        raw = read(source, frame.offset, frame.length)
        data = unpack.decompress(raw, max_output_size=frame.content, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ImageFormatError(f"{source.name}: zstd frame at offset {frame.offset:#x} is damaged: {error}") from error
    if len(data) != frame.content:
        raise ImageFormatError(
            f"{source.name}: zstd frame at offset {frame.offset:#x} gave {len(data)} bytes, not {frame.content}"
        )
    return data
