# SPDX-License-Identifier: Apache-2.0
"""Follows a LiME or AVML stream as it arrives: which ranges came, and whether it stopped inside a record.

Formats: LiME (https://github.com/504ensicsLabs/LiME/blob/master/doc/README.md) and AVML's version 2, whose
length comes after the data (https://github.com/microsoft/avml, src/image.rs), so the headers of its snappy
chunks are walked (https://github.com/google/snappy/blob/main/framing_format.txt). Nothing is decompressed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from memir.errors import ImageFormatError
from memir.evidence.ranges import Range
from memir.image.layout import MAX_PHYSICAL
from memir.image.records import HEADER_SIZE, unpack_header

STREAM_ID = b"\xff\x06\x00\x00sNaPpY"
MAX_RECORDS = 1 << 19
"""8 TiB in blocks of 16 MiB. Whoever knows the node's RAM gives a smaller bound: each record costs 150 bytes here."""
PIECE = 1 << 20  # what of a record's data is asked for at once: nobody has to hold a record

_Steps = Generator[int, bytes, None]
"""Asks for n > 0 bytes, or with n < 0 to pass over -n bytes unseen (it then gets b"")."""


class RecordWalker:
    """Feed it the stream; `ranges` has the records that are whole, in the order of arrival.

    look: is shown the RAM's bytes piece by piece, unpacked, till it returns True. most: records that are taken.
    offset: bytes taken so far. version: 1 for LiME, 2 for AVML, 0 before the first header.
    """

    def __init__(self, look: Callable[[bytes], bool] | None = None, most: int = MAX_RECORDS) -> None:
        self.ranges: list[Range] = []
        self._most = most
        self._look = look
        self.version = 0
        self.offset = 0
        self._inside: Range | None = None
        self._held = bytearray()
        self._steps = self._walk()
        self._want = next(self._steps)

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes. Raises ImageFormatError, with the offset, on what neither format allows."""
        view = memoryview(data)
        while view:
            if self._want < 0:
                step = min(-self._want, len(view))
                self._want += step
            else:
                step = min(self._want - len(self._held), len(view))
                self._held += view[:step]
            view = view[step:]
            self.offset += step
            if self._want == 0 or len(self._held) == self._want:
                token = bytes(self._held)
                self._held.clear()
                self._want = self._steps.send(token)

    @property
    def torn(self) -> str:
        """Words for the record in which the stream stopped; "" if it stopped on an edge."""
        if self._inside is not None:
            return f"the record of {self._inside[0]:#x}-{self._inside[1] - 1:#x} is not whole"
        return f"{len(self._held)} bytes of a header" if self._held else ""

    def finish(self) -> None:
        """Raises ImageFormatError if the stream stopped inside a record or held none."""
        if self.torn:
            raise ImageFormatError(f"the stream stops at byte {self.offset:,}: {self.torn}")
        if not self.ranges:
            raise ImageFormatError("the stream holds no record at all")

    def _walk(self) -> _Steps:
        while True:
            self._inside = self._check((yield HEADER_SIZE))
            size = self._inside[1] - self._inside[0]
            if self.version == 1:
                while self._look is not None and size:
                    piece = yield min(size, PIECE)
                    size -= len(piece)
                    self._show(piece)
                if size:
                    yield -size
            else:
                yield from self._snappy(size)
            self.ranges.append(self._inside)
            self._inside = None

    def _check(self, data: bytes) -> Range:
        place = self.offset - HEADER_SIZE
        try:
            header = unpack_header(data, MAX_PHYSICAL)
        except ImageFormatError as error:
            raise ImageFormatError(f"at byte {place:,}: {error}") from error
        version = 2 if header.compressed else 1
        if self.version and version != self.version:
            raise ImageFormatError(f"the format changes from {self.version} to {version} at byte {place:,}")
        if len(self.ranges) >= self._most:
            raise ImageFormatError(f"more than {self._most:,} records at byte {place:,}")
        self.version = version
        return header.start, header.end

    def _snappy(self, size: int) -> _Steps:
        start, plain = self.offset, 0
        name = yield len(STREAM_ID)
        if name != STREAM_ID:
            raise ImageFormatError(f"no snappy stream at byte {start:,}")
        while plain < size:
            kind, *low = yield 4
            length = int.from_bytes(bytes(low), "little")
            if kind == 0 and length > 4 and self._look is not None:
                block = yield length
                plain += _varint(block[4:13], self.offset)
                self._show(_unpack(block[4:], self.offset))
            elif kind == 0 and length > 4:
                block = yield min(9, length)
                plain += _varint(block[4:], self.offset)
                if length > 9:
                    yield -(length - 9)
            elif kind == 1 and length > 4 and self._look is not None:
                block = yield length
                plain += length - 4
                self._show(block[4:])
            elif kind == 1 and length > 4:
                plain += length - 4
                yield -length
            elif kind >= 0x80 and length:
                yield -length
            elif kind < 0x80:
                raise ImageFormatError(f"snappy chunk {kind:#x} of {length} bytes at byte {self.offset - 4:,}")
        if plain != size:
            raise ImageFormatError(f"a record of {size:,} bytes unpacks to {plain:,} before byte {self.offset:,}")
        packed = self.offset - start
        recorded = int.from_bytes((yield 8), "little")
        if recorded != packed:
            raise ImageFormatError(
                f"a record's length says {recorded:,}, its data are {packed:,}, at byte {self.offset:,}"
            )

    def _show(self, piece: bytes) -> None:
        if self._look is not None and self._look(piece):
            self._look = None


def _unpack(block: bytes, offset: int) -> bytes:
    import cramjam

    try:
        return bytes(cramjam.snappy.decompress_raw(block))
    except cramjam.DecompressionError as error:
        raise ImageFormatError(f"a snappy block before byte {offset:,} does not unpack: {error}") from error


def _varint(data: bytes, offset: int) -> int:
    value = 0
    for index, byte in enumerate(data):
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            if 0 < value <= 65536:
                return value
            break
    raise ImageFormatError(f"a snappy block before byte {offset:,} claims an absurd size")
