# SPDX-License-Identifier: Apache-2.0
"""Every frame of RAM with what it holds and whose it is, in the kernel's words, as columns over struct page.

memir.kernel.page tells free, anonymous and file pages from the kernel's own; here the kernel's own are told apart: by
struct page (slabs, page tables, reserved), by the tables of processes, by the stacks of tasks, and by where the kernel
maps a page beside the direct map (vmalloc, struct pages, its own image). What no rule names stays NOT_KNOWN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import memcontrol, page, percpu_counter, vmalloc
from memir.kernel.mm import page_roots
from memir.kernel.page_struct import BLOCK, Layout, of_heads, struct_pages
from memir.kernel.pagetable import I64, U64, Bools, tables
from memir.kernel.rows import distinct, spread
from memir.kernel.space import u64
from memir.kernel.user_pages import user_mappings

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KINDS = (
    "not known", "free", "anonymous", "file", "slab", "page table", "kernel stack", "vmalloc", "struct pages",
    "kernel image", "per-CPU", "large kmalloc", "zsmalloc", "offline", "zero page", "reserved",
)  # fmt: skip
"""What a frame is used for; Frames.kind counts them."""
(NOT_KNOWN, FREE, ANONYMOUS, FILE, SLAB, TABLE, STACK, VMALLOC, STRUCT_PAGES, IMAGE, PER_CPU, LARGE, ZSMALLOC, OFFLINE,
 ZERO, RESERVED) = range(len(KINDS))  # fmt: skip
_SHIFT = np.uint64(12)
_STACK_PAGES = 4  # THREAD_SIZE of x86-64 and of arm64 with 4 KiB pages: 16 KiB
_MOST_STACK = 64  # pages; with KASAN it is twice as large
_OLD_TYPE, _OLD_TABLE = 0xF000_0000, 0x400  # PAGE_TYPE_BASE; PG_table of 5.10, a bit that is 0 in such a page
_TYPED = {"PGTY_large_kmalloc": LARGE, "PGTY_zsmalloc": ZSMALLOC, "PGTY_offline": OFFLINE}


@dataclass(frozen=True)
class Frames:
    """One entry a frame, in the order of pages.use.

    kind: uint8[n], of KINDS. holder: uint64[n], by kind an address: FILE struct address_space, SLAB kmem_cache, TABLE
    mm_struct (0: the kernel's own), STACK task_struct, VMALLOC the code that asked for it; else 0. mapping: uint64[n],
    page.mapping of anonymous ones. charge: uint64[n], the struct cgroup that page.memcg_data names, 0 for none.
    """

    pages: page.Pages
    kind: NDArray[np.uint8]
    holder: U64
    mapping: U64
    charge: U64

    def __len__(self) -> int:
        return len(self.kind)


def frames(kernel: Kernel, pages: page.Pages, *, mm: U64, task: U64, cgroup: U64) -> Frames:
    """What each frame holds. mm: address spaces; task: every thread; cgroup: every cgroup (struct addresses)."""
    layout = Layout(kernel)
    kind = np.array([NOT_KNOWN, FREE, NOT_KNOWN, ANONYMOUS, FILE], np.uint8)[pages.use]
    holder, mapping, charge, types = (np.zeros(len(kind), np.uint64) for _ in range(4))
    reserved = np.zeros(len(kind), bool)
    caches = _cache_offset(kernel)
    memory = memcontrol.member(kernel)
    place = 0
    for first, count in zip(pages.first.tolist(), pages.count.tolist(), strict=True):
        for begin in range(first, first + count, BLOCK):
            many = min(BLOCK, first + count - begin)
            here = slice(place, place + many)
            place += many
            raw, ok = struct_pages(kernel, layout, begin, many)
            head, _, _ = of_heads(kernel, layout, raw, np.arange(begin, begin + many, dtype=np.uint64))
            flags, types[here] = layout.column(head, layout.flags, "<u8"), layout.column(head, layout.type, "<u4")
            own = ok & (pages.use[here] == page.KERNEL)
            slab = own & (((flags & layout.slab) != 0) | _is(kernel, types[here], "PGTY_slab"))
            kind[here][slab] = SLAB
            holder[here] = np.where(slab, layout.column(head, caches, "<u8"), np.uint64(0))
            reserved[here] = own & ((flags & layout.reserved) != 0)
            mapping[here] = np.where(kind[here] == ANONYMOUS, layout.column(head, layout.mapping, "<u8"), np.uint64(0))
            for name, number in _TYPED.items():
                kind[here][own & _is(kernel, types[here], name)] = number
            if memory is not None:
                charge[here] = np.where(ok & (pages.use[here] != page.FREE), layout.column(head, memory, "<u8"), 0)
    holder[pages.position(pages.file_pfn)] = pages.mapping
    known = Frames(pages, kind, holder, mapping, memcontrol.cgroups_of(kernel, charge, cgroup))
    _name_tables(kernel, known, mm, types)
    _name_stacks(kernel, known, task)
    _name_image(kernel, known)  # before what is mapped: arm64 maps it as a vmalloc area
    _name_mapped(kernel, known)
    kind[reserved & (kind == NOT_KNOWN)] = RESERVED
    return known


def _cache_offset(kernel: Kernel) -> int:
    """struct slab lies in struct page's place; before 5.17 (d122019bf061) its members were struct page's own."""
    return kernel.types.offset("slab" if kernel.types.has("slab", "slab_cache") else "page", "slab_cache")


def _is(kernel: Kernel, types: U64, name: str) -> Bools:
    """Pages whose type is this one of enum pagetype (6.12, 4ffca5a96678: the top byte); none on older kernels."""
    number = (kernel.types.enum("pagetype") or {}).get(name)
    if number is None or number > 255:
        return np.zeros(len(types), bool)
    result: Bools = (types >> np.uint64(24)) == np.uint64(number)
    return result


def _give(known: Frames, pfn: U64, kind: int, holder: U64 | int = 0) -> None:
    """Name frames that have no name yet; holder: of all, or one each."""
    row = known.pages.position(pfn)
    free = (row >= 0) & (known.kind[np.maximum(row, 0)] == NOT_KNOWN)
    known.kind[row[free]] = kind
    known.holder[row[free]] = holder[free] if isinstance(holder, np.ndarray) else np.uint64(holder)


def _name_tables(kernel: Kernel, known: Frames, mm: U64, types: U64) -> None:
    """Tables of processes and of the kernel by walking them; others by the type that those have in struct page."""
    space = kernel.space
    roots = page_roots(kernel, mm)
    owner, pa = tables(space.memory, space.fmt, roots[roots != 0], 0, space.user_limit)
    own = np.ones(len(owner), bool)
    own[: int((roots != 0).sum())] = False  # the top ones have no type on some kernels
    _give(known, pa >> _SHIFT, TABLE, mm[roots != 0][owner])
    row = known.pages.position(pa[own] >> _SHIFT)
    values = types[row[(row >= 0) & (known.kind[np.maximum(row, 0)] == TABLE)]]
    mask = vmalloc.table_mask(kernel)
    _, pa = tables(space.memory, space.fmt, u64(space.root), ((1 << 64) - space.user_limit) & mask, mask)
    _give(known, pa >> _SHIFT, TABLE)
    typed = values[values >= np.uint64(0x8000_0000)]
    if len(typed):
        which, count = np.unique(typed, return_counts=True)
        alike = types == which[count.argmax()]
        if not kernel.types.has("page", "memcg_data"):  # before 5.11 (18b2db3b0385) another bit: it is charged
            alike = types & np.uint64(_OLD_TYPE | _OLD_TABLE) == np.uint64(_OLD_TYPE)
        known.kind[alike & (known.kind == NOT_KNOWN) & (known.pages.use == page.KERNEL)] = TABLE


def _name_stacks(kernel: Kernel, known: Frames, task: U64) -> None:
    """Pages of task_struct.stack; most are vmalloc memory (CONFIG_VMAP_STACK)."""
    stack = kernel.pointer(task, "task_struct", "stack", gap=False)
    count = np.full(len(task), _STACK_PAGES, np.int64)
    if kernel.types.has("task_struct", "stack_vm_area"):
        area = kernel.pointer(task, "task_struct", "stack_vm_area", gap=False)
        own = kernel.try_read(area, "vm_struct", "nr_pages")[0].astype(np.int64)
        count = np.where((own > 0) & (own <= _MOST_STACK), own, count)
    task, stack, count = task[stack != 0], stack[stack != 0], count[stack != 0]
    row, number = spread(count)
    step = number.astype(np.uint64)
    pa, ok = kernel.space.physical(stack[row] + (step << _SHIFT))
    kernel.count_unread("kernel stack", stack[row], ok)
    _give(known, pa[ok] >> _SHIFT, STACK, task[row[ok]])


def _name_mapped(kernel: Kernel, known: Frames) -> None:
    """What the kernel maps beside the direct map: its vmalloc areas by who asked, struct pages."""
    every = vmalloc.mapped(kernel)
    low = kernel.space.vmemmap + (kernel.memory.ranges[0].start >> 12) * kernel.space.page_struct
    high = kernel.space.vmemmap + (kernel.space.memory.end >> 12) * kernel.space.page_struct
    structs = (every.va >= np.uint64(low & ~0xFFF)) & (every.va < np.uint64(high))
    _give(known, every.pfn[structs], STRUCT_PAGES)
    caller, inside = vmalloc.callers(vmalloc.areas(kernel), every.va)
    _give(known, every.pfn[inside], VMALLOC, caller[inside])


def _name_image(kernel: Kernel, known: Frames) -> None:
    """The kernel's text and data, and the memory of each processor that was set apart at boot."""
    zeros = kernel.symbols.get("empty_zero_page")
    if zeros is not None:
        _give(known, np.array([kernel.anchors.image_pa(zeros) >> 12], np.uint64), ZERO)
    first, end = (kernel.anchors.image_pa(address) for address in kernel.space.image)
    _give(known, np.arange(first >> 12, (end + 4095) >> 12, dtype=np.uint64), IMAGE)
    huge = kernel.symbols.get("huge_zero_pfn")  # all ones until it is made
    if huge is not None and 0 < (pfn := int(kernel.pointers(u64(huge))[0])) < 1 << 40:
        _give(known, np.arange(pfn, pfn + 512, dtype=np.uint64), ZERO)
    start, size = kernel.symbols.get("__per_cpu_start"), kernel.symbols.get("pcpu_unit_size")
    if start is None or size is None:
        return
    length = int(kernel.pointers(u64(size))[0]) & 0xFFFF_FFFF
    if not 0 < length <= 1 << 26:
        return
    step = np.arange(0, length, 4096, dtype=np.uint64) + np.uint64(start)
    with np.errstate(over="ignore"):  # addresses wrap, as in the kernel
        va = np.add.outer(percpu_counter.cpu_offsets(kernel), step).reshape(-1)
    pa, ok = kernel.space.physical(va.astype(np.uint64))
    _give(known, pa[ok] >> _SHIFT, PER_CPU)


def spaces_of(kernel: Kernel, known: Frames, mm: U64) -> tuple[I64, I64, I64, I64]:
    """Which address spaces map which frames: (place of the frame, row of mm, first, set), by frame.

    The first two int64[m], a pair each once. first: where a mapped frame's pairs begin; set: int64[f], the same number
    for frames that the same address spaces map.
    """
    maps = user_mappings(kernel, page_roots(kernel, mm))
    count = (maps.size >> _SHIFT).astype(np.int64)
    row, step = spread(count)
    place = known.pages.position((maps.pa[row] >> _SHIFT) + step.astype(np.uint64))
    pairs = distinct((place[place >= 0] << 20) | maps.owner[row][place >= 0])
    place, owner = pairs >> 20, pairs & 0xFFFFF
    first = np.flatnonzero(np.concatenate(([True], place[1:] != place[:-1]))) if len(place) else np.zeros(0, np.int64)
    token = np.random.default_rng(0).integers(0, 1 << 63, len(mm), np.int64)
    with np.errstate(over="ignore"):
        total = np.add.reduceat(token[owner], first) if len(first) else np.zeros(0, np.int64)
    return place, owner, first, np.unique(total, return_inverse=True)[1].reshape(-1)
