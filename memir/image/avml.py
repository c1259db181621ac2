"""AVML version 2: compressed blocks, decompressed when touched.

Each block is one stream in snappy's framing format (https://github.com/google/snappy/blob/main/framing_format.txt):
chunks of a type byte, a 24-bit length and a body that holds at most 64 KiB of data. An index of all chunks is made by
walking their headers; nothing is decompressed at opening. Blocks of zeros are left out of the file altogether.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memir.errors import ImageFormatError, TruncatedImageError
from memir.image import lime
from memir.image.lazy import PAGE, LazyBacking
from memir.image.memory import Layout, Segment
from memir.image.source import LazyFile, Source, read

_COMPRESSED, _PLAIN, _IDENTIFIER = 0x00, 0x01, 0xFF
_MAX_CHUNK = 1 << 16
_CHECKSUM = 4
_STREAM_START = b"\xff\x06\x00\x00sNaPpY"


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A run of image bytes: `size` bytes at `at` in the flat array, from `length` file bytes at `offset`."""

    at: int
    size: int
    offset: int
    length: int
    kind: int


def read_layout(source: Source, allow_truncated: bool, folder: Path | None) -> Layout:
    """The layout of a file with version 2 records (version 1 records among them are served too)."""
    chunks: list[_Chunk] = []
    segments: list[Segment] = []
    offset, after, at, missing = 0, 0, 0, 0
    while offset < source.size:
        try:
            record = lime.read_header(source, offset, after)
        except TruncatedImageError:
            if not allow_truncated:
                raise
            missing = lime.HEADER_SIZE - (source.size - offset)
            break
        found, offset = _walk(source, record, at)
        done = sum(one.size for one in found)
        if done < record.size:
            if not allow_truncated:
                raise lime.truncated(source, record.offset, record.size - done)
            missing = record.size - done
        chunks.extend(found)
        segments.append(Segment(record.start, done, at))
        at += -(-done // PAGE) * PAGE
        after = record.start + record.size
        if missing:
            break
    starts = np.array([one.at for one in chunks] or [0], np.int64)
    ends = np.append(starts[1:], at)

    def load(which: int) -> bytes:
        raw = _decompress(source, chunks[which])
        return raw.ljust(int(ends[which] - starts[which]), b"\0")

    backing = LazyBacking(at, starts, load, folder)
    return Layout("AVML", segments, LazyFile(source.name, backing, source), source, missing=missing, holes_may_be_zero=True)


def _walk(source: Source, record: lime.Record, at: int) -> tuple[list[_Chunk], int]:
    """Chunks of one record and the offset after it; fewer bytes than the record promises if the file ends in it."""
    if not record.compressed:
        size = min(record.size, source.size - record.offset)
        pieces = range(0, size, 1 << 20)
        return [
            _Chunk(at + piece, min(1 << 20, size - piece), record.offset + piece, min(1 << 20, size - piece), -1) for piece in pieces
        ], record.offset + record.size
    chunks: list[_Chunk] = []
    offset, done = record.offset, 0
    while done < record.size:
        if offset + 4 > source.size:
            return chunks, source.size
        header = int.from_bytes(read(source, offset, 4), "little")
        kind, length = header & 0xFF, header >> 8
        body = offset + 4
        if body + length > source.size:
            return chunks, source.size
        if kind in (_COMPRESSED, _PLAIN):
            size = length - _CHECKSUM if kind == _PLAIN else _plain_size(source, body + _CHECKSUM, length - _CHECKSUM)
            if size <= 0 or size > _MAX_CHUNK or done + size > record.size:
                raise ImageFormatError(f"{source.name}: snappy chunk at offset {offset:#x} claims {size} bytes")
            chunks.append(_Chunk(at + done, size, body, length, kind))
            done += size
        elif 0x02 <= kind <= 0x7F:
            raise ImageFormatError(f"{source.name}: snappy chunk at offset {offset:#x} has the reserved type {kind:#04x}")
        elif not chunks and kind != _IDENTIFIER:
            raise ImageFormatError(f"{source.name}: block at offset {record.offset:#x} does not begin as a snappy stream does")
        offset = body + length
    return chunks, _after_stream(source, record, offset)


def _after_stream(source: Source, record: lime.Record, offset: int) -> int:
    """Check the length that follows a stream; its absence at the end of the file costs no memory, so it is let pass."""
    if offset + 8 > source.size:
        return source.size
    length = int.from_bytes(read(source, offset, 8), "little")
    if length != offset - record.offset:
        raise ImageFormatError(f"{source.name}: block at offset {record.offset:#x} ends at {offset:#x}, but says it is {length} bytes long")
    return offset + 8


def _plain_size(source: Source, offset: int, length: int) -> int:
    """The decompressed length that a snappy block begins with (a varint); -1 if it is none."""
    value = 0
    for step, byte in enumerate(read(source, offset, min(max(length, 0), 5))):
        value |= (byte & 0x7F) << (7 * step)
        if not byte & 0x80:
            return value
    return -1


def _decompress(source: Source, chunk: _Chunk) -> bytes:
    """The bytes of one chunk, its checksum verified (a stream of this chunk alone is handed to the framing decoder)."""
    import cramjam

    if chunk.kind == -1:
        return read(source, chunk.offset, chunk.length)
    framed = _STREAM_START + read(source, chunk.offset - 4, chunk.length + 4)
    try:
        data = bytes(cramjam.snappy.decompress(framed))
    except cramjam.DecompressionError as error:
        raise ImageFormatError(f"{source.name}: snappy chunk at offset {chunk.offset - 4:#x} is damaged: {error}") from error
    if len(data) != chunk.size:
        raise ImageFormatError(f"{source.name}: snappy chunk at offset {chunk.offset - 4:#x} gave {len(data)} bytes, not {chunk.size}")
    return data
