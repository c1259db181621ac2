# SPDX-License-Identifier: Apache-2.0
"""mm/slab.h: all objects of one slab cache, found by their pages and not by anything that links them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.page_struct import between, free_chunks
from memir.kernel.pagetable import U64, Bools
from memir.kernel.rows import among, spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_PAGE = 4096
_BLOCK = 1 << 16  # struct pages looked at together, which describe 256 MiB of RAM
_TYPE_BASE = 0xF000_0000  # PAGE_TYPE_BASE
_MAX_OBJECTS = 1 << 15  # slab.objects has 15 bits


def _member(kernel: Kernel, name: str) -> tuple[str, str]:
    """struct slab is a part of struct page's memory; before 5.17 (d122019bf061) its members were struct page's own."""
    return ("slab", name) if kernel.types.has("slab", name) else ("page", name)


def heads(kernel: Kernel, page: U64) -> U64:
    """The head of the compound page that each struct page belongs to; itself where it is no tail."""
    # 7.2: compound_info, which may hold a mask instead of an address
    member = kernel.first_member("page", "compound_info", "compound_head")
    info = kernel.try_read(page, "page", member)[0].astype(np.uint64)
    tail = (info & np.uint64(1)) != 0
    masked = info >= np.uint64(0xFFFF_FFFF_0000_0000)  # no vmemmap lies so high
    return np.where(tail, np.where(masked, page & info, info - np.uint64(1)), page)


def are_slabs(kernel: Kernel, head: U64) -> Bools:
    """Whether these struct pages (heads) are slabs by their own word. In others, slab_cache is another member.

    In a free page it is a link of the allocator's list (page.lru). All are, where the types do not tell the mark.
    """
    kinds, flags = kernel.types.enum("pagetype") or {}, kernel.types.enum("pageflags") or {}
    flag = flags.get("PG_slab", kernel.anchors.numbers.get("PG_slab"))
    if "PGTY_slab" in kinds:  # 6.12 (4ffca5a96678): the top byte of page_type is a number
        kind = kernel.try_read(head, "page", "page_type")[0].astype(np.uint64)
        marked: Bools = (kind >> np.uint64(24)) == np.uint64(kinds["PGTY_slab"])
    elif "PG_slab" in kinds:  # 6.11 (46df8e73a4a3): a bit of page_type, set where the page is none
        kind = kernel.try_read(head, "page", "page_type")[0].astype(np.uint64)
        marked = (kind & np.uint64(_TYPE_BASE | kinds["PG_slab"])) == np.uint64(_TYPE_BASE)
    elif flag is not None:
        word = kernel.try_read(head, "page", "flags")[0].astype(np.uint64)
        marked = (word & np.uint64(1 << flag)) != 0
    else:
        marked = np.ones(len(head), bool)
    return marked


def _caches(kernel: Kernel, head: U64) -> U64:
    """slab_cache of struct pages (heads); 0 for those that are no slab."""
    cache = kernel.pointer(head, *_member(kernel, "slab_cache"), gap=False)
    fine = kernel.space.is_kernel_pointer(cache) & are_slabs(kernel, head)
    return np.where(fine, cache, np.uint64(0))


def cache_of(kernel: Kernel, address: U64) -> int:
    """The kmem_cache that most of these objects (in the direct map) come from; 0 if none can be told."""
    pa, known = kernel.space.physical(address)
    cache = _caches(kernel, heads(kernel, kernel.space.struct_page(pa[known])))
    cache = cache[cache != 0]
    if not len(cache):
        return 0
    values, counts = np.unique(cache, return_counts=True)
    return int(values[counts.argmax()])


def objects(kernel: Kernel, cache: int) -> U64:
    """Addresses of every object slot of a cache, used or free: uint64[n]."""
    return slots(kernel, np.array([cache], np.uint64))[1]


def slots(kernel: Kernel, cache: U64) -> tuple[NDArray[np.int64], U64]:
    """Every object slot of some caches, used or free: (row of the cache int64[n], address of the slot uint64[n]).

    All RAM's struct pages are looked through once, however many caches there are.
    """
    cache = np.asarray(cache, np.uint64)
    size = kernel.read(cache, "kmem_cache", "size").astype(np.int64)
    sound = (size >= 8) & (size <= 1 << 20)
    for bad in np.flatnonzero(~sound).tolist():
        kernel.gaps.add("slab cache", f"{int(cache[bad]):#x}", f"objects of {int(size[bad])} bytes")
    if not sound.any():
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    page, of = _pages_of(kernel, cache[sound])
    row = np.flatnonzero(sound)[of].astype(np.int64)
    struct, member = _member(kernel, "objects")
    count = np.minimum(kernel.read(page, struct, member).astype(np.int64), _MAX_OBJECTS)
    start = kernel.space.page_physical(page) + np.uint64(kernel.space.direct_delta)
    owner, step = spread(count)
    return row[owner], start[owner] + (step * size[row[owner]]).astype(np.uint64)


def caches_of(kernel: Kernel, address: U64) -> tuple[U64, U64]:
    """(kmem_cache, start of its slab) of each object in the direct map; 0 where it lies in no slab."""
    pa, known = kernel.space.physical(address)
    head = heads(kernel, kernel.space.struct_page(np.where(known, pa, np.uint64(0))))
    cache = _caches(kernel, head)
    fine = known & (cache != 0)
    start = kernel.space.page_physical(head) + np.uint64(kernel.space.direct_delta)
    return np.where(fine, cache, np.uint64(0)), np.where(fine, start, np.uint64(0))


def _struct_pages(kernel: Kernel, first: int, end: int) -> U64:
    """Addresses of the struct pages of frames first .. end."""
    size = kernel.space.page_struct
    return np.uint64(kernel.space.vmemmap + first * size) + np.arange(end - first, dtype=np.uint64) * np.uint64(size)


def _pages_of(kernel: Kernel, cache: U64) -> tuple[U64, NDArray[np.int64]]:
    """(struct pages (heads) whose slab_cache is one of these, the row of that), over all RAM in the image."""
    space = kernel.space
    offset = kernel.types.offset(*_member(kernel, "slab_cache"))
    pages_met: list[U64] = []
    caches_met: list[U64] = []
    spans = [
        span for part in kernel.memory.ranges
        for span in between(free_chunks(kernel, part.start >> 12, part.end >> 12), part.start >> 12, -(-part.end >> 12))
    ]  # fmt: skip
    for start, end in spans:
        for begin in range(start, end, _BLOCK):
            head = _struct_pages(kernel, begin, min(begin + _BLOCK, end))
            where = head + np.uint64(offset)
            low = int(where[0]) & ~(_PAGE - 1)
            pa, known = space.physical(np.arange(low, int(where[-1]) + 1, _PAGE, dtype=np.uint64))
            page = (where - np.uint64(low)) >> np.uint64(12)
            word, ok = kernel.memory.gather_as(pa[page] + (where & np.uint64(_PAGE - 1)), "<u8")
            hit = np.flatnonzero(among(word, cache))
            hit = hit[(ok & known[page])[hit]]
            caches_met.append(word[hit])
            pages_met.append(head[hit])
    if not pages_met:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    pages, met = np.unique(np.concatenate(pages_met), return_index=True)
    order = np.argsort(cache, kind="stable")
    which = np.asarray(order[np.searchsorted(cache[order], np.concatenate(caches_met)[met])], np.int64)
    # a tail page of an old layout repeats nothing, but a stale word may look like the cache: heads only
    head = heads(kernel, pages) == pages
    return pages[head], which[head]
