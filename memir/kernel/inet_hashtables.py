# SPDX-License-Identifier: Apache-2.0
"""include/net/inet_hashtables.h, udp.h and raw.h: the tables in which the kernel finds TCP, UDP and raw sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import chain, hash_nodes, slots
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_LISTENING = 32  # INET_LHTABLE_SIZE, until 5.19
_PING = 64  # PING_HTABLE_SIZE
_RAW = 256  # RAW_HTABLE_SIZE; MAX_INET_PROTOS before


def tcp(kernel: Kernel, net: U64, proto: U64) -> U64:
    """Sockets of TCP: listening, connected, TIME_WAIT and requests. net: namespaces; proto: struct protos met."""
    types = kernel.types
    info = _of_protos(kernel, proto, "hashinfo")
    if types.has("netns_ipv4", "tcp_death_row.hashinfo"):  # 6.1 (d1e5e6408b30): may be one per namespace
        info = np.union1d(info, kernel.pointer(net, "net", "ipv4.tcp_death_row.hashinfo"))
    info = np.union1d(info, _symbols(kernel, "tcp_hashinfo"))
    info = info[info != 0]
    count = kernel.read(info, "inet_hashinfo", "ehash_mask").astype(np.uint64) + np.uint64(1)
    heads = [slots(kernel, kernel.pointer(info, "inet_hashinfo", "ehash"), count, 8, "TCP table")]
    size, start = types.size("inet_listen_hashbucket"), types.offset("inet_listen_hashbucket", "nulls_head")
    if types.has("inet_hashinfo", "listening_hash"):  # until 5.19 (cae3873c5b3a)
        first = kernel.embedded(info, "inet_hashinfo", "listening_hash")
        count = np.full(len(info), _LISTENING, np.uint64)
    else:
        first = kernel.pointer(info, "inet_hashinfo", "lhash2")
        count = kernel.read(info, "inet_hashinfo", "lhash2_mask").astype(np.uint64) + np.uint64(1)
    heads.append(slots(kernel, first, count, size, "TCP table") + np.uint64(start))
    bucket = np.concatenate(heads)
    word, read = kernel.try_pointers(bucket)
    # an empty one has a mark (hlist_nulls): zeros are a page that was not captured
    kernel.count_unread("TCP table", bucket[read], word[read] != 0, "zeros where a bucket was")
    return _sockets(kernel, bucket, "skc_nulls_node", "TCP table")


def udp(kernel: Kernel, net: U64, proto: U64) -> U64:
    """Bound sockets of UDP and UDP-Lite; unbound ones are in no table."""
    table = np.union1d(_of_protos(kernel, proto, "udp_table"), _symbols(kernel, "udp_table", "udplite_table"))
    if kernel.types.has("netns_ipv4", "udp_table"):  # 6.2 (9804985bf27f)
        table = np.union1d(table, kernel.pointer(net, "net", "ipv4.udp_table"))
    table = table[table != 0]
    count = kernel.read(table, "udp_table", "mask").astype(np.uint64) + np.uint64(1)
    base = kernel.pointer(table, "udp_table", "hash")
    heads = slots(kernel, base, count, kernel.types.size("udp_hslot"), "UDP table")
    return _sockets(kernel, heads, "skc_node", "UDP table")


def raw(kernel: Kernel, proto: U64) -> U64:
    """Raw sockets, IPv4 and IPv6."""
    if not kernel.types.exists("raw_hashinfo"):
        return np.zeros(0, np.uint64)
    info = np.union1d(_of_protos(kernel, proto, "raw_hash"), _symbols(kernel, "raw_v4_hashinfo", "raw_v6_hashinfo"))
    first = kernel.embedded(info[info != 0], "raw_hashinfo", "ht")
    heads = slots(kernel, first, np.full(len(first), _RAW, np.uint64), 8, "raw table")
    return _sockets(kernel, heads, "skc_node", "raw table")


def ping(kernel: Kernel) -> U64:
    """Ping sockets, IPv4 and IPv6, that have a number (net/ipv4/ping.c); none without symbols of data."""
    if "ping_table" not in kernel.symbols:
        return np.zeros(0, np.uint64)
    first = np.array([kernel.symbols["ping_table"]], np.uint64)
    heads = slots(kernel, first, np.full(1, _PING, np.uint64), 8, "ping table")
    return _sockets(kernel, heads, "skc_node", "ping table")


def accept_queues(kernel: Kernel, listener: U64) -> tuple[U64, U64]:
    """(listener, sock) of connections that no process has accepted yet; listener: TCP sockets that listen."""
    first = kernel.pointer(listener, "inet_connection_sock", "icsk_accept_queue.rskq_accept_head")
    owner, request = chain(kernel, first, kernel.types.offset("request_sock", "dl_next"), "accept queue")
    return listener[owner], kernel.pointer(request, "request_sock", "sk")


def _of_protos(kernel: Kernel, proto: U64, member: str) -> U64:
    """What protocols say their table is, for kernels whose symbols of data are not known."""
    if not kernel.types.has("proto", f"h.{member}"):
        return np.zeros(0, np.uint64)
    table = distinct(kernel.pointer(proto, "proto", f"h.{member}"))
    return table[kernel.space.is_kernel_pointer(table)]


def _symbols(kernel: Kernel, *names: str) -> U64:
    return np.array([kernel.symbols[name] for name in names if name in kernel.symbols], np.uint64)


def _sockets(kernel: Kernel, heads: U64, link: str, kind: str) -> U64:
    _, node = hash_nodes(kernel, heads, kind)
    return distinct(kernel.container(node, "sock_common", link))
