# SPDX-License-Identifier: Apache-2.0
"""The kernel's address space: virtual to physical for any number of addresses.

Three ways, cheapest first: the direct map is one subtraction, the kernel image another, everything else (vmalloc,
vmemmap, modules, kernel stacks) goes through the page tables.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from memir.errors import KernelError
from memir.gaps import Gaps
from memir.image.memory import PhysicalMemory
from memir.kernel import arm64, x86_64
from memir.kernel.pagetable import U64, Absent, Bools, Format, Mappings, mappings, translate
from memir.symbols.anchors import ADDRESS_MASK, Anchors
from memir.symbols.search import IMAGE_SPAN

ARCHITECTURES: dict[str, ModuleType] = {"x86_64": x86_64, "arm64": arm64}


def u64(*values: int) -> U64:
    """A uint64 array of these integers."""
    return np.array(values, np.uint64)


@dataclass(frozen=True)
class AddressSpace:
    """How this kernel's virtual addresses map to physical ones.

    root: physical address of the kernel's top table. image_delta, direct_delta: virtual minus physical, modulo 2**64.
    image, direct: (first, end) virtual addresses of the kernel image and of the direct map.
    vmemmap: address of the struct page of physical page 0; page_struct: sizeof(struct page) in bytes.
    """

    memory: PhysicalMemory
    arch: Any
    fmt: Format
    root: int
    image_delta: int
    image: tuple[int, int]
    direct_delta: int
    direct: tuple[int, int]
    vmemmap: int
    page_struct: int

    @functools.cached_property
    def _direct(self) -> tuple[np.uint64, np.uint64, np.uint64]:
        """(virtual minus physical, first physical address, bytes that are RAM) of the direct map."""
        first = (self.direct[0] - self.direct_delta + (1 << 63)) % (1 << 64) - (1 << 63)  # below 0 on arm64
        end = min(first + self.direct[1] - self.direct[0], self.memory.end)
        below = max(0, first)
        return np.uint64(self.direct_delta), np.uint64(below), np.uint64(max(0, end - below))

    def physical(self, va: U64) -> tuple[U64, Bools]:
        """(physical address uint64[n], known bool[n]) of kernel virtual addresses."""
        va = np.asarray(va, np.uint64)
        delta, below, room = self._direct
        pa = va - delta
        known: Bools = (pa - below if below else pa) < room  # what lies before it wraps around
        if np.count_nonzero(known) == known.size:  # all() of numpy is Python: three times as long for a few
            return pa, known
        image = (va >= np.uint64(self.image[0])) & (va < np.uint64(self.image[1]))
        pa = np.where(image, va - np.uint64(self.image_delta), pa)
        known |= image
        rest = np.flatnonzero(~known & self.arch.is_kernel_pointer(va, self.fmt))
        if len(rest):
            walked, ok = translate(self.memory, self.fmt, u64(self.root), va[rest])
            pa[rest], known[rest] = walked, ok
        return pa, known

    def user_physical(self, roots: U64, va: U64, absent: Absent | None = None) -> tuple[U64, Bools]:
        """(physical address, known) of user virtual addresses, each under its own root (physical address).

        absent: where pages are that were swapped out (swap.Swap.places).
        """
        pa, ok = translate(self.memory, self.fmt, roots, np.asarray(va, np.uint64), absent)
        return pa, ok & (np.asarray(va, np.uint64) < np.uint64(self.user_limit))

    def user_mappings(self, roots: U64, absent: Absent | None = None) -> Mappings:
        """All present user pages of every root (physical addresses of top tables), with `absent` swapped ones too."""
        return mappings(self.memory, self.fmt, roots, 0, self.user_limit, absent)

    @property
    def user_limit(self) -> int:
        """First virtual address above user space."""
        return int(self.arch.user_limit(self.fmt))

    def is_kernel_pointer(self, va: U64) -> Bools:
        """Whether values could be kernel pointers."""
        result: Bools = self.arch.is_kernel_pointer(va, self.fmt)
        return result

    def page_physical(self, page: U64) -> U64:
        """Physical address of the page that a struct page at `page` describes."""
        return (page - np.uint64(self.vmemmap)) // np.uint64(self.page_struct) << np.uint64(12)

    def struct_page(self, pa: U64) -> U64:
        """Virtual address of the struct page that describes physical address `pa`."""
        return np.uint64(self.vmemmap) + (pa >> np.uint64(12)) * np.uint64(self.page_struct)


def _roots(memory: PhysicalMemory, anchors: Anchors) -> Iterator[U64]:
    """Candidates for the kernel's top table: the named ones, and if those do not serve every page of the kernel image.

    Whether those pages are there is asked only then: an image that is unpacked as it is read would be unpacked for it.
    """
    named = [anchors.symbols[name] for name in ("swapper_pg_dir", "init_top_pgt") if name in anchors.symbols]
    yield u64(*(anchors.image_pa(va) for va in dict.fromkeys(named)))
    task = anchors.image_pa(anchors.init_task) & ~0xFFF
    pages = np.arange(max(0, task - IMAGE_SPAN), task + IMAGE_SPAN, 4096, dtype=np.uint64)
    yield pages[memory.present(pages)]


def open_space(memory: PhysicalMemory, anchors: Anchors, gaps: Gaps | None = None) -> AddressSpace:
    """The address space of the located kernel, every constant checked against the page tables themselves.

    The top table is the candidate that maps init_task to where it is; the direct map's place is that of the second
    task, which lies in it. Where a torn or cut image lacks that task or the tables on the way, what the kernel itself
    says of its layout is taken, and a gap says that it could not be confirmed. KernelError if neither serves.
    """
    arch = ARCHITECTURES[anchors.arch]
    here = anchors.image_pa(anchors.init_task)
    tasks = anchors.types.offset("task_struct", "tasks")
    following, ok = memory.gather_as(u64(here + tasks), "<u8")
    if not ok[0]:
        raise KernelError(f"{memory.path}: the first task at physical {here:#x} is not readable")
    back = (anchors.init_task + tasks) & ADDRESS_MASK
    formats = arch.formats(dict(anchors.numbers))
    usable: list[tuple[Format, int]] = []
    for roots in _roots(memory, anchors):
        for fmt in formats:
            for root in _mapping_roots(memory, fmt, roots, anchors.init_task, here):
                usable.append((fmt, root))
                second, mapped = translate(memory, fmt, u64(root), following)
                prev, ok = memory.gather_as(second + np.uint64(8), "<u8")
                if mapped[0] and ok[0] and int(prev[0]) == back:
                    delta = (int(following[0]) - int(second[0])) & ADDRESS_MASK
                    return _space(memory, anchors, arch, fmt, root, delta, gaps)
    if "swapper_pg_dir" in anchors.symbols:
        usable.append((formats[0], anchors.image_pa(anchors.symbols["swapper_pg_dir"])))
    for fmt, root in usable:
        stated = _stated_delta(memory, anchors, arch, fmt)
        if stated is not None:
            if gaps is not None:
                gaps.add(
                    "page tables", f"{root:#x}", "the direct map could not be confirmed: taken as the kernel states it"
                )
            return _space(memory, anchors, arch, fmt, root, stated, gaps)
    raise KernelError(
        f"{memory.path}: no page table maps the kernel{' ' if anchors.release else ''}{anchors.release} at "
        f"{anchors.init_task:#x} to physical {here:#x}: the image is torn there, its pages are not 4 KiB, or its first "
        "byte is not the address that --base says"
    )


def _mapping_roots(memory: PhysicalMemory, fmt: Format, roots: U64, va: int, pa: int) -> Iterator[int]:
    """Those of the candidates that map this virtual to this physical address."""
    for first in range(0, len(roots), 4096):
        part = roots[first : first + 4096]
        mapped, ok = translate(memory, fmt, part, np.full(len(part), va, np.uint64))
        yield from part[ok & (mapped == np.uint64(pa))].tolist()


def _stated_delta(memory: PhysicalMemory, anchors: Anchors, arch: Any, fmt: Format) -> int | None:
    """Virtual minus physical address of the direct map as the kernel's variables or VMCOREINFO give it."""
    base = None
    if "page_offset_base" in anchors.symbols:
        value, ok = memory.gather_as(u64(anchors.image_pa(anchors.symbols["page_offset_base"])), "<u8")
        base = int(value[0]) if ok[0] and value[0] else None
    delta: int | None = arch.stated_delta(fmt, dict(anchors.numbers), base)
    return delta


