# SPDX-License-Identifier: Apache-2.0
"""Cgroups that pages are charged to, against the sizes of each cgroup's own lists of pages, which the kernel counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from memir.kernel.frames import ANONYMOUS, FILE
from memir.kernel.memcontrol import cgroups_of, member
from memir.kube.ram import RamSource
from tests.kernel.test_frames import every

NodeOf = Callable[[str], RamSource]


def lru_sizes(node: RamSource) -> dict[int, int]:
    """Pages on the lists of each mem_cgroup (mem_cgroup_per_node.lru_zone_size), by its cgroup, those with any."""
    kernel, tree = node.kernel, node.cgroup_tree
    number = (kernel.types.enum("cgroup_subsys_id") or {})["memory_cgrp_id"]
    state = kernel.pointer(tree.cgroup, "cgroup", "subsys").reshape(len(tree), -1)[:, number]
    memory = kernel.container(state, "mem_cgroup", "css")
    own = kernel.pointer(memory, "cgroup_subsys_state", "cgroup", gap=False) == tree.cgroup
    first = kernel.embedded(memory, "mem_cgroup", "nodeinfo")
    per_node = kernel.pointers(np.where(own & (memory != 0), first, np.uint64(0)))
    sums = np.zeros(len(tree), np.int64)
    for path in ("lru_zone_size", "lruvec.lrugen.nr_pages"):  # the second with MGLRU (6.1, ec1c86b25f4b)
        if kernel.types.has("mem_cgroup_per_node", path):
            layout = kernel.types.member("mem_cgroup_per_node", path)
            raw, ok = kernel.read_bytes(per_node + np.uint64(layout.offset), layout.type.size, per_node)
            sums += np.where(ok, raw.view("<i8").sum(axis=1), 0)
    return {int(cgroup): int(size) for cgroup, size in zip(tree.cgroup, sums, strict=True) if size}


def test_each_cgroup_has_the_pages_on_its_lists(node_of: NodeOf, image: str) -> None:
    """But for pages that a processor has not put on a list yet, or has taken off one: a percent, or 256 pages."""
    node = node_of(image)
    known = every(node)
    pages = Counter(known.charge[np.isin(known.kind, (ANONYMOUS, FILE)) & (known.charge != 0)].tolist())
    sizes = lru_sizes(node)
    assert sum(sizes.values()) > 1000
    wrong = {
        cgroup: (pages[cgroup], sizes.get(cgroup, 0))
        for cgroup in set(pages) | set(sizes)
        if abs(pages[cgroup] - sizes.get(cgroup, 0)) > max(256, sizes.get(cgroup, 0) // 100)
    }
    assert wrong == {}


def test_processes_and_charges_agree(node_of: NodeOf, image: str) -> None:
    """All anonymous pages are charged, and to cgroups that there are."""
    node = node_of(image)
    known = every(node)
    anonymous = known.kind == ANONYMOUS
    assert (known.charge[anonymous] != 0).mean() > 0.99
    assert set(np.unique(known.charge[known.charge != 0]).tolist()) <= set(node.cgroup_tree.cgroup.tolist())


def test_flags_and_strangers(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    offset = member(node.kernel)
    assert offset == node.kernel.types.offset("page", "memcg_data")
    known = every(node)
    place = int(np.flatnonzero((known.kind == ANONYMOUS) & (known.charge != 0))[0])
    struct = node.kernel.space.struct_page(known.pages.pfn()[place : place + 1] << np.uint64(12))
    value = int(node.kernel.pointers(struct + np.uint64(offset or 0))[0])
    data = np.array([value, value | 1, 0, 0xFFFF_8000_0000_0000, value + 64], np.uint64)
    there = cgroups_of(node.kernel, data, node.cgroup_tree.cgroup).tolist()
    assert there == [int(known.charge[place]), 0, 0, 0, 0]
    assert cgroups_of(node.kernel, data, np.zeros(0, np.uint64)).tolist() == [0] * 5
