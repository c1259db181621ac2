# SPDX-License-Identifier: Apache-2.0
"""include/net/ip_fib.h and net/ipv4/fib_trie.c: the IPv4 routes of many network namespaces at once."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.blank import whole
from memir.kernel.list import hlist_nodes
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import spread

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

BLACKHOLE = 6  # RTN_BLACKHOLE
_SLOTS = 256  # FIB_TABLE_HASHSZ and FIB6_TABLE_HASHSZ where the kernel knows routing rules
_FEW = {"ipv4": 2, "ipv6": 1}  # where it does not
_NEXTHOPS = 1024
_MOST = 1 << 22  # nodes of all tries: a full table of the Internet has a million routes


@dataclass(frozen=True)
class Routes:
    """Routes, one row a way (next hop); columns of one length.

    net: row of the namespace that was asked about. route: fib_alias or fib6_info. hop: number of the way. table, type,
    scope, protocol: numbers of rtnetlink.h; metric: smaller wins; -1 not known. gateway, preferred: None where there is
    none, or it is not known. origin: the network that a packet has to come from, None for all. device: struct
    net_device.
    """

    net: I64
    route: U64
    hop: I64
    table: I64
    destination: list[str]
    type: I64
    scope: I64
    protocol: I64
    metric: I64
    gateway: list[str | None]
    preferred: list[str | None]
    device: U64
    origin: list[str | None]

    def __len__(self) -> int:
        return len(self.route)


def table_heads(kernel: Kernel, net: U64, member: str) -> tuple[I64, U64]:
    """(row of net, address) of the hash slots of a namespace's routing tables, hlist_head each."""
    first = kernel.pointer(net, "net", member)
    known = np.flatnonzero(first != 0)
    family = member.partition(".")[0]
    rules = kernel.types.has("net", f"{family}.{'fib6_rules_ops' if family == 'ipv6' else 'rules_ops'}")
    several = np.arange(_SLOTS if rules else _FEW[family], dtype=np.uint64) * np.uint64(8)
    return np.repeat(known, len(several)), (first[known][:, None] + several[None, :]).reshape(-1)


def ipv4_routes(kernel: Kernel, net: U64) -> Routes:
    """IPv4 routes of `struct net *` addresses, all tables.

    main and local share one trie until a rule is added (0ddcf43d5d4a): each trie is walked once, and an alias names its
    table.
    """
    row, head = table_heads(kernel, net, "ipv4.fib_table_hash")
    which, node = hlist_nodes(kernel, head, "routing tables", 4096)
    table = kernel.container(node, "fib_table", "tb_hlist")
    trie, first = np.unique(kernel.pointer(table, "fib_table", "tb_data"), return_index=True)
    space = row[which[first]][trie != 0]
    owner, leaf = _leaves(kernel, trie[trie != 0])
    return _routes(kernel, net, space[owner], leaf)


def _leaves(kernel: Kernel, trie: U64) -> tuple[I64, U64]:
    """(row of the trie, key_vector) of each leaf, level by level; a child whose key does not fit its place is a gap."""
    children = np.uint64(kernel.types.offset("key_vector", "tnode"))
    node = kernel.pointers(trie + np.uint64(kernel.types.offset("trie", "kv")) + children)
    owner = np.arange(len(trie))
    limit = np.full(len(trie), 33)  # pos + bits of what is below has to be less
    prefix, length = np.zeros(len(trie), np.uint64), np.full(len(trie), 32)
    leaves: list[tuple[I64, U64]] = []
    met = 0
    while len(node):
        there = node != 0
        owner, node, limit, prefix, length = (part[there] for part in (owner, node, limit, prefix, length))
        fields = (kernel.try_read(node, "key_vector", name)[0] for name in ("key", "pos", "bits"))
        key, pos, bits = (values.astype(np.int64) for values in fields)
        fits = (pos + bits < limit) & (key.astype(np.uint64) >> length.astype(np.uint64) == prefix)
        fits &= whole(kernel, node, kernel.types.size("key_vector"))
        kernel.count_unread("routing trie", node, fits)
        leaf = fits & (bits == 0)
        leaves.append((owner[leaf], node[leaf]))
        inner = fits & (bits > 0)
        many = np.where(inner, 1 << np.minimum(bits, 32), 0)
        met += int(many.sum())
        if met > _MOST:
            kernel.gaps.add("routing trie", f"{int(node[0]):#x}", f"more than {_MOST} nodes")
            break
        again, step = spread(many)
        base, length = key[again] >> (pos + bits)[again], pos[again]
        prefix = ((base << bits[again]) | step).astype(np.uint64)
        owner, limit = owner[again], (pos + bits)[again]
        node = kernel.pointers(node[again] + children + np.uint64(8) * step.astype(np.uint64))
    parts = list(zip(*leaves, strict=True)) or [(np.zeros(0, np.int64),), (np.zeros(0, np.uint64),)]
    return np.concatenate(parts[0]).astype(np.int64), np.concatenate(parts[1]).astype(np.uint64)


