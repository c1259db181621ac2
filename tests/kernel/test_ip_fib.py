# SPDX-License-Identifier: Apache-2.0
"""IPv4 routes: a trie that loops, lies or claims to be huge gives fewer routes and a gap, never others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.ip_fib import Routes, address, ipv4_routes, objects, table_heads
from memir.kernel.list import hlist_nodes
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import damaged, patched, rewritten

NodeOf = Callable[[str], RamSource]


def shown(every: Routes) -> set[tuple[int, str, int, str | None]]:
    rows = zip(every.net.tolist(), every.destination, every.type.tolist(), every.gateway, strict=True)
    return set(rows)


def root_of(node: RamSource) -> int:
    """Of the first namespace's first trie the node at its top."""
    kernel = node.kernel
    _, head = table_heads(kernel, node.net_namespaces[0], "ipv4.fib_table_hash")
    _, link = hlist_nodes(kernel, head, "routing tables")
    trie = kernel.pointer(kernel.container(link, "fib_table", "tb_hlist"), "fib_table", "tb_data")
    offset = kernel.types.offset("trie", "kv") + kernel.types.offset("key_vector", "tnode")
    return int(kernel.pointers(trie[:1] + np.uint64(offset))[0])


@pytest.mark.parametrize("member", ["bits", "pos", "key", "tnode"])
def test_hostile_tries(member: str, node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    kernel, net = node.kernel, node.net_namespaces[0]
    whole = ipv4_routes(kernel, net)
    assert len(whole) >= 15
    root = root_of(node)
    value = {"bits": b"\x1f", "pos": b"\x20", "key": b"\xff\xff\xff\xff", "tnode": root.to_bytes(8, "little")}[member]
    place, _ = kernel.space.physical(u64(root + kernel.types.offset("key_vector", member)))
    memory = damaged(kernel.memory, patched(kernel.memory, {int(place[0]): value}))
    gaps = Gaps()
    torn = ipv4_routes(Kernel(memory, kernel.anchors, gaps), net)
    assert shown(torn) < shown(whole)
    assert {gap.kind for gap in gaps} == {"routing trie"}


def test_address() -> None:
    raw = bytes([10, 0, 1, 2]) + bytes(11) + b"\1"
    assert (address(2, raw), address(10, raw), address(0, raw)) == ("10.0.1.2", "a00:102::1", None)


def test_no_namespace(node_of: NodeOf) -> None:
    kernel = node_of("s-6.1-small").kernel
    assert len(ipv4_routes(kernel, u64())) == 0
    assert len(table_heads(kernel, u64(0), "ipv4.fib_table_hash")[0]) == 0


def test_ways_by_a_nexthop_object(node_of: NodeOf) -> None:
    """A route that names one has no ways of its own, whatever it counts."""
    node = node_of("s-6.12-intruded")
    kernel, net = node.kernel, node.net_namespaces[0]
    every, types = ipv4_routes(kernel, net), kernel.types
    victim = int(np.flatnonzero(every.device != 0)[0])
    info = kernel.pointer(every.route[victim : victim + 1], "fib_alias", "fa_info")
    at = int(kernel.space.direct[0]) + 0x10_0000  # a page that no structure of this walk lies in
    inside = at + 0x200
    words = {
        int(info[0]) + types.offset("fib_info", "nh"): at.to_bytes(8, "little"),
        at + types.offset("nexthop", "is_group"): b"\0",
        at + types.offset("nexthop", "nh_info"): inside.to_bytes(8, "little"),
        inside + types.offset("nh_info", "nh_parent"): at.to_bytes(8, "little"),
        inside + types.offset("nh_info", "reject_nh"): b"\0",
        inside + types.offset("nh_info", "fib_nh.nh_common.nhc_dev"): int(every.device[victim]).to_bytes(8, "little"),
        inside + types.offset("nh_info", "fib_nh.nh_common.nhc_gw_family"): b"\x02",
        inside + types.offset("nh_info", "fib_nh.nh_common.nhc_gw"): b"\x0a\x09\x00\x05",
    }
    made = rewritten(kernel, words)
    of, way, refuses = objects(made, u64(0, at))
    assert (of.tolist(), refuses.tolist()) == ([1], [False])
    assert way.tolist() == [inside + types.offset("nh_info", "fib_nh")]
    again = ipv4_routes(made, net)
    shared = np.isin(kernel.pointer(every.route, "fib_alias", "fa_info"), info)
    assert [address for address, own in zip(again.gateway, shared.tolist(), strict=True) if own] == [
        "10.9.0.5"
    ] * int(shared.sum())
    assert set(again.device[shared].tolist()) == {int(every.device[victim])} and not len(made.gaps)
