# SPDX-License-Identifier: Apache-2.0
"""include/net/if_inet6.h: the IPv6 addresses of interfaces."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import list_nodes

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel
    from memir.kernel.pagetable import U64

_LIMIT = 1 << 16


def of_devices(kernel: Kernel, device: U64) -> list[tuple[int, str, int]]:
    """(row of the interface, address, length of its prefix in bits) of `struct net_device *` addresses.

    net_device.ip6_ptr -> inet6_dev.addr_list -> inet6_ifaddr.if_list.
    """
    if not kernel.types.exists("inet6_ifaddr"):
        return []  # a kernel without IPv6
    inside = kernel.pointer(device, "net_device", "ip6_ptr")
    heads = kernel.embedded(inside, "inet6_dev", "addr_list")
    which, entry = list_nodes(kernel, heads, "interface address list", _LIMIT)
    entry = kernel.container(entry, "inet6_ifaddr", "if_list")
    raw, ok = kernel.read_bytes(kernel.embedded(entry, "inet6_ifaddr", "addr"), 16)
    length, read = kernel.try_read(entry, "inet6_ifaddr", "prefix_len")
    ok = ok & read & (length <= 128)
    kernel.count_unread("interface address", entry, ok)
    real = ok & raw.any(axis=1)
    rows = zip(which[real].tolist(), raw[real], length[real].tolist(), strict=True)
    return [
        (int(row), socket.inet_ntop(socket.AF_INET6, np.ascontiguousarray(data).tobytes()), int(bits))
        for row, data, bits in rows
    ]