def _routes(kernel: Kernel, net: U64, space: I64, leaf: U64) -> Routes:
    read = kernel.read
    which, node = hlist_nodes(kernel, kernel.embedded(leaf, "key_vector", "leaf"), "routes of a leaf", _MOST)
    alias = kernel.container(node, "fib_alias", "fa_list")
    key = read(leaf, "key_vector", "key").astype(np.uint64)[which]
    short = kernel.try_read(alias, "fib_alias", "fa_slen")[0].astype(np.uint64)
    good = whole(kernel, alias, kernel.types.size("fib_alias")) & (short <= 32)
    good &= key & ((np.uint64(1) << np.minimum(short, np.uint64(32))) - np.uint64(1)) == 0
    kernel.count_unread("route", alias, good)
    which, alias, key, short = which[good], alias[good], key[good], short[good]
    info = kernel.pointer(alias, "fib_alias", "fa_info")
    own = whole(kernel, info, kernel.types.size("fib_info"))
    own &= kernel.try_read(info, "fib_info", "fib_net")[0].astype(np.uint64) == net[space[which]]
    many = kernel.try_read(info, "fib_info", "fib_nhs")[0].astype(np.int64)
    own &= (many >= 0) & (many <= _NEXTHOPS)
    kernel.count_unread("route's way", info, own)
    shared = kernel.pointer(np.where(own, info, np.uint64(0)), "fib_info", "nh")  # 5.3: nexthop objects of their own
    of_object, way, reject = objects(kernel, shared)
    several = np.bincount(of_object, minlength=len(alias))
    again = np.repeat(np.arange(len(alias)), np.maximum(np.where(shared != 0, several, np.where(own, many, 1)), 1))
    hop = np.arange(len(again)) - np.searchsorted(again, again)
    direct = (own & (shared == 0) & (many > 0))[again]
    place = info[again] + np.uint64(kernel.types.offset("fib_info", "fib_nh"))
    place = np.where(direct, place + hop.astype(np.uint64) * np.uint64(kernel.types.size("fib_nh")), np.uint64(0))
    by_object = (several > 0)[again]
    place[by_object] = way
    refused = np.zeros(len(again), bool)
    refused[by_object] = reject
    place = np.where(whole(kernel, place, kernel.types.size("fib_nh")), place, np.uint64(0))
    via = read(place, "fib_nh", "nh_common.nhc_gw_family").tolist()
    raw, _ = kernel.read_bytes(kernel.embedded(place, "fib_nh", "nh_common.nhc_gw"), 16, place)
    known = own[again]
    numbers = {
        name: np.where(known, read(np.where(own, info, np.uint64(0)), "fib_info", member).astype(np.int64)[again], -1)
        for name, member in (("scope", "fib_scope"), ("protocol", "fib_protocol"), ("metric", "fib_priority"))
    }
    source = read(np.where(own, info, np.uint64(0)), "fib_info", "fib_prefsrc").astype("<u4")[again]
    texts = [socket.inet_ntoa(int(value).to_bytes(4, "big")) for value in key.tolist()]
    return Routes(
        net=space[which][again],
        route=alias[again],
        hop=hop,
        table=read(alias, "fib_alias", "tb_id").astype(np.int64)[again],
        destination=[f"{texts[row]}/{32 - int(short[row])}" for row in again.tolist()],
        type=np.where(refused, BLACKHOLE, read(alias, "fib_alias", "fa_type").astype(np.int64)[again]),
        gateway=[address(family, value.tobytes()) for family, value in zip(via, raw, strict=True)],
        preferred=[socket.inet_ntoa(int(value).to_bytes(4, "little")) if value else None for value in source.tolist()],
        device=kernel.pointer(place, "fib_nh", "nh_common.nhc_dev"),
        origin=[None] * len(again),
        **numbers,
    )


def objects(kernel: Kernel, nexthop: U64) -> tuple[I64, U64, Bools]:
    """(row of nexthop, struct fib_nh or fib6_nh, whether it refuses) of each way of `struct nexthop *` addresses
    (include/net/nexthop.h, 5.3); 0 for none. One that is not readable is a gap and gives no row; a group gives several.
    """
    asked = np.flatnonzero(nexthop != 0)
    if not len(asked) or not kernel.types.has("nh_info", "fib_nh"):
        kernel.count_unread("route by a nexthop object", nexthop, nexthop == 0)
        return np.zeros(0, np.int64), np.zeros(0, np.uint64), np.zeros(0, bool)
    group = kernel.try_read(nexthop[asked], "nexthop", "is_group")[0] != 0
    list_ = kernel.pointer(np.where(group, nexthop[asked], np.uint64(0)), "nexthop", "nh_grp")
    many = kernel.read(list_, "nh_group", "num_nh").astype(np.int64)
    kernel.count_unread("nexthop group", list_, many <= _NEXTHOPS)
    many = np.where(many <= _NEXTHOPS, many, 0)
    row, number = spread(np.where(group, many, 1))
    first = kernel.embedded(list_, "nh_group", "nh_entries")[row]
    entry = first + number.astype(np.uint64) * np.uint64(kernel.types.size("nh_grp_entry"))
    member = kernel.pointer(np.where(group[row], entry, np.uint64(0)), "nh_grp_entry", "nh")
    single = np.where(group[row], member, nexthop[asked][row])
    info = kernel.pointer(single, "nexthop", "nh_info")
    # its nexthop in turn
    good = (info != 0) & (kernel.try_read(info, "nh_info", "nh_parent")[0].astype(np.uint64) == single)
    kernel.count_unread("route by a nexthop object", single, good)
    info = info[good]
    refuses: Bools = kernel.read(info, "nh_info", "reject_nh") != 0
    return asked[row[good]].astype(np.int64), kernel.embedded(info, "nh_info", "fib_nh"), refuses


def address(family: int, raw: bytes) -> str | None:
    """An address of 4 (family 2) or 16 bytes (family 10) as text; None for another family."""
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, raw[:4])
    return socket.inet_ntop(socket.AF_INET6, raw[:16]) if family == socket.AF_INET6 else None
