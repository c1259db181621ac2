# SPDX-License-Identifier: Apache-2.0
"""include/linux/mm_types.h, page-flags.h: what each page of RAM is used for, by its struct page.

The struct pages of a gigabyte are 16 MiB of one virtual array (vmemmap), so they are read as bytes, a block a
time, and told apart by columns. Tail pages of a compound page (a large folio, a slab) are what their head is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import pcp
from memir.kernel.pagetable import U64, Bools

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

UNKNOWN, FREE, KERNEL, ANON, FILE = range(5)
"""Uses of a page. KERNEL holds slabs, page tables, stacks, reserved pages and all else that no user owns."""
NAMES = ("unknown", "free", "kernel", "anonymous", "file")

BLOCK = 1 << 15
"""Pages told apart at once: 2 MiB of struct pages."""
_PAGE = 4096
_MAX_ORDER = 20  # a huge page of 1 GiB has order 18; the allocator's own end at 10 on most
_UNREAD = 255  # no kind of page
_OLD_BUDDY = 0xFFFF_FF7F  # PAGE_TYPE_BASE without PG_buddy: 4.18 to 6.10
_MASK_HEADS = np.uint64(0xFFFF_FFFF_0000_0000)

U8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Pages:
    """Every page frame of the image's ranges, ascending; a frame is a physical address >> 12.

    first: uint64[r], count: int64[r], the frames of each range. use: uint8[n], over all ranges, named above.
    file_pfn, mapping, index: uint64[m], the pages of files: struct address_space and page number in the file.
    """

    first: U64
    count: NDArray[np.int64]
    use: U8
    file_pfn: U64
    mapping: U64
    index: U64

    def position(self, pfn: U64) -> NDArray[np.int64]:
        """Place of frames in `use`, -1 for those that are not in the image."""
        pfn = np.asarray(pfn, np.uint64)
        if not len(self.first):
            return np.full(len(pfn), -1, np.int64)
        part = np.searchsorted(self.first, pfn, "right") - 1
        inside = np.where(part >= 0, pfn - self.first[part], np.uint64(2**63)).astype(np.int64)
        base = np.cumsum(self.count) - self.count
        return np.where((inside >= 0) & (inside < self.count[part]), base[part] + inside, -1)

    def pfn(self) -> U64:
        """All frames, in the order of `use`."""
        spans = zip(self.first.tolist(), self.count.tolist(), strict=True)
        parts = [np.arange(first, first + count, dtype=np.uint64) for first, count in spans]
        return np.concatenate(parts) if parts else np.zeros(0, np.uint64)

    def use_of(self, pfn: U64) -> U8:
        """The use of page frames; UNKNOWN for those that are not in the image."""
        if not len(self.use):
            return np.zeros(len(pfn), np.uint8)
        row = self.position(pfn)
        return np.where(row >= 0, self.use[np.maximum(row, 0)], np.uint8(UNKNOWN)).astype(np.uint8)


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


def pages(kernel: Kernel, *, count: bool = True) -> Pages:
    """The use of every page of RAM in the image; frames without a readable struct page are UNKNOWN.

    count: count those as a gap; a caller that wants pages of files alone compares with what each file says it has.
    """
    layout = Layout(kernel)
    spans = [((part.start + _PAGE - 1) >> 12, part.end >> 12) for part in kernel.memory.ranges]
    spans = [(first, end) for first, end in spans if end > first]
    starts = np.array([first for first, _ in spans], np.uint64)
    counts = np.array([end - first for first, end in spans], np.int64)
    uses: list[U8] = []
    files: list[tuple[U64, U64, U64]] = []
    free: list[tuple[U64, NDArray[np.int64]]] = []  # blocks of the buddy allocator: first frame, order
    for first, end in spans:
        for begin in range(first, end, BLOCK):
            here = np.arange(begin, min(begin + BLOCK, end), dtype=np.uint64)
            use, mapping, index, order = _block(kernel, layout, here)
            uses.append(use)
            file = use == FILE
            files.append((here[file], mapping[file], index[file]))
            free.append((here[order >= 0], order[order >= 0]))
    none = np.zeros(0, np.uint64)
    columns = [np.concatenate(column) for column in zip(*files, strict=True)] if files else [none, none, none]
    read = Pages(starts, counts, np.concatenate(uses) if uses else np.zeros(0, np.uint8), *columns)
    if free:
        _spread_free(read, np.concatenate([chain[0] for chain in free]), np.concatenate([chain[1] for chain in free]))
    _adopt(read)
    read.use[read.use == _UNREAD] = UNKNOWN
    _spread_kept(kernel, read)
    unread = int((read.use == UNKNOWN).sum()) if count else 0
    kernel.gaps.add("page", f"{unread} frames", "use not told by struct page", unread)
    return read


def owners(kernel: Kernel, pfn: U64) -> tuple[U64, U64]:
    """(mapping, index) of the struct pages of some frames, a tail's from its head; 0 where not readable.

    mapping holds the kernel's low bits: 1 an anon_vma, 3 KSM, 0 an address_space.
    """
    layout = Layout(kernel)
    pfn = np.asarray(pfn, np.uint64)
    raw, ok = kernel.read_bytes(kernel.space.struct_page(pfn << np.uint64(12)), layout.size)
    head, behind, _ = of_heads(kernel, layout, raw, pfn, together=False)
    mapping, index = layout.column(head, layout.mapping, "<u8"), layout.column(head, layout.index, "<u8") + behind
    return np.where(ok, mapping, np.uint64(0)), np.where(ok, index, np.uint64(0))


def held_by_kernel(kernel: Kernel, first: int, count: int) -> tuple[int, int]:
    """(frames whose struct page is not readable, frames that are slabs or page tables) of `count` frames from `first`.

    Neither can be all zeros: a slab holds free-list pointers or objects, a table at least one entry.
    """
    layout = Layout(kernel)
    unread = held = 0
    for begin in range(first, first + count, BLOCK):
        raw, ok = struct_pages(kernel, layout, begin, min(BLOCK, first + count - begin))
        flags, kind = layout.column(raw, layout.flags, "<u8"), layout.column(raw, layout.type, "<u4")
        unread += int((~ok).sum())
        held += int((ok & (((flags & layout.slab) != 0) | (layout.is_typed(kind) & ~layout.is_buddy(kind)))).sum())
    return unread, held


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
    sound = ~tail | ((number < here) & (behind < np.uint64(1 << _MAX_ORDER)))
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


def _block(kernel: Kernel, layout: Layout, here: U64) -> tuple[U8, U64, U64, NDArray[np.int64]]:
    """(use, mapping, index, order of a free block or -1) of a block of frames."""
    raw, ok = struct_pages(kernel, layout, int(here[0]), len(here))
    own_type = layout.column(raw, layout.type, "<u4")
    refcount = layout.column(raw, layout.refcount, "<u4")
    head, behind, tail = of_heads(kernel, layout, raw, here)
    flags = layout.column(head, layout.flags, "<u8")
    mapping = layout.column(head, layout.mapping, "<u8")
    index = layout.column(head, layout.index, "<u8") + behind
    kind = layout.column(head, layout.type, "<u4")
    held = layout.column(head, layout.refcount, "<u4") != 0
    buddy = ok & ~tail & layout.is_buddy(own_type)
    kernels = ((flags & (layout.reserved | layout.slab)) != 0) | layout.is_typed(kind)
    low = mapping & np.uint64(3)
    owned = held & ~kernels & (mapping != 0) & kernel.space.is_kernel_pointer(mapping)
    use = np.full(len(here), KERNEL, np.uint8)
    use[owned & (low == 0)] = FILE
    use[owned & ((low == 1) | (low == 3))] = ANON
    idle = ~tail & (refcount == 0) & ~kernels & ~buddy
    use[idle] = UNKNOWN
    use[idle & _listed(kernel, layout, raw, here, idle)] = FREE
    use[buddy] = FREE
    use[~ok] = _UNREAD
    order = np.where(buddy, layout.column(raw, layout.private, "<u8").astype(np.int64), -1)
    order = np.where((order <= _MAX_ORDER) & (order >= 0), order, np.where(buddy, 0, -1))
    return use, mapping, index, order


def _listed(kernel: Kernel, layout: Layout, raw: U8, here: U64, idle: Bools) -> Bools:
    """Unreferenced pages whose list links hold on both sides: those wait on a processor's own free lists.

    Freed single pages go there first (include/linux/mmzone.h per_cpu_pages): what a process just left is
    there.
    """
    listed = np.zeros(len(here), bool)
    rows = np.flatnonzero(idle)
    node = np.uint64(kernel.space.vmemmap) + here[rows] * np.uint64(layout.size) + np.uint64(layout.lru)
    after = layout.column(raw[rows], layout.lru, "<u8")
    before = layout.column(raw[rows], layout.lru + 8, "<u8")
    linked = (after != 0) & (before != 0) & (after != node) & kernel.space.is_kernel_pointer(after)
    linked &= kernel.space.is_kernel_pointer(before)
    rows, node, after, before = rows[linked], node[linked], after[linked], before[linked]
    back, _ = kernel.try_pointers(after + np.uint64(8))
    forth, _ = kernel.try_pointers(before)
    listed[rows[(back == node) & (forth == node)]] = True
    return listed


def _adopt(pages: Pages) -> None:
    """Give kernel allocations their later pages.

    alloc_pages() without __GFP_COMP counts references in the first page of a block only; the others look idle but
    are on no free list. They follow their first page, which lies at a multiple of the block's size.
    """
    use = pages.use
    lost = np.concatenate(([False], use == UNKNOWN, [False]))
    starts, ends = np.flatnonzero(lost[1:] & ~lost[:-1]), np.flatnonzero(~lost[1:] & lost[:-1])
    frames = pages.pfn()
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if start == 0 or use[start - 1] != KERNEL or frames[start] != frames[start - 1] + np.uint64(1):
            continue
        first = int(frames[start - 1])
        order = min((first & -first).bit_length() - 1 if first else _MAX_ORDER, (end - start + 1).bit_length() - 1)
        use[start : start - 1 + (1 << order)] = KERNEL


def _spread_kept(kernel: Kernel, pages: Pages) -> None:
    """Mark the frames of free blocks that a processor keeps to itself, of which the later ones say nothing."""
    first, order = pcp.blocks(kernel)
    for size in np.unique(order).tolist():
        row = pages.position(of_blocks(first[order == size], size))
        row = row[row >= 0]
        pages.use[row[pages.use[row] == UNKNOWN]] = FREE


def of_blocks(first: U64, order: int) -> U64:
    """Frames (uint64[n << order]) of blocks of 2**order, by the first of each; one that is not aligned is no block."""
    heads = first[(first & np.uint64((1 << order) - 1)) == 0]
    every: U64 = (heads[:, None] + np.arange(1 << order, dtype=np.uint64)).reshape(-1)
    return every


def _spread_free(pages: Pages, first: U64, order: NDArray[np.int64]) -> None:
    """Mark all frames of the buddy allocator's blocks: only a block's first frame says that it is free."""
    for size in np.unique(order[order > 0]).tolist():
        row = pages.position(of_blocks(first[order == size], size))
        pages.use[row[row >= 0]] = FREE
