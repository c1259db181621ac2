# SPDX-License-Identifier: Apache-2.0
"""RAM as a hunt sees it: the use of every page, which are empty, and who maps what where."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from memir.image.memory import PhysicalMemory
from memir.kernel import page as pages_of
from memir.kernel.engine import Kernel
from memir.kernel.mm import page_roots
from memir.kernel.page import Pages
from memir.kernel.pagetable import U64, Bools, Mappings
from memir.kernel.rows import distinct, spread
from memir.kernel.swap import is_swapped, swap_of
from memir.kernel.user_pages import user_mappings
from memir.kernel.vma import Vmas, vmas

PAGE = 4096
SHIFT = np.uint64(12)
_STEP = 8 << 20  # bytes that a thread looks through at a time
_HOLE = 1 << 20  # looking through a shorter hole costs less than a piece of work more
_OWNER_SHIFT = np.uint64(45)  # virtual page numbers have at most 45 bits (5 levels)


@dataclass(frozen=True)
class Memory:
    """RAM as the units are cut from it.

    mm: uint64[m], address spaces; pids: the processes of each. nonzero: bool per place in pages.use.
    """

    kernel: Kernel
    pages: Pages
    nonzero: Bools
    mm: U64
    pids: list[list[int]]
    vmas: Vmas
    mappings: Mappings
    leaf: tuple[NDArray[np.int64], NDArray[np.int64]] = field(repr=False)

    @property
    def physical(self) -> PhysicalMemory:
        """The image."""
        return self.kernel.memory


def nonzero_pages(memory: PhysicalMemory, workers: int) -> Bools:
    """Which frames hold anything but zeros, in the order of Pages.use. Holes of a sparse file are not read."""
    spans = [((part.start + PAGE - 1) >> 12, part.end >> 12) for part in memory.ranges]
    spans = [(first, end) for first, end in spans if end > first]
    firsts = np.array([first for first, _ in spans], np.int64)
    counts = np.array([end - first for first, end in spans], np.int64)
    base = np.cumsum(counts) - counts
    nonzero = np.zeros(int(counts.sum()), bool)

    def look(part: tuple[int, NDArray[np.uint8]]) -> None:
        pa, view = part
        skip = -pa % PAGE
        whole = view[skip : skip + (len(view) - skip) // PAGE * PAGE]
        if not len(whole):
            return
        frame = (pa + skip) >> 12
        span = int(np.searchsorted(firsts, frame, "right")) - 1
        row = int(base[span]) + frame - int(firsts[span])
        # or-ed together, not any(): half the time, as numpy does it in wide registers
        nonzero[row : row + len(whole) // PAGE] = (
            np.bitwise_or.reduce(_words(whole).reshape(-1, PAGE // 8), axis=1) != 0
        )

    with ThreadPoolExecutor(workers) as pool:
        # views are mapped as they are made: a few ahead keep the threads busy, all of them would map the whole image
        waiting: deque[Future[None]] = deque()
        for part in memory.views(_STEP, skip_zeros=True, hole=_HOLE):
            waiting.append(pool.submit(look, part))
            if len(waiting) > 2 * workers:
                waiting.popleft().result()
        for task in waiting:
            task.result()
    return nonzero


def _words(data: NDArray[np.uint8]) -> U64:
    """Bytes as 64-bit words; copied if they lie off their own size, as in some ELF cores."""
    return (data if data.ctypes.data % 8 == 0 else data.copy()).view(np.uint64)


def read_memory(kernel: Kernel, task: U64, tgid: NDArray[np.int32], workers: int = 2) -> Memory:
    """Everything that units are cut from: page uses, regions and page tables of the processes of these
    tasks."""
    mm_of = kernel.pointer(task, "task_struct", "mm")
    mm = distinct(mm_of[mm_of != 0])
    pids: list[set[int]] = [set() for _ in mm]
    for row, pid in zip(np.searchsorted(mm, mm_of[mm_of != 0]).tolist(), tgid[mm_of != 0].tolist(), strict=True):
        pids[row].add(pid)
    with ThreadPoolExecutor(1) as beside:  # numpy and the kernel let go of the interpreter for most of it
        looking = beside.submit(nonzero_pages, kernel.memory, workers)
        pages = pages_of.pages(kernel)
        regions = vmas(kernel, mm)
        roots = page_roots(kernel, mm)
        maps = user_mappings(kernel, roots, swap_of(kernel).places)
        nonzero = looking.result()
    kernel.gaps.add("page table", "user", "table not in the image", maps.unread)
    key = (maps.owner.astype(np.uint64) << _OWNER_SHIFT) | (maps.va >> SHIFT)
    owner = regions.owner.astype(np.uint64) << _OWNER_SHIFT
    low = np.searchsorted(key, owner | (regions.start >> SHIFT))
    high = np.searchsorted(key, owner + (regions.end >> SHIFT))
    return Memory(kernel, pages, nonzero, mm, [sorted(users) for users in pids], regions, maps, (low, high))


def expand(memory: Memory, low: int, high: int) -> tuple[U64, U64]:
    """(virtual page, frame) of every 4 KiB page of leaf entries [low, high), huge pages cut up."""
    maps = memory.mappings
    page, frame, size = (
        maps.va[low:high] >> SHIFT,
        maps.pa[low:high] >> SHIFT,
        maps.size[low:high] >> SHIFT,
    )
    if not (size > 1).any():
        return page, frame
    leaf, number = spread(size.astype(np.int64))
    step = number.astype(np.uint64)
    return page[leaf] + step, frame[leaf] + step


def used(memory: Memory, frame: U64) -> Bools:
    """Which frames are in the image and hold something; those of swapped pages, which are not looked at, do."""
    row = memory.pages.position(frame)
    return swapped(frame) | ((row >= 0) & memory.nonzero[np.maximum(row, 0)])


def swapped(frame: U64) -> Bools:
    """Which frames stand for pages that were swapped out and that RAM holds compressed."""
    return is_swapped(frame << SHIFT)
