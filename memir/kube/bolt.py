# SPDX-License-Identifier: Apache-2.0
"""bbolt's database file (go.etcd.io/bbolt), read by its tree: what is in it, and nothing that was.

A page that is no longer part of the tree keeps what it held until it is used again, so a search of the bytes finds
buckets that were deleted long ago. Layout: page.go, bucket.go, db.go of etcd-io/bbolt; all numbers little endian.

    page      id u64, flags u16, count u16, overflow u32; then `count` elements
    branch    pos u32, ksize u32, page id u64            (pos from the element's own start)
    leaf      flags u32 (1: a bucket), pos u32, ksize u32, vsize u32
    bucket    root page u64, sequence u64; root 0: its page follows inline
    meta      magic u32, version u32, page size u32, flags u32, root bucket (16 bytes), free list u64, pages u64,
              transaction u64, checksum u64 (FNV-1a of what stands before it)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MAGIC = 0xED0CDAED
BRANCH, LEAF, META = 1, 2, 4
_BUCKET = 1
_PAGE = struct.Struct("<QHHI")
_BRANCH = struct.Struct("<IIQ")
_LEAF = struct.Struct("<IIII")
_META = struct.Struct("<IIIIQQQQQQ")
_OS_PAGE = 4096
MAX_DEPTH = 32  # a tree of 4 KiB pages is below 10 deep for any file; more is a loop
MAX_ELEMENTS = 1 << 20
"""A node's metadata has some ten thousand keys: more is no database, or one made to hold up whoever reads it."""


class TornError(Exception):
    """A page that the tree needs is not in memory, or is not what it should be."""


@dataclass
class Bucket:
    """One bucket: values by key, buckets by key. holes: what of it, or below it, could not be read, as text."""

    values: dict[bytes, bytes] = field(default_factory=dict)
    buckets: dict[bytes, Bucket] = field(default_factory=dict)
    holes: list[str] = field(default_factory=list)

    def bucket(self, *path: bytes) -> Bucket | None:
        """The bucket at a path of keys; None if there is none."""
        bucket: Bucket | None = self
        for key in path:
            bucket = bucket.buckets.get(key) if bucket is not None else None
        return bucket

    def whole(self) -> bool:
        """Whether everything below it was read."""
        return not self.holes and all(bucket.whole() for bucket in self.buckets.values())


def read_bolt(pages: Sequence[bytes | None]) -> Bucket | None:
    """The root bucket of a file given as its pages of 4,096 bytes, None where missing; None if it is no such file.

    The newer of the two meta pages whose checksum is right leads. What cannot be read is in the buckets' `holes`.
    """
    metas = [meta for number in (0, 1) for meta in _metas(pages, number)]
    if not metas:
        return None
    _, size, root, end = max(metas)
    return _Reader(pages, size, end).bucket(root, b"", 0)


def _metas(pages: Sequence[bytes | None], number: int) -> Iterator[tuple[int, int, int, int]]:
    """(transaction, page size, root page, number of pages) of the meta pages that may be this one."""
    for size in (4096, 8192, 16384, 65536):  # the page size of the machine that made it; meta 1 lies one page on
        try:
            data = _slice(pages, number * size, _PAGE.size + _META.size)
        except TornError:
            continue
        magic, version, page_size, _, root, _, _, end, txid, checksum = _META.unpack(data[_PAGE.size :])
        sound = magic == MAGIC and version == 2 and page_size == size
        if sound and checksum == _fnv(data[_PAGE.size : -8]):
            yield txid, size, root, end
        if number == 0:
            return


def _fnv(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


def _slice(pages: Sequence[bytes | None], start: int, length: int) -> bytes:
    first, last = start // _OS_PAGE, -(-(start + length) // _OS_PAGE)
    parts = pages[first:last]
    if len(parts) < last - first or any(part is None for part in parts):
        raise TornError("page not in memory")
    joined = b"".join(part for part in parts if part is not None)
    return joined[start - first * _OS_PAGE :][:length]


class _Reader:
    """The state of one walk: pages met, elements counted."""

    def __init__(self, pages: Sequence[bytes | None], size: int, end: int) -> None:
        self.pages, self.size = pages, size
        self.end = min(end, len(pages) * _OS_PAGE // size + 1)
        self.met: set[int] = set()
        self.elements = 0

    def bucket(self, root: int, inline: bytes, depth: int) -> Bucket:
        """The bucket whose tree starts at a page, or lies inline behind its own header."""
        out = Bucket()
        if depth > MAX_DEPTH:
            out.holes.append("buckets nested too deep")
            return out
        if root == 0:
            self._page(inline, out, depth, inline=True)
        else:
            self._tree(root, out, depth)
        return out

    def _tree(self, number: int, out: Bucket, depth: int) -> None:
        todo = [number]
        while todo:
            page = todo.pop()
            try:
                todo.extend(self._page(self._load(page), out, depth))
            except TornError as error:
                out.holes.append(f"page {page}: {error}")

    def _load(self, number: int) -> bytes:
        if number in self.met or not 2 <= number < self.end:
            raise TornError("met before" if number in self.met else "past the end")
        self.met.add(number)
        head = _slice(self.pages, number * self.size, _PAGE.size)
        ident, _, _, overflow = _PAGE.unpack(head)
        if ident != number:
            raise TornError(f"it says that it is page {ident}")
        return _slice(self.pages, number * self.size, (1 + min(overflow, self.end)) * self.size)

    def _page(self, data: bytes, out: Bucket, depth: int, *, inline: bool = False) -> list[int]:
        """Take the elements of a page into a bucket; gives the pages below a branch."""
        if len(data) < _PAGE.size:
            out.holes.append("inline page is cut")
            return []
        _, flags, count, _ = _PAGE.unpack_from(data)
        kind = _BRANCH if flags & BRANCH else _LEAF if flags & LEAF else None
        if kind is None or (inline and kind is _BRANCH) or _PAGE.size + count * kind.size > len(data):
            raise TornError(f"flags {flags:#x}, {count} elements")
        self.elements += count
        if self.elements > MAX_ELEMENTS:
            raise TornError(f"more than {MAX_ELEMENTS} elements")
        below: list[int] = []
        for index in range(count):
            offset = _PAGE.size + index * kind.size
            if kind is _BRANCH:
                below.append(_BRANCH.unpack_from(data, offset)[2])
            else:
                self._leaf(data, offset, out, depth)
        return below

    def _leaf(self, data: bytes, offset: int, out: Bucket, depth: int) -> None:
        flags, pos, ksize, vsize = _LEAF.unpack_from(data, offset)
        start = offset + pos
        if start + ksize + vsize > len(data):
            out.holes.append("element past its page's end")
            return
        key, value = data[start : start + ksize], data[start + ksize : start + ksize + vsize]
        if not flags & _BUCKET:
            out.values[key] = value
        elif len(value) < 16:
            out.holes.append("bucket without a header")
        else:
            root = int.from_bytes(value[:8], "little")
            try:
                out.buckets[key] = self.bucket(root, value[16:], depth + 1)
            except TornError as error:
                out.holes.append(f"bucket: {error}")
