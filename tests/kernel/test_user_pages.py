# SPDX-License-Identifier: Apache-2.0
"""Large pages of torn and hostile page tables: left out and counted; those of a process as they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import memir
from memir.kernel.mm import page_roots
from memir.kernel.pagetable import Mappings
from memir.kernel.user_pages import TIMES, implausible, user_mappings
from memir.kube.ram import RamSource
from tests.images import ROOT, cache

MIB, GIB = 1 << 20, 1 << 30


def maps(*rows: tuple[int, int, int]) -> Mappings:
    """Of (address space, physical address, size), each behind the one before."""
    owner, pa, size = (np.array(column) for column in zip(*rows, strict=True))
    sizes = size.astype(np.uint64)
    va = np.cumsum(sizes) - sizes
    return Mappings(owner.astype(np.int64), va, pa.astype(np.uint64), sizes, va | np.uint64(1), 0)


def test_which_are_implausible() -> None:
    of_two = maps(
        (0, 0, 4096), (0, 4 * GIB, 4096), (0, 64 * MIB, 2 * MIB), (0, 127 * MIB, 2 * MIB), (0, GIB, GIB),
        (1, 0, 2 * MIB), (1, 2 * MIB, 2 * MIB), (1, 4 * MIB, 2 * MIB), (1, 6 * MIB, 4096), (1, 8 * MIB, 2 * MIB),
    )  # fmt: skip
    assert implausible(of_two, 128 * MIB, 5 * MIB).tolist() == [
        False, False, False, True, True,  # beyond 128 MiB, if only in part
        False, False, True, False, True,  # more than 5 MiB of large pages
    ]  # fmt: skip
    assert not implausible(maps((0, GIB, 4096)), MIB, MIB).any()
    assert implausible(maps((0, 2**51, GIB), (3, 0, GIB)), GIB, GIB).tolist() == [True, False]


def test_a_node_that_ran_while_it_was_read() -> None:
    """192 MiB, whose tables name 148 million pages as large ones."""
    source = memir.open(ROOT / "samples" / "s-6.1-live.raw.zst", cache=cache()).source
    kernel, memory, task = source.kernel, source.kernel.memory, source.processes.task
    mm = np.unique(kernel.pointer(task, "task_struct", "mm"))
    roots = page_roots(kernel, mm[mm != 0])
    raw, kept = kernel.space.user_mappings(roots), user_mappings(kernel, roots)
    assert int(raw.size.sum()) > 500 * GIB
    large = kept.size > 4096
    assert int((kept.pa + kept.size)[large].max(initial=0)) <= memory.end
    assert np.bincount(kept.owner[large], kept.size[large]).max(initial=0) <= TIMES * memory.end
    (gap,) = [gap for gap in kernel.gaps if gap.why.startswith("large page beyond RAM")]
    assert gap.count * 4096 == int(raw.size.sum()) - int(kept.size.sum())
    user_mappings(kernel, roots)
    assert [entry for entry in kernel.gaps if entry.why == gap.why] == [gap]


def test_a_node_that_stood_still_keeps_all(node_of: Callable[[str], RamSource]) -> None:
    node = node_of("s-6.1-small")
    kernel = node.kernel
    mm = np.unique(kernel.pointer(node.processes.task, "task_struct", "mm"))
    roots = page_roots(kernel, mm[mm != 0])
    raw, kept = kernel.space.user_mappings(roots), user_mappings(kernel, roots)
    assert np.array_equal(raw.va, kept.va)
    assert np.array_equal(raw.entry, kept.entry)
