# SPDX-License-Identifier: Apache-2.0
"""include/linux/vmalloc.h: what the kernel maps beside the direct map, page by page, and which code asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import rbtree
from memir.kernel.pagetable import U64, Bools, mappings
from memir.kernel.rows import spread
from memir.kernel.space import u64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_PAGE = np.uint64(4096)
_MOST_NODES = 1 << 12  # vmap_nodes: up to 128 in 6.9, more with many processors
_MOST_PAGES = 1 << 25  # pages mapped beside the direct map: 128 GiB; more is damage


@dataclass(frozen=True)
class Areas:
    """struct vm_struct of the vmalloc area, ascending: uint64[n] start and end (virtual), caller (a text address)."""

    start: U64
    end: U64
    caller: U64


def areas(kernel: Kernel) -> Areas:
    """Every area that is in use; those of vm_map_ram and the like, which no vm_struct describes, have caller 0."""
    node = _nodes(kernel)
    area = kernel.container(node, "vmap_area", "rb_node")
    start = kernel.pointer(area, "vmap_area", "va_start")
    end = kernel.pointer(area, "vmap_area", "va_end")
    vm = kernel.pointer(area, "vmap_area", "vm", gap=False)
    same = kernel.pointer(vm, "vm_struct", "addr", gap=False) == start  # the member is also a size of free areas
    caller = np.where(same, kernel.pointer(vm, "vm_struct", "caller", gap=False), np.uint64(0))
    good = kernel.space.is_kernel_pointer(start) & (start < end)
    kernel.count_unread("vmalloc area", area, good)
    order = np.argsort(start[good], kind="stable")
    return Areas(start[good][order], end[good][order], caller[good][order])


def _nodes(kernel: Kernel) -> U64:
    """rb_nodes of the areas that are busy."""
    many, single = kernel.symbols.get("vmap_nodes"), kernel.symbols.get("vmap_area_root")
    if many is not None and kernel.types.has("vmap_node", "busy.root"):  # 6.9 (d093602919ad)
        number = kernel.symbols.get("nr_vmap_nodes")
        count = int(kernel.pointers(u64(number))[0]) & 0xFFFF_FFFF if number is not None else 1
        if not 0 < count <= _MOST_NODES:
            kernel.gaps.add("vmalloc area", "nr_vmap_nodes", f"absurd: {count}")
            count = 1
        first = kernel.pointers(u64(many))
        size = np.uint64(kernel.types.size("vmap_node"))
        place = first + np.arange(count, dtype=np.uint64) * size
        root = kernel.pointer(place, "vmap_node", "busy.root.rb_node", gap=False)
    elif single is not None:
        root = kernel.pointers(u64(single))
    else:
        kernel.gaps.add("vmalloc area", "vmap_area_root", "no symbol: who asked for vmalloc memory is not known")
        return np.zeros(0, np.uint64)
    return rbtree.nodes(kernel, root[root != 0], "vmalloc area")[1]


@dataclass(frozen=True)
class Mapped:
    """Pages that the kernel maps beside the direct map: uint64[n] virtual address and frame."""

    va: U64
    pfn: U64


def mapped(kernel: Kernel) -> Mapped:
    """Every 4 KiB page that the kernel's own tables map, but for the direct map; large pages are cut up."""
    space = kernel.space
    half = (1 << 64) - space.user_limit
    low = max(half, space.direct[0])
    mask = table_mask(kernel)
    end = (space.direct_delta + space.memory.end) & ((1 << 64) - 1)
    parts = [(half, low), (end, (1 << 64) - 4096)]
    vas, frames = [], []
    for begin, stop in parts:
        if stop <= begin:
            continue
        maps = mappings(space.memory, space.fmt, u64(space.root), begin & mask, stop & mask)
        kernel.gaps.add("page table", "kernel", "table not in the image", maps.unread)
        count = (maps.size >> np.uint64(12)).astype(np.int64)
        if int(count.sum()) > _MOST_PAGES:
            kernel.gaps.add("page table", "kernel", "maps more than there is", int(count.sum()))
            continue
        row, number = spread(count)
        step = number.astype(np.uint64)
        vas.append(maps.va[row] + step * _PAGE + np.uint64((1 << 64) - 1 - mask))
        frames.append((maps.pa[row] >> np.uint64(12)) + step)
    none = np.zeros(0, np.uint64)
    return Mapped(np.concatenate(vas) if vas else none, np.concatenate(frames) if frames else none)


def table_mask(kernel: Kernel) -> int:
    """Tables know no sign: the bits of an address that they translate, all set."""
    fmt = kernel.space.fmt
    top = fmt.levels - 1
    entries = int(fmt.index(u64((1 << 64) - 1), top)[0]) + 1  # 512, of arm64's fifth level 16
    return (entries << (12 + 9 * top)) - 1


def callers(known: Areas, va: U64) -> tuple[U64, Bools]:
    """(caller, in an area) of virtual addresses."""
    if not len(known.start):
        return np.zeros(len(va), np.uint64), np.zeros(len(va), bool)
    row = np.searchsorted(known.start, va, "right").astype(np.int64) - 1
    inside = (row >= 0) & (va < known.end[np.maximum(row, 0)])
    return np.where(inside, known.caller[np.maximum(row, 0)], np.uint64(0)), inside
