# SPDX-License-Identifier: Apache-2.0
"""Neighbour tables: the kernel's own, found without its symbols; one that claims to be huge is refused and counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.neighbour import neighbours, tables
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import damaged, patched

NodeOf = Callable[[str], RamSource]


def test_tables_are_the_kernels_own(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    kernel = node.kernel
    known = tables(kernel, node.interfaces.device)
    assert len(known) == 2
    named = {kernel.symbols[name] for name in ("arp_tbl", "nd_tbl") if name in kernel.symbols}
    assert named in (set(known.tolist()), set())  # arm64's 6.1 names no data
    assert len(tables(kernel, u64())) == 0 == len(neighbours(kernel, u64()))


def test_as_many_as_the_table_counts(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    every = neighbours(node.kernel, node.interfaces.device)
    counted = node.kernel.read(tables(node.kernel, node.interfaces.device), "neigh_table", "entries.counter")
    assert len(every) == len(set(every.neighbour.tolist())) == int(counted.sum())
    assert set(every.device.tolist()) <= set(node.interfaces.device.tolist())


def test_hostile_tables(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    kernel, device = node.kernel, node.interfaces.device
    every = neighbours(kernel, device)
    table = tables(kernel, device)
    slots = kernel.pointer(table, "neigh_table", "nht")
    changes = [
        (int(slots[0]) + kernel.types.offset("neigh_hash_table", "hash_shift"), 40, 4, "neighbour table"),
        (int(every.neighbour[0]) + kernel.types.offset("neighbour", "dev"), int(table[0]), 8, "neighbour"),
        (int(table[0]) + kernel.types.offset("neigh_table", "key_len"), 200, 4, "neighbour table"),
    ]
    for address, value, size, kind in changes:
        place, _ = kernel.space.physical(np.array([address], np.uint64))
        gaps = Gaps()
        memory = damaged(kernel.memory, patched(kernel.memory, {int(place[0]): value.to_bytes(size, "little")}))
        torn = neighbours(Kernel(memory, kernel.anchors, gaps), device)
        assert set(torn.neighbour.tolist()) <= set(every.neighbour.tolist())
        assert [(gap.kind, gap.count) for gap in gaps] == [(kind, 1)]
