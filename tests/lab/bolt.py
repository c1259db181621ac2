# SPDX-License-Identifier: Apache-2.0
"""Write a bolt database, the file format of containerd's meta.db.

The format: https://github.com/etcd-io/bbolt/blob/main/internal/common (page.go, meta.go, bucket.go, inode.go). Pages of
4096 bytes: two meta pages, the free list, then one leaf page (with as many overflow pages as it needs) for each bucket.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

Bucket: TypeAlias = "dict[bytes, bytes | Bucket]"

PAGE = 4096
_MAGIC, _VERSION = 0xED0CDAED, 2
_LEAF, _META, _FREELIST = 0x02, 0x04, 0x10
_HEADER = struct.Struct("<QHHI")  # id, flags, count, overflow
_ELEMENT = struct.Struct("<IIII")  # flags, position from the element itself, key size, value size
_BUCKET_LEAF = 1


def _leaf(elements: list[tuple[int, bytes, bytes]]) -> bytes:
    """Elements and their data, as they follow a page's header."""
    head, data = b"", b""
    for row, (flags, key, value) in enumerate(elements):
        position = (len(elements) - row) * _ELEMENT.size + len(data)
        head += _ELEMENT.pack(flags, position, len(key), len(value))
        data += key + value
    return head + data


def _fnv64a(data: bytes) -> int:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & (1 << 64) - 1
    return value


class _Writer:
    def __init__(self) -> None:
        self.pages: list[bytes] = [b"", b"", b""]  # meta, meta, free list

    def _put(self, body: bytes, flags: int, count: int) -> int:
        number = len(self.pages)
        overflow = (len(body) + _HEADER.size - 1) // PAGE
        page = _HEADER.pack(number, flags, count, overflow) + body
        page = page.ljust((overflow + 1) * PAGE, b"\0")
        self.pages += [page[at : at + PAGE] for at in range(0, len(page), PAGE)]
        return number

    def bucket(self, bucket: Bucket) -> bytes:
        """A bucket as the value of its parent's element: root page and sequence, and the page itself if it is small."""
        elements = []
        for key, value in sorted(bucket.items()):
            elements.append((0, key, value) if isinstance(value, bytes) else (_BUCKET_LEAF, key, self.bucket(value)))
        body = _leaf(elements)
        inline = not any(flags for flags, *_ in elements) and _HEADER.size + len(body) <= PAGE // 4
        if inline:
            return struct.pack("<QQ", 0, 0) + _HEADER.pack(0, _LEAF, len(elements), 0) + body
        return struct.pack("<QQ", self._put(body, _LEAF, len(elements)), 0)


def _meta(number: int, root: int, pages: int) -> bytes:
    body = struct.pack("<IIIIQQQQQ", _MAGIC, _VERSION, PAGE, 0, root, 0, 2, pages, number)
    return (_HEADER.pack(number, _META, 0, 0) + body + struct.pack("<Q", _fnv64a(body))).ljust(PAGE, b"\0")


def database(root: Bucket) -> bytes:
    """A whole database file. Values that are dicts are buckets."""
    writer = _Writer()
    top = struct.unpack_from("<Q", writer.bucket(root))[0]
    if not top:  # the root bucket is never inline
        raise ValueError("the root holds no bucket")
    count = len(writer.pages)
    writer.pages[0], writer.pages[1] = _meta(0, top, count), _meta(1, top, count)
    writer.pages[2] = _HEADER.pack(2, _FREELIST, 0, 0).ljust(PAGE, b"\0")
    return b"".join(writer.pages)
