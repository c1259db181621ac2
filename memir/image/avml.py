# SPDX-License-Identifier: Apache-2.0
"""AVML version 2: compressed blocks, decompressed when touched.

Each block is one stream in snappy's framing format
(https://github.com/google/snappy/blob/main/framing_format.txt): chunks of a type byte, a 24-bit length and a body that
holds at most 64 KiB of data. An index of all chunks is made by walking their headers; nothing is decompressed at
opening. Blocks of zeros are left out of the file altogether.
"""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np

from memir.errors import ImageFormatError
from memir.image.lazy import PAGE, LazyBacking
from memir.image.records import Record
from memir.image.source import LazyFile, Source, read

_COMPRESSED, _PLAIN, _IDENTIFIER = 0x00, 0x01, 0xFF
_MAX_CHUNK = 1 << 16  # of a framed snappy stream: framing_format.txt 4.2 allows no more
_CHECKSUM = 4
_HEAD = 4 + _CHECKSUM + 5  # a chunk's header, its checksum and the varint that the longest length takes
_STREAM_START = b"\xff\x06\x00\x00sNaPpY"
_STORED = 1 << 20  # bytes of an uncompressed record that are taken at once


class Blocks:
    """An index of compressed (and stored) records: which bytes of a flat array come from which bytes of the file.

    size: bytes of the flat array; every record begins on a page of it.
    An entry holds one chunk, as real files have them, or several that are smaller, so a hostile file of tiny chunks
    cannot make the index larger than a fraction of the data.
    """

    def __init__(self, source: Source) -> None:
        self.size = 0
        self._source = source
        self._index = array("q")  # in the flat array
        self._bytes = array("q")  # of data
        self._offset = array("q")  # in the file; of a stored piece, minus the offset, minus 1
        self._length = array("q")  # in the file

    def add(self, record: Record) -> tuple[int, int]:
        """(bytes of the record's range that the file holds, offset after it; beyond the file's end if it is cut)."""
        done, offset = self._stream(record) if record.compressed else self._stored(record)
        self.size += -(-done // PAGE) * PAGE
        return done, offset

    def lazy(self, folder: Path | None) -> LazyFile:
        """The flat array. ImageFormatError comes from ensure() where a chunk turns out to be damaged."""
        starts = np.array(self._index or [0], np.int64)
        ends = np.append(starts[1:], self.size)

        def load(which: int) -> bytes:
            return self._unpack(which).ljust(int(ends[which] - starts[which]), b"\0")

        return LazyFile(self._source.name, LazyBacking(self.size, starts, load, folder), self._source)

    def _entry(self, index: int, size: int, offset: int, length: int) -> None:
        self._index.append(index)
        self._bytes.append(size)
        self._offset.append(offset)
        self._length.append(length)

    def _stored(self, record: Record) -> tuple[int, int]:
        size = min(record.size, self._source.size - record.offset)
        for piece in range(0, size, _STORED):
            length = min(_STORED, size - piece)
            self._entry(self.size + piece, length, -(record.offset + piece) - 1, length)
        return size, record.offset + size

    def _stream(self, record: Record) -> tuple[int, int]:
        """Walk the chunks of a stream up to the length behind it."""
        source, end = self._source, self._source.size
        offset = first = record.offset
        done = pending = 0
        while done < record.size:
            head = read(source, offset, min(_HEAD, end - offset))
            kind, length = head[0] if head else 0, int.from_bytes(head[1:4], "little")
            if len(head) < 4 or offset + 4 + length > end:
                break
            if offset == record.offset and kind != _IDENTIFIER:
                raise ImageFormatError(
                    f"{source.name}: block at offset {offset:#x} does not begin as a snappy stream does"
                )
            if kind in (_COMPRESSED, _PLAIN):
                size = length - _CHECKSUM if kind == _PLAIN else _plain_size(head[4 + _CHECKSUM : 4 + length])
                if not 0 < size <= min(_MAX_CHUNK, record.size - done):
                    raise ImageFormatError(
                        f"{source.name}: snappy chunk at offset {offset:#x} claims {size} bytes, "
                        f"{min(_MAX_CHUNK, record.size - done)} at most belong there"
                    )
                if pending + size > _MAX_CHUNK:
                    self._entry(self.size + done - pending, pending, first, offset - first)
                    first, pending = offset, 0
                done, pending = done + size, pending + size
            elif 0x02 <= kind <= 0x7F:
                raise ImageFormatError(
                    f"{source.name}: snappy chunk at offset {offset:#x} has the reserved type {kind:#04x}"
                )
            else:
                if pending:
                    self._entry(self.size + done - pending, pending, first, offset - first)
                first, pending = offset + 4 + length, 0
            offset += 4 + length
        if pending:
            self._entry(self.size + done - pending, pending, first, offset - first)
        return done, offset if done < record.size else self._after_stream(record, offset)

    def _after_stream(self, record: Record, offset: int) -> int:
        """Check the length that follows a stream."""
        if offset + 8 <= self._source.size:
            length = int.from_bytes(read(self._source, offset, 8), "little")
            if length != offset - record.offset:
                raise ImageFormatError(
                    f"{self._source.name}: block at offset {record.offset:#x} ends at {offset:#x}, "
                    f"but says it is {length} bytes long"
                )
        return offset + 8

    def _unpack(self, which: int) -> bytes:
        """The bytes of one entry, checksums verified: its chunks make a stream of their own for the decoder."""
        import cramjam

        offset, length, size = self._offset[which], self._length[which], self._bytes[which]
        if offset < 0:
            return read(self._source, -offset - 1, length)
        try:
            data = bytes(cramjam.snappy.decompress(_STREAM_START + read(self._source, offset, length)))
        except cramjam.DecompressionError as error:
            raise ImageFormatError(
                f"{self._source.name}: snappy chunk at offset {offset:#x} is damaged: {error}"
            ) from error
        if len(data) != size:
            raise ImageFormatError(
                f"{self._source.name}: snappy chunk at offset {offset:#x} gave {len(data)} bytes, not {size}"
            )
        return data


def _plain_size(block: bytes) -> int:
    """The decompressed length that a snappy block begins with (a varint); -1 if it is none."""
    value = 0
    for step, byte in enumerate(block[:5]):
        value |= (byte & 0x7F) << (7 * step)
        if not byte & 0x80:
            return value
    return -1
