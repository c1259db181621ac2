# SPDX-License-Identifier: Apache-2.0
"""What the kernel maps beside the direct map: stacks of tasks, struct pages, modules lie there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.vmalloc import Areas, areas, callers, mapped, table_mask
from memir.kube.ram import RamSource
from tests.kernel.fake import u64

NodeOf = Callable[[str], RamSource]


def test_stacks_are_areas_and_mapped(node_of: NodeOf, image: str) -> None:
    """Of every task whose stack has an area: the area starts there, and each of its pages is where the walk says."""
    kernel = node_of(image).kernel
    task = node_of(image).processes.threads.task
    area = kernel.pointer(task, "task_struct", "stack_vm_area", gap=False)
    stack = kernel.pointer(task, "task_struct", "stack", gap=False)[area != 0]
    assert len(stack) > 40
    known, every = areas(kernel), mapped(kernel)
    assert (known.start[:-1] < known.start[1:]).all()
    if not len(known.start):
        assert image.startswith("arm64-6.1-")  # no symbol of data
    else:
        assert set(stack.tolist()) <= set(known.start.tolist())
        assert len(np.unique(callers(known, stack)[0])) == 1  # alloc_thread_stack_node
    order = np.argsort(every.va, kind="stable")
    place = np.searchsorted(every.va[order], stack)
    assert np.array_equal(every.va[order][place], stack)
    pa, ok = kernel.space.physical(stack)
    assert ok.all() and np.array_equal(every.pfn[order][place], pa >> np.uint64(12))


def test_what_is_mapped_translates_to_itself(node_of: NodeOf, image: str) -> None:
    kernel = node_of(image).kernel
    every = mapped(kernel)
    some = slice(None, None, max(1, len(every.va) // 500))
    pa, ok = kernel.space.physical(every.va[some])
    assert ok.all() and np.array_equal(pa >> np.uint64(12), every.pfn[some])
    assert kernel.space.is_kernel_pointer(every.va).all()


def test_table_mask(node_of: NodeOf) -> None:
    assert table_mask(node_of("s-6.1-small").kernel) == (1 << 48) - 1
    assert table_mask(node_of("s-7.2-small-la57").kernel) == (1 << 57) - 1
    assert table_mask(node_of("arm64-6.12-small-lpa2").kernel) == (1 << 52) - 1


def test_callers() -> None:
    none, two = Areas(u64(), u64(), u64()), Areas(u64(4096, 16384), u64(8192, 20480), u64(7, 9))
    va = u64(4095, 4096, 8191, 8192, 16384, 2**64 - 1)
    assert [part.tolist() for part in callers(none, va)] == [[0] * 6, [False] * 6]
    assert callers(two, va)[0].tolist() == [0, 7, 7, 0, 9, 0]
