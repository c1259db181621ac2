"""zstd files: RFC 8878 frames, and the seekable format's table of them.

https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memir.errors import ImageFormatError, TruncatedImageError
from memir.image.lazy import LazyBacking
from memir.image.source import LazyFile, Source, read

MAGIC = 0xFD2FB528
_SKIPPABLE, _SKIPPABLE_MASK = 0x184D2A50, 0xFFFFFFF0
_SEEK_MAGIC = 0x8F92EAB1
WINDOW_LOG_MAX = 31
_SEEKABLE_LIMIT = 64 << 20  # a frame of more than this is no random access


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its place in the file, and the bytes it gives (-1 if its header does not say)."""

    offset: int
    length: int
    content: int


def frames(source: Source) -> list[Frame]:
    """All data frames, found by their headers and block headers alone; TruncatedImageError if the last one is cut."""
    import zstandard

    found: list[Frame] = []
    offset = 0
    while offset < source.size:
        magic = int.from_bytes(read(source, offset, min(4, source.size - offset)), "little")
        if magic & _SKIPPABLE_MASK == _SKIPPABLE:
            offset += 8 + int.from_bytes(read(source, offset + 4, 4), "little")
            if offset > source.size:
                raise TruncatedImageError(f"{source.name}: zstd's skippable frame runs beyond the end of the file")
            continue
        if magic != MAGIC:
            raise ImageFormatError(f"{source.name}: no zstd frame at offset {offset:#x}")
        start = read(source, offset, min(18, source.size - offset))
        try:
            parameters = zstandard.get_frame_parameters(start)
            header = zstandard.frame_header_size(start)
        except zstandard.ZstdError as error:
            raise ImageFormatError(f"{source.name}: zstd frame header at offset {offset:#x}: {error}") from error
        end = _frame_end(source, offset + header) + (4 if parameters.has_checksum else 0)
        if end > source.size:
            raise _cut(source, offset)
        content = parameters.content_size
        found.append(Frame(offset, end - offset, -1 if content >= 1 << 63 else content))
        offset = end
    return found


def _frame_end(source: Source, at: int) -> int:
    """The offset after the last block of a frame: RFC 8878 section 3.1.1.2."""
    begin = at
    while True:
        if at + 3 > source.size:
            raise _cut(source, begin)
        header = int.from_bytes(read(source, at, 3), "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == 3:
            raise ImageFormatError(f"{source.name}: zstd block at offset {at:#x} is of the reserved type")
        at += 3 + (1 if kind == 1 else size)
        if last:
            return at


def _cut(source: Source, offset: int) -> TruncatedImageError:
    return TruncatedImageError(
        f"{source.name}: the zstd frame at offset {offset:#x} is cut off by the end of the file ({source.size} bytes): "
        "copy the file again, or read what is there with --allow-truncated"
    )


def seekable(source: Source, folder: Path | None) -> LazyFile | None:
    """A lazily decompressed view of a file in the seekable format; None if it is not in that format."""
    if source.size < 17:
        return None
    count, _, magic = struct.unpack("<IBI", read(source, source.size - 9, 9))
    if magic != _SEEK_MAGIC:
        return None
    every = frames(source)
    if len(every) != count or any(not 0 <= one.content <= _SEEKABLE_LIMIT for one in every):
        return None
    every = [one for one in every if one.content]
    sizes = np.array([one.content for one in every], np.int64)
    starts = np.cumsum(sizes) - sizes

    def load(which: int) -> bytes:
        import zstandard

        one = every[which]
        try:
            unpack = zstandard.ZstdDecompressor(max_window_size=1 << WINDOW_LOG_MAX)
            return unpack.decompress(read(source, one.offset, one.length), max_output_size=one.content)
        except zstandard.ZstdError as error:
            raise ImageFormatError(f"{source.name}: zstd frame at offset {one.offset:#x} is damaged: {error}") from error

    return LazyFile(source.name, LazyBacking(int(sizes.sum()), starts, load, folder), source)
