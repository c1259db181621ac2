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
from tests.damage import damaged, patched, rewritten

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


def test_routes_for_some_sources_alone(node_of: NodeOf) -> None:
    """They lie in a tree of their own below their destination."""
    node = node_of("s-6.12-intruded")
    kernel, net = node.kernel, node.net_namespaces[0]
    _, head = table_heads(kernel, net, "ipv6.fib_table_hash")
    _, link = hlist_nodes(kernel, head, "routing tables")
    root = kernel.embedded(kernel.container(link, "fib6_table", "tb6_hlist"), "fib6_table", "tb6_root")
    left, place = kernel.pointer(root, "fib6_node", "left"), kernel.embedded(root, "fib6_node", "left")
    own = np.flatnonzero(left != 0)[0]
    subtree = int(kernel.embedded(root, "fib6_node", "subtree")[own])
    moved = rewritten(kernel, {int(place[own]): bytes(8), subtree: int(left[own]).to_bytes(8, "little")})
    every = ipv6_routes(kernel, net)
    assert sorted(ipv6_routes(moved, net).route.tolist()) == sorted(every.route.tolist())
    assert set(every.origin) == {None}
    source = int(kernel.embedded(every.route[:1], "fib6_info", "fib6_src")[0])
    prefix = int(kernel.embedded(every.route[:1], "fib6_info", "fib6_src.plen")[0])
    other = rewritten(kernel, {source: bytes.fromhex("20010db80001") + bytes(10), prefix: (64).to_bytes(4, "little")})
    assert ipv6_routes(other, net).origin == ["2001:db8:1::/64", *every.origin[1:]]


def test_several_ways_are_numbered(node_of: NodeOf) -> None:
    """Each is a route of its own; they are one where they are siblings."""
    node = node_of("s-6.12-intruded")
    kernel, net = node.kernel, node.net_namespaces[0]
    every = ipv6_routes(kernel, net)
    assert not every.hop.any()
    key = [(int(every.net[row]), int(every.table[row]), every.destination[row], int(every.metric[row]))
           for row in range(len(every))]  # fmt: skip
    same = next(rows for value in key if len(rows := [row for row, other in enumerate(key) if other == value]) > 1)
    place = kernel.embedded(every.route, "fib6_info", "fib6_nsiblings")
    again = ipv6_routes(rewritten(kernel, {int(place[row]): b"\x01\0\0\0" for row in same}), net)
    assert again.hop[same].tolist() == list(range(len(same))) and again.hop.sum() == sum(range(len(same)))


def test_by_objects_of_their_own(node_of: NodeOf) -> None:
    """One that leads somewhere, one that refuses, and a group of both; what is no nexthop is a gap."""
    node = node_of("s-6.12-intruded")
    kernel, net = node.kernel, node.net_namespaces[0]
    every, types = ipv6_routes(kernel, net), kernel.types
    victim = int(np.flatnonzero(every.device != 0)[0])
    at = int(kernel.space.direct[0]) + 0x10_0000  # a page that no structure of this walk lies in
    words: dict[int, bytes] = {}

    def put(struct: str, place: int, member: str, value: int, size: int = 8) -> None:
        words[place + types.offset(struct, member)] = value.to_bytes(size, "little")

    for place, refuses in ((at, 0), (at + 0x400, 1)):
        put("nexthop", place, "is_group", 0, 1)
        put("nexthop", place, "nh_info", place + 0x200)
        put("nh_info", place + 0x200, "nh_parent", place)
        put("nh_info", place + 0x200, "reject_nh", refuses, 1)
        put("nh_info", place + 0x200, "fib_nh.nh_common.nhc_dev", int(every.device[victim]))
        put("nh_info", place + 0x200, "fib_nh.nh_common.nhc_gw_family", 10, 1)
        words[place + 0x200 + types.offset("nh_info", "fib_nh.nh_common.nhc_gw")] = b"\xfe\x80" + bytes(13) + b"\x07"
    group, entries = at + 0x800, at + 0x900
    put("nexthop", group, "is_group", 1, 1)
    put("nexthop", group, "nh_grp", entries)
    put("nh_group", entries, "num_nh", 2, 2)
    for number in range(2):
        entry = entries + types.offset("nh_group", "nh_entries") + number * types.size("nh_grp_entry")
        put("nh_grp_entry", entry, "nh", at + 0x400 * number)
    shared = int(every.route[victim]) + types.offset("fib6_info", "nh")
    for place, kinds in ((at, [1]), (at + 0x400, [6]), (group, [1, 6]), (at + 0xC00, [1])):
        made = rewritten(kernel, words | {shared: place.to_bytes(8, "little")})
        again = ipv6_routes(made, net)
        rows = np.flatnonzero(again.route == every.route[victim])
        fine = place != at + 0xC00
        assert len(again) == len(every) + len(kinds) - 1 and again.hop[rows].tolist() == list(range(len(kinds)))
        plain = int(every.type[victim])
        assert again.type[rows].tolist() == [6 if kind == 6 else plain for kind in kinds]
        assert {again.gateway[row] for row in rows} == ({"fe80::7"} if fine else {None})
        assert set(again.device[rows].tolist()) == ({int(every.device[victim])} if fine else {0})
        assert [gap.kind for gap in made.gaps] == ([] if fine else ["route by a nexthop object"])
