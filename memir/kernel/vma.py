# SPDX-License-Identifier: Apache-2.0
"""include/linux/mm_types.h: struct vm_area_struct, the regions of many processes at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel import maple_tree
from memir.kernel.list import chain
from memir.kernel.pagetable import U64
from memir.kernel.rows import spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

VM_READ, VM_WRITE, VM_EXEC, VM_SHARED = 1, 2, 4, 8


@dataclass(frozen=True)
class Vmas:
    """Regions, by owner and start. owner: int64[n], index of the mm. vma: addresses of vm_area_struct.

    start, end: user virtual addresses, bytes. flags: VM_*. file: struct file or 0. pgoff: uint64, page of the
    file (or virtual page, for anonymous memory) at `start`.
    """

    owner: NDArray[np.int64]
    vma: U64
    start: U64
    end: U64
    flags: U64
    file: U64
    pgoff: U64

    def __len__(self) -> int:
        return len(self.vma)


def vmas(kernel: Kernel, mm: U64) -> Vmas:
    """The regions of mm_structs (0: none). One that is empty or not of this mm is a counted gap."""
    if kernel.types.has("mm_struct", "mm_mt"):  # 6.1 (524e00b36e8c)
        root = kernel.pointer(mm, "mm_struct", "mm_mt.ma_root")
        owner, vma = maple_tree.entries(kernel, root, "vma")
    else:
        first = kernel.pointer(mm, "mm_struct", "mmap")
        owner, vma = chain(kernel, first, kernel.types.offset("vm_area_struct", "vm_next"), "vma")
    back, ok = kernel.try_read(vma, "vm_area_struct", "vm_mm")
    start = kernel.pointer(vma, "vm_area_struct", "vm_start", gap=False)
    end = kernel.pointer(vma, "vm_area_struct", "vm_end", gap=False)
    good = ok & (back == mm[owner]) & (start < end) & (end <= np.uint64(kernel.space.user_limit))
    kernel.count_unread("vma", vma, good)
    owner, vma, start, end = owner[good], vma[good], start[good], end[good]
    order = np.lexsort((start, owner))
    owner, vma, start, end = owner[order], vma[order], start[order], end[order]
    flags = kernel.read(vma, "vm_area_struct", "vm_flags").astype(np.uint64)
    file = kernel.pointer(vma, "vm_area_struct", "vm_file")
    pgoff = kernel.read(vma, "vm_area_struct", "vm_pgoff").astype(np.uint64)
    return Vmas(owner, vma, start, end, flags, file, pgoff)


def mapped_files(kernel: Kernel, task: U64, mm: U64, every: Vmas) -> tuple[U64, U64]:
    """(task, struct file) of the files that tasks have mapped, each pair once. mm: whose regions `every` are."""
    has = every.file != 0
    pairs = np.unique(np.stack((mm[every.owner[has]], every.file[has]), 1), axis=0)
    space = kernel.pointer(task, "task_struct", "mm")
    first, last = (np.searchsorted(pairs[:, 0], space, side) for side in ("left", "right"))
    count = np.where(space != 0, last - first, 0)
    row, number = spread(count)
    return task[row], pairs[first[row] + number, 1]
