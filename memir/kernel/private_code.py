# SPDX-License-Identifier: Apache-2.0
"""mm/memory.c do_wp_page(): pages of a program's or library's code that a process has as its own copy.

Code is mapped privately from a file and never written by the program itself: its pages are the page cache's. Who writes
there (a debugger, /proc/PID/mem, the process after mprotect) gets a copy, an anonymous page in the file's place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import rmap, task_mmu
from memir.kernel.mm import page_roots
from memir.kernel.pagemap import cached_pages
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import rows_of, spread
from memir.kernel.user_pages import user_mappings
from memir.kernel.vma import VM_EXEC, Vmas

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.kernel.pagetable import Mappings

PAGE = 4096
SHOWN = 16
"""Bytes kept of each side, from the first that differs."""
_OF_NO_CACHE = np.uint64(0x400 | 0x4000 | 0x400000 | 0x10000000)
"""VM_PFNMAP, VM_IO, VM_HUGETLB, VM_MIXEDMAP: what is mapped there the page cache has not, or by another index."""
_MAX_LARGE = 1 << 21  # 8 GiB: pages of large ones that are looked at
_INDEX = np.uint64(40)
_NUMBER = np.uint64(45)
_BATCH = 2048  # pages compared at once: 16 MiB


@dataclass(frozen=True)
class PrivateCode:
    """One row a page, by region and address. region: int64[n], row of the regions; va, pa: uint64[n], where the process
    has it, and in which frame; known: uint64[n], the frame that it should be, 0 where it is not in RAM.

    differing: int64[n], bytes that are not the file's, -1 where that cannot be told; breakpoints: of these, bytes of
    instructions that debuggers and uprobes put there; first: the first that differs, bytes from the page's start, -1
    for none; changed, file: up to SHOWN bytes from there.
    """

    region: I64
    va: U64
    pa: U64
    known: U64
    differing: I64
    breakpoints: I64
    first: I64
    changed: list[bytes | None]
    file: list[bytes | None]

    def __len__(self) -> int:
        return len(self.region)


def private_code(kernel: Kernel, mm: U64, every: Vmas) -> PrivateCode:
    """Pages of executable mappings of files, and of the vdso, that are private copies.

    mm: mm_structs that every.owner counts. A frame that is neither what the page cache has nor a copy (memory changed
    while it was read) is a counted gap.
    """
    special, private = task_mmu.special(kernel, np.where(every.file == 0, every.vma, np.uint64(0)))
    code = ((every.flags & np.uint64(VM_EXEC)) != 0) & ((every.file != 0) | special)
    region, va, pa = _pages(kernel, every, np.flatnonzero(code), user_mappings(kernel, page_roots(kernel, mm)))
    index = every.pgoff[region] + ((va - every.start[region]) >> np.uint64(12))
    mapping = kernel.pointer(every.file, "file", "f_mapping", gap=False)
    known = _cached(kernel, mapping[region], index)
    odd = np.flatnonzero(known != pa)
    anonymous = np.zeros(len(region), bool)
    anonymous[odd] = rmap.is_of(kernel, every.vma[region[odd]], index[odd], pa[odd])
    if special.any():
        known = _of_others(np.where(special[region], private[region], np.uint64(0)), va - every.start[region],
                           pa, anonymous, known)  # fmt: skip
    torn = (known != pa) & ~anonymous & (every.file[region] != 0) & ((every.flags[region] & _OF_NO_CACHE) == 0)
    kernel.count_unread("code page", va, ~torn, "neither the file's page nor a private copy")
    own = np.flatnonzero(anonymous & (known != pa))
    return _compared(kernel, region[own], va[own], pa[own], known[own])


def _pages(kernel: Kernel, every: Vmas, chosen: I64, maps: Mappings) -> tuple[I64, U64, U64]:
    """(row of the region, virtual, physical address) of each present page of the chosen regions, in order."""
    owner, va, pa = maps.owner, maps.va, maps.pa
    large = np.flatnonzero(maps.size > np.uint64(PAGE))
    if len(large):
        room = np.cumsum(maps.size[large] // np.uint64(PAGE)) <= np.uint64(_MAX_LARGE)
        kernel.gaps.add("code page", "large pages", "more than are looked at", int((~room).sum()))
        large = large[room]
        leaf, step = spread((maps.size[large] // np.uint64(PAGE)).astype(np.int64))
        small, more, leaf = maps.size == np.uint64(PAGE), step.astype(np.uint64) * np.uint64(PAGE), large[leaf]
        owner = np.concatenate((owner[small], owner[leaf]))
        va = np.concatenate((va[small], va[leaf] + more))
        pa = np.concatenate((pa[small], pa[leaf] + more))
    key = (owner.astype(np.uint64) << _NUMBER) | (va >> np.uint64(12))
    base = every.owner[chosen].astype(np.uint64) << _NUMBER
    start, end = base | (every.start[chosen] >> np.uint64(12)), base | (every.end[chosen] >> np.uint64(12))
    row = np.searchsorted(start, key, "right") - 1
    inside = np.flatnonzero(row >= 0)
    inside = inside[key[inside] < end[row[inside]]]
    inside = inside[np.argsort(key[inside], kind="stable")]
    return chosen[row[inside]], va[inside], pa[inside]


def _cached(kernel: Kernel, mapping: U64, index: U64) -> U64:
    """The frame that the page cache has of each (struct address_space, page of the file); 0 where it has none."""
    files, of = np.unique(mapping, return_inverse=True)
    cached = cached_pages(kernel, files)
    fits = (cached.index >> _INDEX) == 0
    key = (cached.owner[fits].astype(np.uint64) << _INDEX) | cached.index[fits]
    order = np.argsort(key)
    place = rows_of(key[order], (of.astype(np.uint64) << _INDEX) | index)
    there = (place >= 0) & ((index >> _INDEX) == 0) & (mapping != 0)
    known = np.zeros(len(mapping), np.uint64)
    known[there] = cached.pa[fits][order][place[there]]
    return known


def _of_others(kind: U64, offset: U64, pa: U64, anonymous: Bools, known: U64) -> U64:
    """Of the vdso the frame that processes have which did not change it; kind: which vdso, 0 for what is none."""
    shared = np.flatnonzero((kind != 0) & ~anonymous)
    pairs = {(a, b): c for a, b, c in zip(kind[shared].tolist(), offset[shared].tolist(), pa[shared].tolist(),
                                          strict=True)}  # fmt: skip
    known = known.copy()
    for row in np.flatnonzero(kind != 0).tolist():
        known[row] = pairs.get((int(kind[row]), int(offset[row])), 0) if anonymous[row] else pa[row]
    return known


def _compared(kernel: Kernel, region: I64, va: U64, pa: U64, known: U64) -> PrivateCode:
    """Byte by byte. A page of zeros in the cache was not read: code has none."""
    differing, traps, first = (np.full(len(va), -1, np.int64) for _ in range(3))
    arm = kernel.anchors.arch == "arm64"
    changed: list[bytes | None] = [None] * len(va)
    original: list[bytes | None] = [None] * len(va)
    for begin in range(0, len(va), _BATCH):
        part = slice(begin, begin + _BATCH)
        own, here = kernel.memory.gather(pa[part], PAGE)
        other, there = kernel.memory.gather(known[part], PAGE)
        good = here & there & (known[part] != 0) & other.any(axis=1)
        unlike: NDArray[np.bool_] = own != other
        differing[part] = np.where(good, unlike.sum(axis=1), -1)
        first[part] = np.where(good & unlike.any(axis=1), unlike.argmax(axis=1), -1)
        traps[part] = np.where(good, 0, -1)
        for row in np.flatnonzero(first[part] >= 0).tolist():
            traps[begin + row] = int((unlike[row] & _traps(own[row], other[row], arm=arm)).sum())
            start = int(first[begin + row])
            changed[begin + row] = own[row, start : start + SHOWN].tobytes()
            original[begin + row] = other[row, start : start + SHOWN].tobytes()
    return PrivateCode(region, va, pa, known, differing, traps, first, changed, original)


def _traps(own: NDArray[np.uint8], other: NDArray[np.uint8], *, arm: bool) -> Bools:
    """Which bytes of a page are of breakpoints: int3, brk; x86's uprobes make calls of five-byte NOPs (6.18)."""
    if arm:
        return np.repeat((own.view("<u4") & np.uint32(0xFFE0_001F)) == np.uint32(0xD420_0000), 4)
    traps: Bools = own == 0xCC
    for match in re.finditer(rb"\x0f\x1f\x44\x00\x00", other.tobytes()):
        traps[match.start() : match.end()] |= own[match.start()] == 0xE8
    return traps
