# SPDX-License-Identifier: Apache-2.0
"""net/netlink/af_netlink.h and net/packet/internal.h: sockets that talk to the kernel, and those that read frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import hash_nodes, hlist_nodes, slots
from memir.kernel.pagetable import U64
from memir.kernel.rows import distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_MAX_LINKS = 32


def netlink(kernel: Kernel) -> U64:
    """Bound netlink sockets of all namespaces (nl_table)."""
    if "nl_table" not in kernel.symbols:
        kernel.gaps.add("netlink table", "nl_table", "symbol not known: only sockets that files hold are seen")
        return np.zeros(0, np.uint64)
    first = kernel.pointers(np.array([kernel.symbols["nl_table"]], np.uint64))
    count = np.full(1, _MAX_LINKS, np.uint64)
    table = kernel.pointer(slots(kernel, first, count, kernel.types.size("netlink_table"), "netlink table"),
                           "netlink_table", "hash.tbl")  # fmt: skip
    table = table[table != 0]
    size = kernel.read(table, "bucket_table", "size").astype(np.uint64)
    heads = slots(kernel, kernel.embedded(table, "bucket_table", "buckets"), size, 8, "netlink table")
    _, node = hash_nodes(kernel, heads, "netlink table", locked=True)
    return distinct(kernel.container(node, "netlink_sock", "node"))


def packet(kernel: Kernel, net: U64) -> U64:
    """Packet sockets of all namespaces."""
    if not kernel.types.has("net", "packet.sklist"):
        return np.zeros(0, np.uint64)
    _, node = hlist_nodes(kernel, kernel.embedded(net, "net", "packet.sklist"), "packet sockets")
    return distinct(kernel.container(node, "sock_common", "skc_node"))
