# SPDX-License-Identifier: Apache-2.0
"""fs/proc/task_mmu.c: what /proc/PID/maps and smaps show of regions, of many processes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.engine import texts
from memir.kernel.mm import page_roots
from memir.kernel.rows import among
from memir.kernel.space import u64
from memir.kernel.swap import swap_of
from memir.kernel.user_pages import user_mappings
from memir.kernel.vma import VM_EXEC, VM_READ, VM_WRITE, Vmas

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.kernel.pagetable import U64, Bools, Mappings

_VM_MAYSHARE = 0x80
_PAGE = 4096
_PFNMAP = 1 << 10  # VM_PFNMAP
FLAGS = {
    0: "rd", 1: "wr", 2: "ex", 3: "sh", 4: "mr", 5: "mw", 6: "me", 7: "ms", 8: "gd", 10: "pf", 13: "lo", 14: "io",
    15: "sr", 16: "rr", 17: "dc", 18: "de", 20: "ac", 21: "nr", 22: "ht", 23: "sf", 24: "ar", 25: "wf", 26: "dd",
    28: "mm", 29: "hg", 30: "nh", 31: "mg",
}  # fmt: skip
"""Bits of vm_flags by smaps' VmFlags, of those that mean the same on every kernel (5.10 to 7.2)."""


def permissions(flags: U64) -> list[str]:
    """`r-xp`, as maps shows them."""
    return [
        ("r" if value & VM_READ else "-")
        + ("w" if value & VM_WRITE else "-")
        + ("x" if value & VM_EXEC else "-")
        + ("s" if value & _VM_MAYSHARE else "p")
        for value in flags.tolist()
    ]


def names(kernel: Kernel, mm: U64, every: Vmas) -> list[str | None]:
    """What maps shows of regions without a file: [heap], [stack], [vdso], [vvar], [anon:NAME]; else None.

    mm: mm_structs that every.owner counts. get_vma_name(): a special mapping's own name goes before where it lies.
    """
    bare = every.file == 0
    home = mm[every.owner]
    bounds = {
        name: np.where(bare, kernel.read(mm, "mm_struct", name).astype(np.uint64)[every.owner], np.uint64(0))
        for name in ("brk", "start_brk", "start_stack")
    }
    heap = bare & (every.start < bounds["brk"]) & (every.end > bounds["start_brk"]) & (home != 0)
    stack = bare & (every.start <= bounds["start_stack"]) & (every.end >= bounds["start_stack"])
    special = _special(kernel, np.where(bare, every.vma, np.uint64(0)))
    given = _given(kernel, np.where(bare, every.vma, np.uint64(0)))
    rows = zip(special, heap.tolist(), stack.tolist(), given, strict=True)
    return [
        own or ("[heap]" if is_heap else "[stack]" if is_stack else None if name is None else f"[anon:{name}]")
        for own, is_heap, is_stack, name in rows
    ]


def special(kernel: Kernel, vma: U64) -> tuple[Bools, U64]:
    """(whether vm_ops.name is special_mapping_name, vm_private_data) of regions: the vdso and what belongs to it.

    special_mapping_name is a text symbol: no data symbols are needed.
    """
    named = kernel.symbols.get("special_mapping_name")
    ops = kernel.pointer(vma, "vm_area_struct", "vm_ops")
    own: Bools = kernel.pointer(ops, "vm_operations_struct", "name") == np.uint64(named or 0)
    own &= (ops != 0) & (named is not None)
    return own, kernel.pointer(np.where(own, vma, np.uint64(0)), "vm_area_struct", "vm_private_data")


def _special(kernel: Kernel, vma: U64) -> list[str | None]:
    """vm_special_mapping.name of special mappings."""
    if kernel.symbols.get("special_mapping_name") is None and len(vma):
        kernel.gaps.add("names of special mappings", "special_mapping_name", "no symbol: [vdso] and [vvar] not named")
    _, private = special(kernel, vma)
    name = kernel.pointer(private, "vm_special_mapping", "name")
    return [text or None for text in texts(kernel.strings(name, 64))]


def _given(kernel: Kernel, vma: U64) -> list[str | None]:
    """Names that processes gave to anonymous memory (prctl PR_SET_VMA_ANON_NAME), where the kernel can."""
    if not kernel.types.has("vm_area_struct", "anon_name"):
        return [None] * len(vma)
    name = kernel.pointer(vma, "vm_area_struct", "anon_name")
    return [text or None for text in texts(kernel.strings(kernel.embedded(name, "anon_vma_name", "name"), 81))]


def _zeros(kernel: Kernel) -> U64:
    """Physical addresses of the page of zeros and of the huge one, as far as symbols name them."""
    small, huge = (kernel.symbols.get(name) for name in ("empty_zero_page", "huge_zero_pfn"))
    pages = [] if small is None else [kernel.anchors.image_pa(small)]
    if huge is not None:  # all ones until it is made
        pfn = int(kernel.pointers(u64(huge))[0])
        pages += [pfn << 12] if 0 < pfn < 1 << 40 else []
    return np.array(pages, np.uint64)


def resident_swapped(kernel: Kernel, mm: U64, every: Vmas) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """(bytes that page tables map, bytes that they have in swap) of each region, int64[n] each, by one walk.

    Mapped as the kernel counts it: without pages of zeros, which count here where no symbol names them (arm64's 6.1),
    and none of a region whose pages are mapped by number alone (VM_PFNMAP: devices, [vvar]). Swapped: None where no
    symbol names the swap spaces; pages of a shared tmpfs are not among them: tables do not say where they went.
    """
    swap = swap_of(kernel)
    maps = user_mappings(kernel, page_roots(kernel, mm), swap.named if swap.spaces else None)
    gone = ~kernel.space.fmt.present(maps.entry, 0) & (maps.size == _PAGE)
    rss = _by_region(mm, every, maps, ~gone & ~among(maps.pa, _zeros(kernel)))
    rss = np.where((every.flags & np.uint64(_PFNMAP)) != 0, 0, rss)
    if not swap.spaces:
        return rss, np.zeros(len(every), np.int64) if "swap_info" in kernel.symbols else None
    return rss, _by_region(mm, every, maps, gone)


def _by_region(mm: U64, every: Vmas, maps: Mappings, counted: Bools) -> NDArray[np.int64]:
    """Bytes of mappings that count, by the region that they begin in."""
    sizes = np.zeros(len(every), np.int64)
    last = np.searchsorted(every.owner, np.arange(len(mm) + 1))
    edges = np.searchsorted(maps.owner, np.arange(len(mm) + 1))
    for owner in np.flatnonzero((np.diff(last) > 0) & (np.diff(edges) > 0)).tolist():
        own = slice(int(last[owner]), int(last[owner + 1]))
        part = slice(int(edges[owner]), int(edges[owner + 1]))
        va, size = maps.va[part], maps.size[part]
        start, end = every.start[own], every.end[own]
        row = np.searchsorted(start, va, "right") - 1
        inside = (row >= 0) & (va < end[np.maximum(row, 0)])
        inside &= counted[part]
        room = np.minimum(size[inside], end[row[inside]] - va[inside])
        sizes[own] += np.bincount(row[inside], room.astype(np.float64), len(start)).astype(np.int64)
    return sizes
