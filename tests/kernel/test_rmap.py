# SPDX-License-Identifier: Apache-2.0
"""From anonymous pages to the regions they were made for: the page tables say the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import page
from memir.kernel.mm import page_roots
from memir.kernel.rmap import anonymous_regions, is_of
from memir.kernel.space import u64
from memir.kube.ram import RamSource

NodeOf = Callable[[str], RamSource]


def test_regions_hold_the_pages(node_of: NodeOf, image: str) -> None:
    """Of mapped anonymous pages, one of the regions is of the process that maps it and holds the address."""
    node = node_of(image)
    kernel = node.kernel
    mm = np.unique(kernel.pointer(node.processes.task, "task_struct", "mm"))
    mm = mm[mm != 0]
    maps = kernel.space.user_mappings(page_roots(kernel, mm))
    rows = np.flatnonzero(maps.size == 4096)
    mapping, _ = page.owners(kernel, maps.pa[rows] >> np.uint64(12))
    keep = (mapping & np.uint64(3)) == 1
    rows, mapping = rows[keep], mapping[keep]
    assert len(rows) > 50
    which, vma = anonymous_regions(kernel, mapping)
    low, high, of = (kernel.read(vma, "vm_area_struct", name) for name in ("vm_start", "vm_end", "vm_mm"))
    va = maps.va[rows][which]
    right = (of == mm[maps.owner[rows]][which]) & (low <= va) & (va < high)
    assert np.array_equal(np.unique(which[right]), np.arange(len(rows)))
    assert np.all(np.diff(which) >= 0) and which.dtype == np.int64


def test_what_is_no_anonymous_page(node_of: NodeOf, image: str) -> None:
    """Files, KSM, nothing, and a word that leads nowhere."""
    kernel = node_of(image).kernel
    task = int(kernel.anchors.init_task)
    which, vma = anonymous_regions(kernel, u64(0, task, task | 3, 0x1001, task | 2))
    assert len(which) == len(vma) == 0
    assert len(anonymous_regions(kernel, np.zeros(0, np.uint64))[0]) == 0


def test_a_frame_is_of_its_place_alone(node_of: NodeOf, image: str) -> None:
    """The process's own region and page, no other page of it, and no region of another process."""
    node = node_of(image)
    kernel, (mm, every) = node.kernel, node.regions
    maps = kernel.space.user_mappings(page_roots(kernel, mm))
    rows = np.flatnonzero(maps.size == 4096)
    mapping, index = page.owners(kernel, maps.pa[rows] >> np.uint64(12))
    rows, index = rows[(mapping & np.uint64(3)) == 1], index[(mapping & np.uint64(3)) == 1]
    region = [
        int(np.flatnonzero((every.owner == owner) & (every.start <= va) & (va < every.end))[0])
        for owner, va in zip(maps.owner[rows], maps.va[rows], strict=True)
    ]
    linear = every.pgoff[region] + ((maps.va[rows] - every.start[region]) >> np.uint64(12))
    assert is_of(kernel, every.vma[region], linear, maps.pa[rows]).all()
    assert not is_of(kernel, every.vma[region], linear + np.uint64(1), maps.pa[rows]).any()
    assert not is_of(kernel, np.zeros(len(rows), np.uint64), linear, maps.pa[rows]).any()
