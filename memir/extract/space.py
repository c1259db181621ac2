# SPDX-License-Identifier: Apache-2.0
"""A process's address space as it is taken out: regions as /proc/PID/maps names them, and which pages are in RAM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memir.kernel import proc_fd, task_mmu
from memir.kernel.mm import page_roots
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct, spread
from memir.kernel.swap import swap_of
from memir.kernel.user_pages import user_mappings
from memir.kernel.vma import vmas

if TYPE_CHECKING:
    from memir.kube.ram import RamSource

PAGE = 4096
_SHIFT = np.uint64(12)


@dataclass(frozen=True)
class Region:
    """A region. spans: (start, end) of what is in RAM, ascending. name: as maps shows it, "" for none."""

    start: int
    end: int
    permissions: str
    offset: int
    name: str
    mapped_file: bool
    spans: list[tuple[int, int]]

    def document(self) -> dict[str, Any]:
        """As a manifest has it: with the holes, what is not in RAM."""
        edges = [self.start, *(edge for span in self.spans for edge in span), self.end]
        holes = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]
        return {
            "start": self.start, "end": self.end, "permissions": self.permissions, "offset": self.offset,
            "path": self.name or None, "present": sum(end - start for start, end in self.spans), "holes": holes,
        }  # fmt: skip


@dataclass(frozen=True)
class Space:
    """Regions of one process, ascending. pa: uint64[n], physical addresses of their pages in RAM, in the order of
    regions and spans; of pages that were swapped out those that memir.kernel.swap gives them."""

    regions: list[Region]
    pa: U64

    @property
    def mapped(self) -> int:
        """Bytes of all regions."""
        return sum(region.end - region.start for region in self.regions)


def spaces(source: RamSource, mm: U64) -> Iterator[Space]:
    """The address space of each of these mm_structs, in their order; pages as the page tables map them, and
    those that were swapped out where RAM holds them compressed."""
    kernel = source.kernel
    unique = distinct(mm)
    every = vmas(kernel, unique)
    bare = task_mmu.names(kernel, unique, every)
    file, back = np.unique(every.file, return_inverse=True)
    good = proc_fd.sound(kernel, file)
    mount, dentry = proc_fd.user_paths(kernel, np.where(good, file, np.uint64(0)))
    inode = proc_fd.inodes(kernel, np.where(good, file, np.uint64(0)), dentry)
    links = proc_fd.links(kernel, source.mounts, mount, dentry, inode)
    permissions = task_mmu.permissions(every.flags)
    maps = user_mappings(kernel, page_roots(kernel, unique), swap_of(kernel).places)
    edges = np.searchsorted(maps.owner, np.arange(len(unique) + 1))
    first = np.searchsorted(every.owner, np.arange(len(unique) + 1))
    for row in np.searchsorted(unique, mm).tolist():
        own = slice(int(first[row]), int(first[row + 1]))
        part = slice(int(edges[row]), int(edges[row + 1]))
        count = (maps.size[part] >> _SHIFT).astype(np.int64)
        leaf, inside = spread(count)
        step = inside.astype(np.uint64) << _SHIFT
        va, pa = maps.va[part][leaf] + step, maps.pa[part][leaf] + step
        there = kernel.memory.present(pa)
        va, pa = va[there], pa[there]
        start, end = every.start[own], every.end[own]
        inside = np.searchsorted(start, va, "right") - 1
        keep = (inside >= 0) & (va < end[np.maximum(inside, 0)]) if len(start) else np.zeros(len(va), bool)
        va, pa, inside = va[keep], pa[keep], inside[keep]
        broken = np.flatnonzero((np.diff(va) != PAGE) | (np.diff(inside) != 0)) + 1
        runs: list[list[tuple[int, int]]] = [[] for _ in range(len(start))]
        if len(va):
            for low, high in zip([0, *broken.tolist()], [*broken.tolist(), len(va)], strict=True):
                runs[int(inside[low])].append((int(va[low]), int(va[high - 1]) + PAGE))
        regions = []
        for place, number in enumerate(range(own.start, own.stop)):
            has, link = bool(every.file[number]), int(back[number])
            name = links.text[link] if has else bare[number]
            gone = " (deleted)" if has and links.deleted[link] else ""
            regions.append(
                Region(
                    int(start[place]), int(end[place]), permissions[number],
                    int(every.pgoff[number]) * PAGE if has else 0, (name or "") + gone, has, runs[place],
                )
            )  # fmt: skip
        yield Space(regions, pa)
