# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: from one of them all, as the recorder met them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel.net_namespace import initial, net_namespaces, of_tasks
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.images import case
from tests.kernel.host import SMALL

NodeOf = Callable[[str], RamSource]


@pytest.mark.parametrize("name", SMALL)
def test_all_namespaces_from_any(node_of: NodeOf, name: str) -> None:
    node = node_of(name)
    tasks = of_tasks(node.kernel, node.processes.threads.task)
    net, inum = net_namespaces(node.kernel, tasks)
    recorded = {int(one["netns"][5:-1]) for one in case(name).raw_truth()["net"]}
    assert set(inum.tolist()) == recorded and inum.tolist() == sorted(inum.tolist())
    for one in net:
        again, numbers = net_namespaces(node.kernel, u64(int(one)))
        assert np.array_equal(again, net) and np.array_equal(numbers, inum)
    assert [len(part) for part in net_namespaces(node.kernel, u64(0))] == [0, 0]
    assert of_tasks(node.kernel, u64(0)).tolist() == [0]


@pytest.mark.parametrize("name", SMALL)
def test_the_nodes_own_lies_in_the_kernel(node_of: NodeOf, name: str) -> None:
    """The same that process 1 has; none where it is not among those that are asked about."""
    node = node_of(name)
    net, inum = node.net_namespaces
    first = next(row for row in node.processes.rows if row.pid == 1)
    assert initial(node.kernel, net, inum) == first.namespaces["net"] != 0
    others = inum != first.namespaces["net"]
    assert initial(node.kernel, net[others], inum[others]) == 0
