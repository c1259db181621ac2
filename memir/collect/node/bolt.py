# SPDX-License-Identifier: Apache-2.0
"""Buckets of bbolt's database file (go.etcd.io/bbolt: page.go, bucket.go, db.go), of one that is being written to.

A change is written to pages that are free, then to the older of two meta pages, which names the new root: what a meta
page leads to stays until the next change but one. `Bolt.unchanged` says whether that was so while it was read.

    page      id u64, flags u16, count u16, overflow u32; then `count` elements
    branch    pos u32, ksize u32, page id u64            (pos from the element's own start)
    leaf      flags u32 (1: a bucket), pos u32, ksize u32, vsize u32
    bucket    root page u64, sequence u64; root 0: its page follows inline
    meta      magic u32, version u32, page size u32, flags u32, root bucket (16 bytes), free list u64, pages u64,
              transaction u64, checksum u64 (FNV-1a of what stands before it)
"""

import os
import struct
from typing import Dict, Iterator, List, Optional, Tuple

from memir.collect.node.procfs import open_quietly

MAGIC = 0xED0CDAED
BRANCH, LEAF, BUCKET = 1, 2, 1
MAX_PAGES = 1 << 16
MAX_PAGE = 64 << 20
_PAGE, _BRANCH, _LEAF = struct.Struct("<QHHI"), struct.Struct("<IIQ"), struct.Struct("<IIII")
_META = struct.Struct("<IIIIQQQQQQ")
Place = Tuple[int, bytes]
"""A bucket: its root page, or 0 and its page."""


class BoltError(Exception):
    """The file is no such database, or changed while it was read."""


class Bolt:
    """The database at a path. OSError, BoltError. Close it."""

    def __init__(self, path: str) -> None:
        self._fd = open_quietly(path, flags=os.O_NOFOLLOW)
        self._pages = 0
        self._transaction, self._size, self._root = self._meta()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def unchanged(self) -> bool:
        """Whether what was read can still be there: at most one change since it was opened."""
        return self._meta()[0] <= self._transaction + 1

    def bucket(self, *keys: bytes) -> Optional[Place]:
        """The bucket at a path of keys, None if there is none. BoltError."""
        place: Place = (self._root, b"")
        for key in keys:
            below = self.below(place, key)
            if below is None:
                return None
            place = below
        return place

    def below(self, place: Place, key: bytes) -> Optional[Place]:
        """A bucket in a bucket."""
        return next((_place(value) for name, value, flags in self.items(place, key) if flags & BUCKET), None)

    def values(self, place: Place) -> Dict[bytes, bytes]:
        """What a bucket holds that is no bucket."""
        return {key: value for key, value, flags in self.items(place) if not flags & BUCKET}

    def buckets(self, place: Place) -> Iterator[Tuple[bytes, Place]]:
        """The buckets in a bucket."""
        for key, value, flags in self.items(place):
            if flags & BUCKET:
                yield key, _place(value)

    def items(self, place: Place, wanted: Optional[bytes] = None) -> Iterator[Tuple[bytes, bytes, int]]:
        """(key, value, flags) of a bucket's elements; wanted: of this key alone."""
        number, inline = place
        if not number:
            for element in _elements(inline, _LEAF):
                if wanted is None or element[0] == wanted:
                    yield element
            return
        waiting = [number]
        while waiting:
            data, branch = self._page(waiting.pop())
            if not branch:
                for element in _elements(data, _LEAF):
                    if wanted is None or element[0] == wanted:
                        yield element
                continue
            below = [(key, page) for key, _, page in _elements(data, _BRANCH)]
            if wanted is not None:  # keys are in order: what is below a page is not less than its key
                first = max([row for row, (key, _) in enumerate(below) if key <= wanted] or [0])
                below = below[first : first + 1]
            waiting.extend(page for _, page in reversed(below))

    def _page(self, number: int) -> Tuple[bytes, bool]:
        self._pages += 1
        if self._pages > MAX_PAGES:
            raise BoltError("more than %d pages: a loop, or no metadata" % MAX_PAGES)
        inside = 2 <= number < 1 << 40
        head = os.pread(self._fd, _PAGE.size, number * self._size) if inside else b""
        if len(head) < _PAGE.size:
            raise BoltError("page %d is not in the file" % number)
        ident, flags, _, overflow = _PAGE.unpack(head)
        length = (overflow + 1) * self._size
        if ident != number or not flags & (BRANCH | LEAF) or length > MAX_PAGE:
            raise BoltError("page %d is none of the tree" % number)
        return os.pread(self._fd, length, number * self._size), bool(flags & BRANCH)

    def _meta(self) -> Tuple[int, int, int]:
        """(transaction, page size, root page) of the newer meta page."""
        metas: List[Tuple[int, int, int]] = []
        sizes: Tuple[int, ...] = (4096, 8192, 16384, 65536)
        for start in (0, *sizes):
            data = os.pread(self._fd, _PAGE.size + _META.size, start)[_PAGE.size :]
            if len(data) < _META.size:
                continue
            magic, version, size, _, root, _, _, _, transaction, checksum = _META.unpack(data)
            if (magic, version) == (MAGIC, 2) and size in sizes and start in (0, size) and checksum == _fnv(data[:-8]):
                metas.append((transaction, size, root))
        if not metas:
            raise BoltError("has no meta page of bbolt's")
        return max(metas)


def _place(value: bytes) -> Place:
    if len(value) < 16:
        raise BoltError("a bucket without a header")
    return struct.unpack_from("<Q", value)[0], value[16:]


def _elements(data: bytes, kind: struct.Struct) -> Iterator[Tuple[bytes, bytes, int]]:
    """(key, value, flags) of a leaf's elements; (key, b"", page) of a branch's."""
    if len(data) < _PAGE.size:
        raise BoltError("a page that is cut")
    count = _PAGE.unpack_from(data)[2]
    if _PAGE.size + count * kind.size > len(data):
        raise BoltError("a page of %d elements that it has no room for" % count)
    for offset in range(_PAGE.size, _PAGE.size + count * kind.size, kind.size):
        if kind is _BRANCH:
            pos, key_size, page = kind.unpack_from(data, offset)
            value_size, flags = 0, page
        else:
            flags, pos, key_size, value_size = kind.unpack_from(data, offset)
        start = offset + pos
        if start + key_size + value_size > len(data):
            raise BoltError("an element past its page's end")
        yield data[start : start + key_size], data[start + key_size : start + key_size + value_size], flags


def _fnv(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in bytearray(data):
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value
