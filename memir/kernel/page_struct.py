# SPDX-License-Identifier: Apache-2.0
"""include/linux/mm_types.h, page-flags.h: struct page as this kernel has it, and many of them as columns of bytes.

The struct pages of a gigabyte are 16 MiB of one virtual array (vmemmap), so they are read as bytes, a block a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.pagetable import U64, Bools

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

CHUNK = 1 << 10
"""Frames of the largest free blocks (order 10) of x86-64 and of arm64 with pages of 4 KiB."""
BLOCK = 1 << 15
"""Pages told apart at once: 2 MiB of struct pages."""
MAX_ORDER = 20  # a huge page of 1 GiB has order 18; the allocator's own end at 10 on most
_PAGE = 4096
_OLD_BUDDY = 0xFFFF_FF7F  # PAGE_TYPE_BASE without PG_buddy: 4.18 to 6.10
_MASK_HEADS = np.uint64(0xFFFF_FFFF_0000_0000)

U8 = NDArray[np.uint8]


class Layout:
    """Offsets and constants of this kernel's struct page."""

    def __init__(self, kernel: Kernel) -> None:
        types, numbers = kernel.types, kernel.anchors.numbers
        self.size = kernel.space.page_struct
        self.flags = types.offset("page", "flags")
        self.mapping = types.offset("page", "mapping")
        self.private = types.offset("page", "private")
        self.index = types.offset("page", types.first("page", "__folio_index", "index"))
        # 7.2: compound_info, which may hold a mask instead of an address
        self.head = types.offset("page", types.first("page", "compound_info", "compound_head"))
        self.lru = types.offset("page", types.first("page", "pcp_list", "lru"))
        self.type = types.offset("page", "page_type")
        self.refcount = types.offset("page", "_refcount")
        flags = types.enum("pageflags") or {}
        self.reserved = np.uint64(1 << flags.get("PG_reserved", 12))
        slab = flags.get("PG_slab", numbers.get("PG_slab"))
        self.slab = np.uint64(0 if slab is None else 1 << slab)
        kinds = types.enum("pagetype") or {}
        # 6.12 (4ffca5a96678): the top byte of page_type is a number; before, a word with one bit cleared
        self.buddy_byte = kinds.get("PGTY_buddy")
        self.hugetlb_byte = kinds.get("PGTY_hugetlb", -1)
        self.buddy_word = numbers.get("PAGE_BUDDY_MAPCOUNT_VALUE", _OLD_BUDDY) & 0xFFFF_FFFF

    def column(self, raw: U8, offset: int, dtype: str) -> NDArray[np.uint64]:
        """One member of many struct pages (uint8[n, size]) as uint64[n]."""
        width = np.dtype(dtype).itemsize
        return np.ascontiguousarray(raw[:, offset : offset + width]).view(dtype)[:, 0].astype(np.uint64)

    def is_buddy(self, kind: U64) -> Bools:
        """Head of a block on the buddy allocator's free lists."""
        if self.buddy_byte is not None and self.buddy_byte < 256:
            result: Bools = (kind >> np.uint64(24)) == np.uint64(self.buddy_byte)
        else:
            result = kind == np.uint64(self.buddy_word)
        return result

    def is_typed(self, kind: U64) -> Bools:
        """page_type says what the page is (a table, a slab), where a mapped page has its map count."""
        end = np.uint64(0xFF00_0000 if self.buddy_byte else 0xFFFF_FF80)
        typed = (kind >= np.uint64(0x8000_0000)) & (kind < end)
        other: Bools = (kind >> np.uint64(24)) != np.uint64(self.hugetlb_byte & 0xFF)
        return typed & other


def free_chunks(kernel: Kernel, first: int, end: int) -> U64:
    """First frames of the chunks of CHUNK frames in [first, end), that are one free block each, ascending.

    Their struct pages but the first say nothing, and on a large node they are most of all: nobody has to read them.
    """
    layout = Layout(kernel)
    heads = np.arange(-(-first // CHUNK) * CHUNK, end - CHUNK + 1, CHUNK, dtype=np.uint64)
    place = np.uint64(kernel.space.vmemmap) + heads * np.uint64(layout.size)
    raw, ok = kernel.read_bytes(place, layout.size)
    tail = (layout.column(raw, layout.head, "<u8") & np.uint64(1)) != 0
    free = ok & ~tail & layout.is_buddy(layout.column(raw, layout.type, "<u4"))
    result: U64 = heads[free & (layout.column(raw, layout.private, "<u8") == np.uint64(CHUNK.bit_length() - 1))]
    return result


def between(free: U64, first: int, end: int) -> list[tuple[int, int]]:
    """[first, end) without those chunks, as spans (first, end), ascending."""
    edges = free.tolist()
    lows, highs = [first, *(edge + CHUNK for edge in edges)], [*edges, end]
    return [(low, high) for low, high in zip(lows, highs, strict=True) if low < high]


def struct_pages(kernel: Kernel, layout: Layout, first: int, count: int) -> tuple[U8, Bools]:
    """(uint8[count, size], read bool[count]) of the struct pages of frames first .. first + count."""
    start = kernel.space.vmemmap + first * layout.size
    low = start & ~(_PAGE - 1)
    need = -(-(start + count * layout.size - low) // _PAGE)
    va = np.uint64(low) + np.arange(need, dtype=np.uint64) * np.uint64(_PAGE)
    pa, known = kernel.space.physical(va)
    raw, ok = kernel.memory.gather(pa, _PAGE)
    ok &= known
    flat = np.ascontiguousarray(raw).reshape(-1)[start - low :][: count * layout.size]
    where = (start - low + np.arange(count) * layout.size) // _PAGE
    last = (start - low + (np.arange(count) + 1) * layout.size - 1) // _PAGE
    return flat.reshape(count, layout.size), ok[where] & ok[last]


def of_heads(kernel: Kernel, layout: Layout, raw: U8, here: U64, *, together: bool = True) -> tuple[U8, U64, Bools]:
    """Struct pages, each tail replaced by its head; how far each is behind its head; whether it is a tail."""
    info = layout.column(raw, layout.head, "<u8")
    tail = (info & np.uint64(1)) != 0
    own = np.uint64(kernel.space.vmemmap) + here * np.uint64(layout.size)
    masked = info >= _MASK_HEADS  # no vmemmap lies so high
    head = np.where(masked, own & info, info - np.uint64(1))
    number = (head - np.uint64(kernel.space.vmemmap)) // np.uint64(layout.size)
    behind = np.where(tail, here - number, np.uint64(0))
    sound = ~tail | ((number < here) & (behind < np.uint64(1 << MAX_ORDER)))
    behind = np.where(sound, behind, np.uint64(0))
    if not tail.any():
        return raw, behind, tail
    resolved = raw.copy()
    rows = np.flatnonzero(tail & sound)
    inside = number[rows] >= here[0] if together else np.zeros(len(rows), bool)
    resolved[rows[inside]] = raw[(number[rows[inside]] - here[0]).astype(np.int64)]
    outside = rows[~inside]
    if len(outside):
        unique, back = np.unique(head[outside], return_inverse=True)
        far, ok = kernel.read_bytes(unique, layout.size)
        resolved[outside] = far[back]
        behind[outside[~ok[back]]] = 0
    return resolved, behind, tail
