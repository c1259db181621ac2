# SPDX-License-Identifier: Apache-2.0
"""include/linux/mm_types.h, page-flags.h: what each page of RAM is used for, by its struct page.

They are told apart by columns, a block a time. Tail pages of a compound page (a large folio, a slab) are what their
head is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import pcp
from memir.kernel.page_struct import (
    BLOCK,
    CHUNK,
    MAX_ORDER,
    U8,
    Layout,
    between,
    free_chunks,
    of_heads,
    struct_pages,
)  # fmt: skip
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

UNKNOWN, FREE, KERNEL, ANON, FILE = range(5)
"""Uses of a page. KERNEL holds slabs, page tables, stacks, reserved pages and all else that no user owns."""
NAMES = ("unknown", "free", "kernel", "anonymous", "file")

_PAGE = 4096
_UNREAD = 255  # no kind of page


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

    def busy(self) -> tuple[Pages, int]:
        """(the same without all but the first of the aligned chunks that are free; how many frames it lacks)."""
        firsts: list[int] = []
        counts: list[int] = []
        uses: list[U8] = []
        place, kept = 0, False
        for first, count in zip(self.first.tolist(), self.count.tolist(), strict=True):
            use = self.use[place : place + count]
            lead = min(-first % CHUNK, count)
            rows = (use[lead : lead + (count - lead) // CHUNK * CHUNK] == FREE).reshape(-1, CHUNK).all(axis=1)
            whole = np.uint64(first + lead) + np.flatnonzero(rows).astype(np.uint64) * np.uint64(CHUNK)
            whole, kept = whole[not kept :], kept or bool(len(whole))
            for low, high in between(whole, first, first + count):
                firsts.append(low)
                counts.append(high - low)
                uses.append(use[low - first : high - first])
            place += count
        left = np.concatenate(uses) if uses else self.use[:0]
        columns = np.array(firsts, np.uint64), np.array(counts, np.int64), left
        return Pages(*columns, self.file_pfn, self.mapping, self.index), len(self.use) - len(left)

    def use_of(self, pfn: U64) -> U8:
        """The use of page frames; UNKNOWN for those that are not in the image."""
        if not len(self.use):
            return np.zeros(len(pfn), np.uint8)
        row = self.position(pfn)
        return np.where(row >= 0, self.use[np.maximum(row, 0)], np.uint8(UNKNOWN)).astype(np.uint8)


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
        whole = free_chunks(kernel, first, end)
        told = np.full(end - first, FREE, np.uint8)
        for low, high in between(whole, first, end):
            for begin in range(low, high, BLOCK):
                here = np.arange(begin, min(begin + BLOCK, high), dtype=np.uint64)
                use, mapping, index, order = _block(kernel, layout, here)
                told[begin - first : begin - first + len(here)] = use
                file = use == FILE
                files.append((here[file], mapping[file], index[file]))
                free.append((here[order >= 0], order[order >= 0]))
        uses.append(told)
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
    order = np.where((order <= MAX_ORDER) & (order >= 0), order, np.where(buddy, 0, -1))
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
        order = min((first & -first).bit_length() - 1 if first else MAX_ORDER, (end - start + 1).bit_length() - 1)
        use[start : start - 1 + (1 << order)] = KERNEL


def _spread_kept(kernel: Kernel, pages: Pages) -> None:
    """Mark the frames of free blocks that a processor keeps to itself, of which the later ones say nothing."""
    first, order = pcp.blocks(kernel)
    for size in distinct(order).tolist():
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
    for size in distinct(order[order > 0]).tolist():
        row = pages.position(of_blocks(first[order == size], size))
        pages.use[row[row >= 0]] = FREE
