# SPDX-License-Identifier: Apache-2.0
"""IPv6 routes: a tree whose links lie gives fewer routes and a gap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.ip6_fib import ipv6_routes
from memir.kernel.ip_fib import table_heads
from memir.kernel.list import hlist_nodes
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import damaged, patched

NodeOf = Callable[[str], RamSource]


def test_every_namespace_has_its_own(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    every = ipv6_routes(node.kernel, node.net_namespaces[0])
    assert len(set(every.route.tolist())) == len(every) >= 10
    empty = node.kernel.pointer(node.net_namespaces[0], "net", "ipv6.fib6_null_entry")
    assert not np.isin(every.route, empty).any()
    assert set(every.table.tolist()) == {254, 255}
    assert set(every.device.tolist()) <= set(node.interfaces.device.tolist())
    assert len(ipv6_routes(node.kernel, u64())) == 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_tree_that_loops(side: str, node_of: NodeOf) -> None:
    node = node_of("s-6.12-intruded")
    kernel, net = node.kernel, node.net_namespaces[0]
    whole = ipv6_routes(kernel, net)
    _, head = table_heads(kernel, net, "ipv6.fib_table_hash")
    _, link = hlist_nodes(kernel, head, "routing tables")
    table = kernel.container(link, "fib6_table", "tb6_hlist")
    root = kernel.embedded(table, "fib6_table", "tb6_root")
    below = kernel.pointer(root, "fib6_node", side)
    top = int(root[below != 0][0])
    place, _ = kernel.space.physical(u64(top + kernel.types.offset("fib6_node", side)))
    gaps = Gaps()
    memory = damaged(kernel.memory, patched(kernel.memory, {int(place[0]): top.to_bytes(8, "little")}))
    torn = ipv6_routes(Kernel(memory, kernel.anchors, gaps), net)
    assert set(torn.route.tolist()) < set(whole.route.tolist())
    assert [(gap.kind, gap.count) for gap in gaps] == [("routing tree", 1)]
