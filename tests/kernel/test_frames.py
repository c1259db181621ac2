# SPDX-License-Identifier: Apache-2.0
"""What each frame holds, against the kernel's own counters, /proc's, and the structures that lie in the frames."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from memir.kernel import frames as kinds
from memir.kernel import page
from memir.kernel.frames import ANONYMOUS, FILE, FREE, NOT_KNOWN, SLAB, STACK, TABLE, Frames, frames, spaces_of
from memir.kernel.mm import page_roots
from memir.kube.ram import RamSource
from tests.damage import damaged, randomised
from tests.images import case
from tests.kernel.test_page import statistic

NodeOf = Callable[[str], RamSource]


@functools.lru_cache(maxsize=2)
def every(node: RamSource) -> Frames:
    return frames(
        node.kernel, node.pages, mm=node.regions[0], task=node.processes.threads.task, cgroup=node.cgroup_tree.cgroup
    )


def count(known: Frames, kind: int) -> int:
    return int((known.kind == kind).sum())


def test_every_frame_once_and_few_not_known(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    known = every(node)
    assert len(known) == sum(part.size >> 12 for part in node.kernel.memory.ranges) == len(node.pages.use)
    assert count(known, NOT_KNOWN) < len(known) * 0.06
    # what struct page alone tells stays as it was told
    for kind, use in ((ANONYMOUS, page.ANON), (FILE, page.FILE)):
        assert np.array_equal(known.kind == kind, node.pages.use == use)
    assert not ((known.kind == FREE) & ~np.isin(node.pages.use, (page.FREE, page.UNKNOWN, page.KERNEL))).any()


def test_the_kernel_counts_the_same(node_of: NodeOf, image: str) -> None:
    """Slabs, stacks and page tables by vmstat; processors keep up to 125 changes of each to themselves."""
    node = node_of(image)
    known, kernel = every(node), node.kernel
    slab = [statistic(kernel, "vm_node_stat", "node_stat_item", f"NR_SLAB_{part}RECLAIMABLE_B") for part in ("", "UN")]
    stack = statistic(kernel, "vm_node_stat", "node_stat_item", "NR_KERNEL_STACK_KB")
    tables = statistic(kernel, "vm_node_stat", "node_stat_item", "NR_PAGETABLE")
    tables = statistic(kernel, "vm_zone_stat", "zone_stat_item", "NR_PAGETABLE") if tables is None else tables
    if slab[0] is None or slab[1] is None or stack is None or tables is None:
        assert image.startswith("arm64-6.1-")  # no symbols of data
        return
    large = count(known, kinds.LARGE)  # since 6.13 counted as slab
    assert min(abs(count(known, SLAB) + part - sum(slab)) for part in (0, large)) <= 2 * 2 * 125 * 2  # type: ignore[arg-type]
    assert abs(count(known, STACK) - stack // 4) <= 64
    # the kernel's own tables and the top ones of each process are counted by some kernels only
    own = count(known, TABLE) - int(((known.kind == TABLE) & (known.holder == 0)).sum())
    tops = len(node.regions[0])
    assert own - tops - 128 <= tables <= count(known, TABLE) + 64


def test_proc_said_the_same(node_of: NodeOf, image: str) -> None:
    """/proc/meminfo, seconds before: within a percent, or 256 pages."""
    raw = case(image).raw_truth()
    meminfo = raw["sys"]["meminfo"] if "sys" in raw else None
    if meminfo is None:
        assert image.startswith("node-")
        return
    told = {line.split(":")[0]: int(line.split()[1]) // 4 for line in meminfo.splitlines()}
    known = every(node_of(image))
    for name, have in (
        ("AnonPages", count(known, ANONYMOUS)), ("Cached", count(known, FILE)), ("KernelStack", count(known, STACK)),
        ("PageTables", count(known, TABLE)),
    ):  # fmt: skip
        assert abs(have - told[name]) <= max(256, told[name] // 100), name


def test_holders(node_of: NodeOf, image: str) -> None:
    """Tasks lie in slabs of task_struct, page tables belong to the address space whose tables they are."""
    node = node_of(image)
    known, kernel = every(node), node.kernel
    task = node.processes.threads.task
    pa, _ = kernel.space.physical(task)
    row = known.pages.position(pa >> np.uint64(12))
    init = known.kind[row] != SLAB  # the first task lies in the kernel's image
    assert init.sum() <= 1
    caches = np.unique(known.holder[row[~init]])
    assert kernel.strings(kernel.pointer(caches, "kmem_cache", "name")) == [b"task_struct"]
    roots = page_roots(kernel, node.regions[0])
    row = known.pages.position(roots >> np.uint64(12))
    tops = known.kind[row] == TABLE  # arm64 with five levels has top tables of 128 bytes in a slab
    assert tops.all() or (known.kind[row] == SLAB).all()
    if tops.all():
        assert np.array_equal(known.holder[row], node.regions[0])
    stacks = known.holder[known.kind == STACK]
    assert set(stacks.tolist()) <= set(task.tolist())
    assert np.unique(stacks, return_counts=True)[1].max() == 4


def test_address_spaces_of_frames(node_of: NodeOf, image: str) -> None:
    """Every mapped page of a process is named once; frames of one set have the same address spaces."""
    node = node_of(image)
    known, mm = every(node), node.regions[0]
    place, owner, first, which = spaces_of(node.kernel, known, mm)
    maps = node.kernel.space.user_mappings(page_roots(node.kernel, mm))
    own = maps.owner == 0
    in_image = known.pages.position(maps.pa[own] >> np.uint64(12)) >= 0
    pages = {
        frame + step
        for frame, size in zip((maps.pa[own] >> np.uint64(12)).tolist(), (maps.size[own] >> np.uint64(12)).tolist(),
                               strict=True)
        for step in range(size)
    }  # fmt: skip
    assert in_image.any() and (owner == 0).sum() <= len(pages)
    assert {int(frame) for frame in known.pages.pfn()[place[owner == 0]]} <= pages
    edge = np.append(first, len(place))
    sets: dict[int, tuple[int, ...]] = {}
    for row, number in enumerate(which.tolist()):
        of = tuple(owner[edge[row] : edge[row + 1]].tolist())
        assert sets.setdefault(number, of) == of
    assert len(set(sets.values())) == len(sets)


def test_damaged_tables_end(node_of: NodeOf) -> None:
    """Page tables and struct pages of noise: the walk ends, every frame still has one kind."""
    node = node_of("s-6.1-small")
    known, memory = every(node), case("s-6.1-small").open()
    pfn = known.pages.pfn()
    wrong = np.concatenate((pfn[known.kind == TABLE][::3], pfn[known.kind == kinds.STRUCT_PAGES][::9]))
    from memir.kernel.engine import Kernel

    broken = damaged(memory, randomised(wrong.tolist(), 7), 400_000_000)
    kernel = Kernel(broken, node.kernel.anchors)
    again = frames(
        kernel, page.pages(kernel, count=False), mm=node.regions[0], task=node.processes.threads.task,
        cgroup=node.cgroup_tree.cgroup,
    )  # fmt: skip
    assert len(again) == len(known) and int(again.kind.max()) < len(kinds.KINDS)
