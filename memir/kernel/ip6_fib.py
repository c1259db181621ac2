# SPDX-License-Identifier: Apache-2.0
"""include/net/ip6_fib.h: the IPv6 routes of many network namespaces at once."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.blank import whole
from memir.kernel.ip_fib import BLACKHOLE, Routes, address, objects, table_heads
from memir.kernel.list import chain, hlist_nodes
from memir.kernel.pagetable import I64, U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_INFO = 0x4  # RTN_RTINFO: a node whose leaf is its own; else it is one that lies below it
_MOST = 1 << 20
_DEEP = 259  # levels: one a bit of the destination, and of the source that a route may ask for too


def ipv6_routes(kernel: Kernel, net: U64) -> Routes:
    """IPv6 routes of `struct net *` addresses, all tables; the empty entry that each main table begins with is none."""
    if not kernel.types.has("net", "ipv6.fib_table_hash"):
        none = np.zeros(0, np.int64)  # a kernel without IPv6
        return _routes(kernel, none, np.zeros(0, np.uint64), none)
    row, head = table_heads(kernel, net, "ipv6.fib_table_hash")
    which, node = hlist_nodes(kernel, head, "routing tables", 4096)
    table = kernel.container(node, "fib6_table", "tb6_hlist")
    owner, leaf = _leaves(kernel, kernel.embedded(table, "fib6_table", "tb6_root"))
    part, route = chain(kernel, leaf, kernel.types.offset("fib6_info", "fib6_next"), "routes of a node", _MOST)
    empty = kernel.pointer(net, "net", "ipv6.fib6_null_entry")
    space, inside = row[which][owner[part]], table[owner[part]]
    good = whole(kernel, route, kernel.types.size("fib6_info"))
    good &= kernel.try_read(route, "fib6_info", "fib6_table")[0].astype(np.uint64) == inside
    own = route != empty[space]
    kernel.count_unread("route", route[own], good[own])
    fine = good & own
    return _routes(kernel, space[fine], route[fine], part[fine])


def _leaves(kernel: Kernel, root: U64) -> tuple[I64, U64]:
    """(row of the root, fib6_info) of every node that has one; a child that names another parent is a gap."""
    owner, node = np.arange(len(root)), root
    owners, leaves = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for _ in range(_DEEP):
        if not len(node):
            return np.concatenate(owners), np.concatenate(leaves)
        flags = kernel.read(node, "fib6_node", "fn_flags").astype(np.int64)
        own = (flags & _INFO) != 0
        owners.append(owner[own])
        leaves.append(kernel.pointer(node[own], "fib6_node", "leaf"))
        # routes for some sources alone are in a tree of their own below the destination (CONFIG_IPV6_SUBTREES)
        names = [side for side in ("left", "right", "subtree") if kernel.types.has("fib6_node", side)]
        below = np.concatenate([kernel.pointer(node, "fib6_node", side) for side in names])
        parent, owner = np.tile(node, len(names)), np.tile(owner, len(names))
        fits = kernel.try_read(below, "fib6_node", "parent")[0].astype(np.uint64) == parent
        kernel.count_unread("routing tree", below, fits)
        fits &= below != 0
        owner, node = owner[fits], below[fits]
    kernel.gaps.add("routing tree", f"{int(node[0]):#x}", f"deeper than {_DEEP} levels", len(node))
    return np.concatenate(owners), np.concatenate(leaves)


def _numbered(kernel: Kernel, route: U64, node: I64) -> I64:
    """Which way of one route each is: here each is a route of its own, and those of a node with one metric are one."""
    metric = kernel.read(route, "fib6_info", "fib6_metric").astype(np.int64)
    single = kernel.read(route, "fib6_info", "fib6_nsiblings") == 0
    order = np.lexsort((np.arange(len(route)), metric, node))
    # a route alone is a run of its own
    begins = np.ones(len(route), bool)
    begins[1:] = (node[order][1:] != node[order][:-1]) | (metric[order][1:] != metric[order][:-1])
    begins[1:] |= single[order][1:] | single[order][:-1]
    place = np.arange(len(route))
    hop = np.zeros(len(route), np.int64)
    hop[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return hop


def _routes(kernel: Kernel, space: I64, route: U64, node: I64) -> Routes:
    """node: number of the node of the tree that each lies at."""
    read, types = kernel.read, kernel.types
    if not len(route):
        none, words = np.zeros(0, np.int64), np.zeros(0, np.uint64)
        return Routes(none, words, none, none, [], none, none, none, none, [], [], words, [])
    shared = kernel.pointer(route, "fib6_info", "nh")  # 5.3: nexthop objects of their own
    of_object, by_object, reject = objects(kernel, shared)
    several = np.bincount(of_object, minlength=len(route))
    again = np.repeat(np.arange(len(route)), np.maximum(several, 1))
    hop = np.where((several > 0)[again], np.arange(len(again)) - np.searchsorted(again, again),
                   _numbered(kernel, route, node)[again])  # fmt: skip
    refused = np.zeros(len(again), bool)
    refused[(several > 0)[again]] = reject
    shared, space, route = shared[again], space[again], route[again]
    # fib6_nh lies behind the struct
    way = np.where(shared == 0, route + np.uint64(types.offset("fib6_info", "fib6_nh")), np.uint64(0))
    way[(several > 0)[again]] = by_object
    way = np.where(whole(kernel, way, types.size("fib6_nh")), way, np.uint64(0))
    raw, _ = kernel.read_bytes(kernel.embedded(route, "fib6_info", "fib6_dst"), 20)
    length = read(route, "fib6_info", "fib6_dst.plen").tolist()
    gateway, _ = kernel.read_bytes(kernel.embedded(way, "fib6_nh", "nh_common.nhc_gw"), 16, way)
    family = read(way, "fib6_nh", "nh_common.nhc_gw_family").tolist()
    source, _ = kernel.read_bytes(kernel.embedded(route, "fib6_info", "fib6_prefsrc.addr"), 16)
    return Routes(
        net=space,
        route=route,
        hop=hop,
        table=read(kernel.pointer(route, "fib6_info", "fib6_table"), "fib6_table", "tb6_id").astype(np.int64),
        destination=[
            f"{address(socket.AF_INET6, row.tobytes())}/{bits}" for row, bits in zip(raw, length, strict=True)
        ],
        type=np.where(refused, BLACKHOLE, read(route, "fib6_info", "fib6_type").astype(np.int64)),
        scope=np.full(len(route), -1),
        protocol=read(route, "fib6_info", "fib6_protocol").astype(np.int64),
        metric=read(route, "fib6_info", "fib6_metric").astype(np.int64),
        gateway=[address(kind, row.tobytes()) for kind, row in zip(family, gateway, strict=True)],
        preferred=[address(socket.AF_INET6, row.tobytes()) if row.any() else None for row in source],
        device=kernel.pointer(way, "fib6_nh", "nh_common.nhc_dev"),
        origin=_origins(kernel, route),
    )


def _origins(kernel: Kernel, route: U64) -> list[str | None]:
    """The network that packets have to come from (`ip -6 route add ... from`), None for all."""
    if not kernel.types.has("fib6_info", "fib6_src"):
        return [None] * len(route)
    raw, _ = kernel.read_bytes(kernel.embedded(route, "fib6_info", "fib6_src"), 16)
    length = kernel.read(route, "fib6_info", "fib6_src.plen").tolist()
    return [
        f"{address(socket.AF_INET6, row.tobytes())}/{bits}" if bits else None
        for row, bits in zip(raw, length, strict=True)
    ]
