# SPDX-License-Identifier: Apache-2.0
"""Cgroups: as many as /proc/cgroups counts, all that processes are in; a tree that loops is walked once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel.cgroup_tree import cgroups, states
from memir.kernel.engine import Kernel
from memir.kube.ram import RamSource
from tests.damage import damaged, patched
from tests.images import case
from tests.kernel.host import SMALL

NodeOf = Callable[[str], RamSource]


@pytest.mark.parametrize("name", SMALL)
def test_as_many_as_proc_counts(name: str, node_of: NodeOf) -> None:
    node = node_of(name)
    every = cgroups(node.kernel, node.processes.threads.task)
    counted = {}
    for line in case(name).raw_truth()["sys"]["cgroups"].splitlines()[1:]:
        controller, number, count, _ = line.split()
        counted[int(number)] = int(count)
        # the unified hierarchy shows its own names (io), v1 its (blkio)
        if int(number):
            top = next(row for row, at in enumerate(every.hierarchy) if at == int(number) and not every.level[row])
            assert controller in every.controllers[top]
    for number, count in counted.items():
        assert int((every.hierarchy == number).sum()) == count
    assert len({(int(number), path) for number, path in zip(every.hierarchy, every.path, strict=True)}) == len(every)


def test_levels_and_ids(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    every = cgroups(node.kernel, node.processes.threads.task)
    for path, level in zip(every.path, every.level.tolist(), strict=True):
        assert path is not None and level == (0 if path == "/" else path.count("/"))
    assert len(set(zip(every.hierarchy.tolist(), every.ident.tolist(), strict=True))) == len(every)
    assert every.ident.min() == 1
    charged = every.memory[every.memory != 0]
    assert len(np.unique(charged)) == len(charged) >= 10
    own = node.kernel.pointer(charged, "mem_cgroup", "css.cgroup")
    assert own.tolist() == every.cgroup[every.memory != 0].tolist()
    # a controller's state is what the cgroup itself has, and its first member leads back
    states_of = states(node.kernel, every.cgroup, "memory")
    assert {*charged.tolist(), 0} >= set(states_of.tolist())
    assert states(node.kernel, every.cgroup, "none").tolist() == [0] * len(every)


def test_hostile_lists(node_of: NodeOf) -> None:
    """A cgroup whose children are its own sibling list, and one that names another parent."""
    node = node_of("s-6.1-small")
    kernel, task = node.kernel, node.processes.threads.task
    every = cgroups(kernel, task)
    types = kernel.types
    parent = int(every.cgroup[every.path.index("/kubepods.slice")])
    children = parent + types.offset("cgroup", "self.children")
    changes = [
        (children, int(children).to_bytes(8, "little"), set()),
        (children, (parent + types.offset("cgroup", "self.sibling")).to_bytes(8, "little"), {"cgroup list"}),
        (parent + types.offset("cgroup", "self.parent"), bytes(8), {"cgroup list"}),
    ]
    for address, data, kinds in changes:
        gaps = Gaps()
        memory = damaged(kernel.memory, patched(kernel.memory, {address - kernel.space.direct_delta: data}), 1 << 22)
        torn = cgroups(Kernel(memory, kernel.anchors, gaps), task)
        assert set(torn.cgroup.tolist()) <= set(every.cgroup.tolist())
        assert {gap.kind for gap in gaps} == kinds
