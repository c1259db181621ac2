# SPDX-License-Identifier: Apache-2.0
"""include/linux/inetdevice.h: the IPv4 addresses of a network namespace's interfaces."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.list import chain, list_nodes
from memir.kernel.pagetable import U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

_LIMIT = 1 << 16


def of_devices(kernel: Kernel, device: U64) -> list[tuple[int, str, int]]:
    """(row of the interface, address, length of its prefix in bits) of `struct net_device *` addresses.

    net_device.ip_ptr -> in_device.ifa_list -> in_ifaddr.ifa_next.
    """
    inside = kernel.pointer(device, "net_device", "ip_ptr")
    first = np.zeros(len(device), np.uint64)
    first[inside != 0] = kernel.pointer(inside[inside != 0], "in_device", "ifa_list")
    offset = kernel.types.offset("in_ifaddr", "ifa_next")
    which, entry = chain(kernel, first, offset, "interface address list", _LIMIT)
    local, ok = kernel.try_read(entry, "in_ifaddr", "ifa_local")
    length, read = kernel.try_read(entry, "in_ifaddr", "ifa_prefixlen")
    ok = ok & read & (length <= 32)
    kernel.count_unread("interface address", entry, ok)
    rows = zip(which[ok].tolist(), local[ok].astype("<u4").tolist(), length[ok].tolist(), strict=True)
    return [(row, str(ipaddress.IPv4Address(raw.to_bytes(4, "little"))), int(bits)) for row, raw, bits in rows]


def ipv4_addresses(kernel: Kernel, net: U64) -> list[tuple[int, str, str]]:
    """(index of the namespace, interface, address) of `struct net *` addresses; loopback's too.

    net.dev_base_head -> net_device.dev_list, and of_devices.
    """
    owner, node = list_nodes(kernel, kernel.embedded(net, "net", "dev_base_head"), "network device list")
    device = kernel.container(node, "net_device", "dev_list")
    names = kernel.strings(kernel.embedded(device, "net_device", "name"), 16)
    return [
        (int(owner[row]), (names[row] or b"").decode("utf-8", "backslashreplace"), address)
        for row, address, _ in of_devices(kernel, device)
    ]
