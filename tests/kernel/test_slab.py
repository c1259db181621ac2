# SPDX-License-Identifier: Apache-2.0
"""Objects of a slab cache, found by their pages: every task of the recording is among them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import slab
from memir.kernel.page import FREE, pages
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from memir.symbols.types import Member
from tests.kernel.fake import DIRECT, INT, STRUCTS, fake_kernel

NodeOf = Callable[[str], RamSource]


def test_the_cache_of_tasks_has_every_task(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    kernel, task = node.kernel, node.processes.threads.task
    cache = slab.cache_of(kernel, task)
    name = kernel.strings(kernel.pointers(kernel.embedded(u64(cache), "kmem_cache", "name")))
    assert name == [b"task_struct"]
    slots = slab.objects(kernel, cache)
    assert len(np.unique(slots)) == len(slots)
    assert np.isin(task, slots).all()
    size = int(kernel.read(u64(cache), "kmem_cache", "size")[0])
    # the end of task_struct, room for registers, is as long as the processor needs (arch_task_struct_size)
    assert kernel.types.offset("task_struct", "thread") < size < 1 << 15
    # slots of one slab lie side by side
    assert np.isin(np.diff(np.sort(slots)), [size]).mean() > 0.6


def test_heads(node_of: NodeOf, image: str) -> None:
    """A slab of several pages has one head; the head is its own."""
    node = node_of(image)
    kernel = node.kernel
    pa, _ = kernel.space.physical(node.processes.threads.task)
    page = kernel.space.struct_page(pa)
    head = slab.heads(kernel, page)
    assert np.array_equal(slab.heads(kernel, head), head)
    assert (head <= page).all()
    assert int((page - head).max()) < kernel.space.page_struct * 64


def test_free_pages_are_in_no_cache(node_of: NodeOf, image: str) -> None:
    """What is slab_cache in a slab is a link of the free list in a free page: 7.2 gave such a page a cache."""
    node = node_of(image)
    kernel = node.kernel
    used = pages(kernel, count=False)
    address = (used.pfn() << np.uint64(12)) + np.uint64(kernel.space.direct_delta)
    free, task = address[used.use == FREE], node.processes.threads.task
    assert len(free) > 1000
    cache, _ = slab.caches_of(kernel, free)
    assert free[cache != 0].tolist() == []
    assert slab.cache_of(kernel, free) == 0
    page = kernel.space.struct_page(kernel.space.physical(task)[0])
    assert slab.are_slabs(kernel, slab.heads(kernel, page)).all()


def test_what_is_in_no_cache(node_of: NodeOf, image: str) -> None:
    kernel = node_of(image).kernel
    assert slab.cache_of(kernel, np.zeros(0, np.uint64)) == 0
    assert slab.cache_of(kernel, u64(0x1234)) == 0


def test_a_cache_of_absurd_objects_is_a_gap() -> None:
    """Zeros where the size should be."""
    STRUCTS.setdefault("kmem_cache", (64, {"size": Member(24, INT)}))
    kernel = fake_kernel({})
    assert len(slab.objects(kernel, DIRECT + 0x2000)) == 0
    assert [(gap.kind, gap.why) for gap in kernel.gaps if gap.kind == "slab cache"] == [
        ("slab cache", "objects of 0 bytes")
    ]


def test_several_caches_in_one_pass(node_of: Callable[[str], RamSource]) -> None:
    """Slots of two caches as each gives them alone; the cache and slab of an object are those it was found by."""
    kernel = node_of("s-6.1-small").kernel
    every = node_of("s-6.1-small").inodes
    cache, start = slab.caches_of(kernel, every.inodes.inode)
    chosen = np.unique(cache)[:2]
    row, slot = slab.slots(kernel, chosen)
    for number, each in enumerate(chosen.tolist()):
        alone = slab.objects(kernel, each)
        assert slot[row == number].tolist() == alone.tolist() and len(alone) > 10
        assert set(slab.caches_of(kernel, alone)[0].tolist()) == {each}
        inside = start[cache == each]
        assert np.isin(inside, alone).all()  # a slab begins with its first object
    assert slab.caches_of(kernel, np.array([kernel.anchors.init_task], np.uint64))[0].tolist() == [0]
