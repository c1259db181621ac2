# SPDX-License-Identifier: Apache-2.0
"""kdump-compressed files: makedumpfile -c, -l, -p, -z, and QEMU's dump-guest-memory -z, -l, -s. Pages are read lazily.

Format: https://github.com/makedumpfile/makedumpfile/blob/master/diskdump_mod.h and IMPLEMENTATION; QEMU's
include/sysemu/dump.h. In blocks of `block_size` bytes: a header, a sub-header, two bitmaps with a bit a page frame
(which are RAM, which are in the file), then a descriptor and the data of every page of the second bitmap, in order.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from construct import Bytes, Const, ConstructError, Int32sl, Int32ul, Int64ul, Padding, Struct
from numpy.typing import NDArray

from memir.errors import ImageFormatError, TruncatedImageError
from memir.image.layout import MAX_PHYSICAL, Layout, Segment, append
from memir.image.lazy import LazyBacking
from memir.image.runs import runs
from memir.image.source import LazyFile, Source, read

MAGIC = b"KDUMP   "
HEADER = Struct(
    "signature" / Const(MAGIC), "header_version" / Int32sl, "utsname" / Bytes(390), Padding(6),
    "timestamp" / Bytes(16), "status" / Int32ul, "block_size" / Int32sl, "sub_hdr_size" / Int32sl,
    "bitmap_blocks" / Int32ul, "max_mapnr" / Int32ul, "total_ram_blocks" / Int32ul, "device_blocks" / Int32ul,
    "written_blocks" / Int32ul, "current_cpu" / Int32ul, "nr_cpus" / Int32sl,
)  # fmt: skip
SUB_HEADER = Struct(
    "phys_base" / Int64ul, "dump_level" / Int32sl, "split" / Int32sl, "start_pfn" / Int64ul, "end_pfn" / Int64ul,
    "offset_vmcoreinfo" / Int64ul, "size_vmcoreinfo" / Int64ul, "offset_note" / Int64ul, "size_note" / Int64ul,
    "offset_eraseinfo" / Int64ul, "size_eraseinfo" / Int64ul, "start_pfn_64" / Int64ul, "end_pfn_64" / Int64ul,
    "max_mapnr_64" / Int64ul,
)  # fmt: skip
PAGE_DESC = np.dtype([("offset", "<u8"), ("size", "<u4"), ("flags", "<u4"), ("page_flags", "<u8")])
ZLIB, LZO, SNAPPY, ZSTD = 0x1, 0x2, 0x4, 0x20
_PAGES = 64  # of a chunk that is read at once: 256 KiB
_BLOCK_SIZES = (4096, 16384, 65536)
_MAX_VMCOREINFO = 1 << 16  # the kernel keeps one page of it; makedumpfile copies that
_EXCLUDED = ((1, "zeros"), (2, "page cache"), (4, "private page cache"), (8, "user pages"), (16, "free pages"))


def read_layout(source: Source, allow_truncated: bool, folder: Path | None) -> Layout:
    """The layout of a kdump-compressed file; pages that were left out on purpose are absent, zeros among them zeros.

    ImageFormatError for a header that cannot be, TruncatedImageError for a file that lacks descriptors or pages unless
    that is allowed.
    """
    if source.size < HEADER.sizeof():
        raise TruncatedImageError(f"{source.name}: {source.size} bytes: the kdump header is cut")
    try:
        header = HEADER.parse(read(source, 0, HEADER.sizeof()))
    except ConstructError as error:
        raise ImageFormatError(f"{source.name}: no kdump header at its start") from error
    block = header.block_size
    if block not in _BLOCK_SIZES or not 0 < header.sub_hdr_size < 1 << 16 or not 1 <= header.header_version <= 99:
        raise ImageFormatError(
            f"{source.name}: kdump header version {header.header_version} with blocks of {block} bytes and a "
            f"sub-header of {header.sub_hdr_size}: not one that makedumpfile or QEMU writes"
        )
    sub = SUB_HEADER.parse(read(source, block, SUB_HEADER.sizeof()))  # the size of the fields that version 6 has
    if sub.split and header.header_version >= 2:
        raise ImageFormatError(
            f"{source.name}: one part of a dump that makedumpfile split: join all parts with "
            "`makedumpfile --reassemble PART... WHOLE`"
        )
    ram, there, first_descriptor = _bitmaps(source, header, block)
    zeros = sub.dump_level == 1 and header.header_version >= 1
    pages = ram | there if zeros else there
    frames = np.flatnonzero(pages)
    stored = np.cumsum(there)[frames] - 1  # number of the descriptor; of the page before where this one has none
    stored[~there[frames]] = -1
    count = int(there.sum())
    size = count * PAGE_DESC.itemsize
    missing = max(0, first_descriptor + size - source.size)
    if missing:
        if not allow_truncated:
            raise TruncatedImageError(
                f"{source.name}: the descriptors of {count} pages at offset {first_descriptor:#x} are beyond the end "
                f"of the file ({source.size} bytes). Copy it again, or read what is there with --allow-truncated"
            )
        known = max(0, source.size - first_descriptor) // PAGE_DESC.itemsize
        keep = stored < known
        frames, stored, count = frames[keep], stored[keep], known
        pages = np.zeros(len(pages), bool)
        pages[frames] = True
        missing = (int(there.sum()) - known) * block
    segments: list[Segment] = []
    index = 0
    for low, high in runs(pages):
        append(segments, Segment(low * block, (high - low) * block, index), source.name)
        index += (high - low) * block
    reader = _Pages(source, first_descriptor, count, stored, block)
    missing += reader.cut(allow_truncated)
    starts = np.arange(0, max(index, 1), block * _PAGES, dtype=np.int64)
    backing = LazyBacking(index, starts, reader.load, folder)
    reader.backing = backing
    notes = _notes(source, sub) if header.header_version >= 3 else {}
    return Layout(
        "kdump", segments, LazyFile(source.name, backing, source), source,
        missing=missing, notes=notes, repairs=_left_out(sub.dump_level),
    )  # fmt: skip


def _left_out(level: int) -> tuple[str, ...]:
    if not 1 < level < 64:
        return ()
    names = ", ".join(name for bit, name in _EXCLUDED if level & bit and bit != 1)
    return (f"makedumpfile left pages out of the dump (level {level}: {names}): take it with `makedumpfile -d 0`",)


def _bitmaps(source: Source, header: Any, block: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """(is RAM, is in the file) by page frame, and the offset of the first descriptor behind them."""
    blocks, sub = int(header.bitmap_blocks), int(header.sub_hdr_size)
    begin, half = (1 + sub) * block, blocks * block // 2
    if begin + 2 * half > source.size:
        raise TruncatedImageError(
            f"{source.name}: its page bitmaps of {2 * half} bytes at offset {begin:#x} are beyond the end of the file "
            f"({source.size} bytes): copy the file again"
        )
    if half * 8 * block > MAX_PHYSICAL:
        raise ImageFormatError(f"{source.name}: page bitmaps of {half} bytes: no machine has so much RAM")
    both = np.frombuffer(read(source, begin, 2 * half), np.uint8)
    bits = np.unpackbits(both, bitorder="little").astype(bool)
    return bits[: half * 8], bits[half * 8 :], begin + 2 * half


def _notes(source: Source, sub: Any) -> dict[str, bytes]:
    offset, size = int(sub.offset_vmcoreinfo), int(sub.size_vmcoreinfo)
    if not 0 < size <= _MAX_VMCOREINFO or offset + size > source.size:
        return {}
    return {"VMCOREINFO": read(source, offset, size)}


class _Pages:
    """Descriptors and pages of a file. stored: int64[n], the descriptor of each page of the array, -1 for zeros."""

    backing: LazyBacking

    def __init__(self, source: Source, first: int, count: int, stored: NDArray[np.int64], block: int) -> None:
        self._source, self._first, self._count = source, first, count
        self._stored, self._block = stored, block

    def cut(self, allow_truncated: bool) -> int:
        """Bytes of RAM whose data the file's end cuts off; TruncatedImageError unless that is allowed."""
        if not self._count:
            return 0
        # pages are written in order: only the last ones can be beyond the end, so the last descriptor tells
        last = self._descriptors(self._count - 1, self._count)[0]
        if int(last["offset"]) + int(last["size"]) <= self._source.size:
            return 0
        if not allow_truncated:
            raise TruncatedImageError(
                f"{self._source.name}: the page at offset {int(last['offset']):#x} is beyond the end of the file "
                f"({self._source.size} bytes). Copy it again, or read what is there with --allow-truncated"
            )
        lost = 0
        for begin in range(0, self._count, 1 << 16):
            part = self._descriptors(begin, min(begin + (1 << 16), self._count))
            size = np.uint64(self._source.size)
            lost += int(((part["offset"] > size) | (part["size"] > size - np.minimum(part["offset"], size))).sum())
        return lost * self._block

    def load(self, which: int) -> bytes:
        """One chunk of the flat array; pages beyond the file's end are marked absent."""
        numbers = self._stored[which * _PAGES : (which + 1) * _PAGES]
        known = numbers[numbers >= 0]
        base = int(known.min()) if len(known) else 0
        part = self._descriptors(base, int(known.max()) + 1) if len(known) else np.zeros(0, PAGE_DESC)
        out: list[bytes] = []
        for place, number in enumerate(numbers.tolist()):
            index = (which * _PAGES + place) * self._block
            out.append(bytes(self._block) if number < 0 else self._page(part[number - base], index))
        return b"".join(out)

    def _descriptors(self, low: int, high: int) -> NDArray[np.void]:
        size = PAGE_DESC.itemsize
        descriptors: NDArray[np.void] = np.frombuffer(
            read(self._source, self._first + low * size, (high - low) * size), PAGE_DESC
        )
        return descriptors

    def _page(self, descriptor: np.void, index: int) -> bytes:
        offset, size, flags = int(descriptor["offset"]), int(descriptor["size"]), int(descriptor["flags"])
        if size > self._block:
            raise ImageFormatError(
                f"{self._source.name}: a page at offset {offset:#x} claims {size} bytes, more than a page has"
            )
        if offset + size > self._source.size:
            self.backing.mark_absent(index, index + self._block)
            return bytes(self._block)
        data = read(self._source, offset, size)
        if size < self._block or flags & (ZLIB | LZO | SNAPPY | ZSTD):
            data = _unpack(data, flags, self._block, f"{self._source.name}: the page at offset {offset:#x}")
        return data


