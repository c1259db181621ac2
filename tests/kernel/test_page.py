# SPDX-License-Identifier: Apache-2.0
"""What pages are used for, against the kernel's own counts and the page tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import page
from memir.kernel.engine import Kernel
from memir.kernel.mm import page_roots
from memir.kernel.page import ANON, FILE, FREE, KERNEL, Pages
from memir.kernel.rmap import anonymous_regions
from memir.kernel.slab import heads
from memir.kube.ram import RamSource

NodeOf = Callable[[str], RamSource]


def statistic(kernel: Kernel, symbol: str, enum: str, name: str) -> int | None:
    """A counter of the kernel's own (mm/vmstat.c); None where the image has no symbol for it."""
    address, names = kernel.symbols.get(symbol), kernel.types.enum(enum) or {}
    if address is None or name not in names:
        return None
    return int(kernel.pointers(np.array([address + 8 * names[name]], np.uint64))[0])


def count(pages: Pages, use: int) -> int:
    return int((pages.use == use).sum())


def test_the_kernel_counts_the_same(node_of: NodeOf, image: str) -> None:
    kernel = node_of(image).kernel
    pages = page.pages(kernel)
    files = statistic(kernel, "vm_node_stat", "node_stat_item", "NR_FILE_PAGES")
    free = statistic(kernel, "vm_zone_stat", "zone_stat_item", "NR_FREE_PAGES")
    anonymous = statistic(kernel, "vm_node_stat", "node_stat_item", "NR_ANON_MAPPED")
    frames = sum(part.size >> 12 for part in kernel.memory.ranges)
    # processors keep small changes of the counters, and single free pages, to themselves
    if files is not None:
        assert abs(count(pages, FILE) - files) <= 64
    if free is not None:
        assert free - 64 <= count(pages, FREE) <= free + frames // 20
    if anonymous is not None:
        assert anonymous - 64 <= count(pages, ANON) <= anonymous * 1.1 + 64
    assert len(pages.use) == frames
    assert count(pages, page.UNKNOWN) <= (1 if image.startswith("node-") else 0)


def test_what_processes_map_is_theirs_or_a_files(node_of: NodeOf, image: str) -> None:
    kernel = node_of(image).kernel
    pages = page.pages(kernel)
    mm = np.unique(kernel.read(node_of(image).processes.task, "task_struct", "mm").astype(np.uint64))
    maps = kernel.space.user_mappings(page_roots(kernel, mm[mm != 0]))
    frames = np.unique(maps.pa >> np.uint64(12))
    use = pages.use_of(frames)
    assert ((use == ANON) | (use == FILE)).sum() > 0.98 * len(frames)
    assert not (use == FREE).any()
    # what is left: the vdso, the zero page, and so on
    assert (use[(use != ANON) & (use != FILE)] == KERNEL).all()


def test_frames_and_their_places(node_of: NodeOf, image: str) -> None:
    kernel = node_of(image).kernel
    pages = page.pages(kernel)
    frames = pages.pfn()
    assert np.array_equal(pages.position(frames), np.arange(len(frames)))
    outside = np.array([2**52 - 1, 2**40, int(frames[-1]) + 1], np.uint64)
    assert pages.position(outside).tolist() == [-1, -1, -1] and pages.use_of(outside).tolist() == [0, 0, 0]


def test_anonymous_pages_lead_back_to_their_process(node_of: NodeOf, image: str) -> None:
    """Of pages that are mapped, the page tables know the owner: the reverse map must name it too."""
    node = node_of(image)
    kernel = node.kernel
    mm = np.unique(kernel.read(node.processes.task, "task_struct", "mm").astype(np.uint64))
    mm = mm[mm != 0]
    maps = kernel.space.user_mappings(page_roots(kernel, mm))
    pages = page.pages(kernel)
    rows = np.flatnonzero((maps.size == 4096) & (pages.use_of(maps.pa >> np.uint64(12)) == ANON))[:400]
    mapping, _ = page.owners(kernel, maps.pa[rows] >> np.uint64(12))
    which, vma = anonymous_regions(kernel, mapping)
    owner = kernel.read(vma, "vm_area_struct", "vm_mm")
    expected = mm[maps.owner[rows]]
    named = [set(owner[which == at].tolist()) for at in range(len(rows))]
    assert all(int(expected[at]) in named[at] for at in range(len(rows)))


def test_what_the_kernel_holds(node_of: NodeOf, image: str) -> None:
    """Slabs and page tables are held, pages of processes are not; beyond RAM there are no struct pages to read."""
    node = node_of(image)
    kernel = node.kernel
    pa, _ = kernel.space.physical(node.processes.task)
    head = kernel.space.page_physical(heads(kernel, kernel.space.struct_page(pa)))
    slabs = np.unique(head >> np.uint64(12)).tolist()
    assert [page.held_by_kernel(kernel, at, 1) for at in slabs] == [(0, 1)] * len(slabs)
    mm = np.unique(kernel.pointer(node.processes.task, "task_struct", "mm"))
    roots = page_roots(kernel, mm[mm != 0])
    # the top table itself has no type on some kernels: a page of a process never has
    maps = kernel.space.user_mappings(roots)
    mapped = maps.pa[maps.size == 4096] >> np.uint64(12)
    use = page.pages(kernel).use_of(mapped)
    own = np.unique(mapped[(use == ANON) | (use == FILE)])[:50].tolist()
    assert [page.held_by_kernel(kernel, at, 1) for at in own] == [(0, 0)] * 50
    first, end = kernel.memory.ranges[-1].start >> 12, kernel.memory.ranges[-1].end >> 12
    unread, held = page.held_by_kernel(kernel, first, end - first)
    assert unread == 0 and len(slabs) < held < end - first
    beyond = 1 << 30  # a frame at 4 TiB
    assert page.held_by_kernel(kernel, beyond, 10) == (10, 0)
    assert page.held_by_kernel(kernel, first, 0) == (0, 0)


def test_frames_of_blocks() -> None:
    """Of 2**order frames each; one that does not begin at a multiple of its size is none."""
    first = np.array([8, 14, 3], np.uint64)
    assert page.of_blocks(first, 1).tolist() == [8, 9, 14, 15]
    assert page.of_blocks(first, 0).tolist() == [8, 14, 3]
