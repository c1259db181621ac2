# SPDX-License-Identifier: Apache-2.0
"""A process's own memory (heap, stacks, what it mapped without a file), as far as it is in RAM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from memir.image.runs import runs, widened
from memir.kernel import mm as mm_
from memir.kernel.pagetable import Bools
from memir.kernel.rows import spread
from memir.kernel.space import u64
from memir.kernel.vma import vmas

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
from memir.kernel.swap import swap_of
from memir.kernel.user_pages import user_mappings

_PAGE = 4096
PIECE = 32 << 20  # bounded memory for whoever reads a run whole; most are shorter
OVERLAP = 256 << 10
"""What two pieces of a longer run share, bytes: a document up to this size lies whole in one of them."""
MAX_PAGES = 1 << 18
"""Pages read of one process: 1 GiB. The kubelet and containerd have some hundred MiB."""


def anonymous_memory(kernel: Kernel, task: int, *, zeros: bool = True) -> Iterator[tuple[int, bytes]]:
    """(virtual address, bytes) of each run of adjacent anonymous pages of a task (address of its task_struct).

    Runs longer than PIECE come as pieces that overlap. Pages that are not in the image, or in swap and
    not compressed in RAM, part two runs; more than MAX_PAGES are a gap. zeros: False to leave out pages of zeros that
    lie between pages of zeros, which part two runs as well: most of a Go program's heap.
    """
    mm = kernel.pointer(u64(task), "task_struct", "mm")
    regions = vmas(kernel, mm)
    mine = regions.file == 0
    start, end = regions.start[mine], regions.end[mine]
    maps = user_mappings(kernel, mm_.page_roots(kernel, mm), swap_of(kernel).places)
    if not len(start) or not len(maps.va):
        return
    # split large pages: one row a page
    count = (maps.size // np.uint64(_PAGE)).astype(np.int64)
    leaf, step = spread(np.minimum(count, MAX_PAGES))
    va = maps.va[leaf] + step.astype(np.uint64) * np.uint64(_PAGE)
    pa = maps.pa[leaf] + step.astype(np.uint64) * np.uint64(_PAGE)
    row = np.searchsorted(start, va, "right") - 1
    inside = (row >= 0) & (va < end[np.maximum(row, 0)])
    va, pa = va[inside], pa[inside]
    if len(va) > MAX_PAGES:
        kernel.gaps.add("process memory", f"task {task:#x}", "more than is read of one process", len(va) - MAX_PAGES)
        va, pa = va[:MAX_PAGES], pa[:MAX_PAGES]
    present = kernel.memory.present(pa)
    va, pa = va[present], pa[present]
    borders = np.flatnonzero(np.diff(va) != _PAGE) + 1
    for first, last in zip([0, *borders.tolist()], [*borders.tolist(), len(va)], strict=True):
        yield from _pieces(kernel, va[first:last], pa[first:last], zeros)


def _pieces(
    kernel: Kernel,
    va: np.ndarray[tuple[int], np.dtype[np.uint64]],
    pa: np.ndarray[tuple[int], np.dtype[np.uint64]],
    zeros: bool,
) -> Iterator[tuple[int, bytes]]:
    length, shared = PIECE // _PAGE, OVERLAP // _PAGE
    for first in range(0, len(va), length - shared):
        part = pa[first : first + length]
        pages, ok = kernel.memory.gather(part, _PAGE)
        pages[~ok] = 0
        if zeros:
            yield int(va[first]), pages.tobytes()
        else:
            data: Bools = np.asarray(pages.view("<u8").any(axis=1))
            for start, end in runs(widened(data)):  # a structure may begin or end with zeros
                yield int(va[first + start]), pages[start:end].tobytes()
        if first + length >= len(va):
            return