def _unpack(data: bytes, flags: int, size: int, where: str) -> bytes:
    """A page's bytes. ImageFormatError if they do not unpack to exactly a page."""
    try:
        if flags & ZLIB:
            unpack = zlib.decompressobj()
            page = unpack.decompress(data, size + 1)
        elif flags & LZO:
            page = _lzo(data, size)
        elif flags & SNAPPY:
            page = _snappy(data, size)
        elif flags & ZSTD:
            page = _zstd(data, size)
        else:
            raise ImageFormatError(f"{where} is packed in a way that memir does not know (flags {flags:#x})")
    except (ValueError, zlib.error) as error:
        raise ImageFormatError(f"{where} is damaged: {error}") from error
    if len(page) != size:
        raise ImageFormatError(f"{where} gave {len(page)} bytes, not {size}")
    return page


def _lzo(data: bytes, size: int) -> bytes:
    import lzallright

    try:
        return bytes(lzallright.LZOCompressor.decompress(data, size))
    except (lzallright.LZOError, lzallright.InputNotConsumed) as error:
        raise ValueError(str(error)) from error


def _snappy(data: bytes, size: int) -> bytes:
    import cramjam

    try:
        if cramjam.snappy.decompress_raw_len(data) != size:
            raise ValueError("its length is not a page's")
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise ValueError(str(error)) from error


def _zstd(data: bytes, size: int) -> bytes:
    import zstandard

    try:
        if zstandard.get_frame_parameters(data).content_size not in (size, 0, zstandard.CONTENTSIZE_UNKNOWN):
            raise ValueError("its length is not a page's")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error