def _section_map(memory: PhysicalMemory, anchors: Anchors, delta: int) -> int | None:
    """Address of struct page 0 as include/linux/mmzone.h mem_section has it.

    VMCOREINFO tells its value, kallsyms its place: an array of pointers to pages full of sections. section_mem_map is
    the address of struct page 0 with flags in its low bits, SECTION_HAS_MEM_MAP the second of them.
    """
    named = anchors.symbols.get("mem_section")
    if named is None:
        return None
    in_image = anchors.image_pa(named) < memory.end
    here = u64(anchors.image_pa(named) if in_image else (named - delta) & ADDRESS_MASK)
    for _ in range(2 if in_image else 1):
        pointer, ok = memory.gather_as(here, "<u8")
        if not ok[0] or not pointer[0]:
            return None
        here = pointer - np.uint64(delta)
    size = anchors.types.size("mem_section")
    maps, ok = memory.gather_as(here + np.arange(4096 // size, dtype=np.uint64) * np.uint64(size), "<u8")
    online = maps[ok & ((maps & np.uint64(2)) != 0)] & ~np.uint64(0xFFF)
    return int(online[0]) if len(online) and (online == online[0]).all() else None


def _space(
    memory: PhysicalMemory, anchors: Anchors, arch: Any, fmt: Format, root: int, delta: int, gaps: Gaps | None
) -> AddressSpace:
    types, symbols = anchors.types, anchors.symbols
    first = symbols.get("_text") or symbols.get("_stext") or anchors.init_task
    last = symbols.get("_end") or anchors.init_task + types.size("task_struct")
    if not 0 < last - first <= IMAGE_SPAN * 2:
        first, last = anchors.init_task, anchors.init_task + types.size("task_struct")
    page_struct = types.size("page")
    vmemmap = arch.vmemmap(fmt, dict(anchors.numbers), delta)
    moved = symbols.get("vmemmap_base")
    if moved is not None:
        value, ok = memory.gather_as(u64(anchors.image_pa(moved)), "<u8")
        if ok[0] and value[0]:
            vmemmap = int(value[0])
    elif anchors.arch == "x86_64":
        told = _section_map(memory, anchors, delta)
        if told is None and gaps is not None:
            gaps.add("page", f"{vmemmap:#x}", "place of the struct pages not known: taken as without KASLR")
        vmemmap = told or vmemmap
    start, end = arch.direct_window(fmt, delta)
    return AddressSpace(
        memory,
        arch,
        fmt,
        root,
        anchors.image_delta,
        (first, last),
        delta,
        (start, min(end, ADDRESS_MASK)),
        vmemmap,
        page_struct,
    )
