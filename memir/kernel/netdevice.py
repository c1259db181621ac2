# SPDX-License-Identifier: Apache-2.0
"""include/linux/netdevice.h: the interfaces of many network namespaces at once."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memir.kernel.blank import whole
from memir.kernel.engine import texts
from memir.kernel.list import list_nodes
from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import among, distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

FLAGS = {
    0x1: "up", 0x2: "broadcast", 0x4: "debug", 0x8: "loopback", 0x10: "pointopoint", 0x40: "running", 0x80: "noarp",
    0x100: "promisc", 0x200: "allmulti", 0x400: "master", 0x800: "slave", 0x1000: "multicast", 0x8000: "dynamic",
}  # fmt: skip
"""IFF_*, include/uapi/linux/if.h."""
STATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
"""IF_OPER_*, include/uapi/linux/if.h."""
_START, _DOWN = 0x1, 2  # __LINK_STATE_START, IF_OPER_DOWN
_ALIGN = 32  # NETDEV_ALIGN
_PAIRS = ("veth", "netkit")  # kinds of interfaces that are made in pairs
_MAX_ADDRESS = 32  # MAX_ADDR_LEN
_FOUR, _SIX = (768, 776, 778), (769, 823)  # ARPHRD_TUNNEL, SIT, IPGRE; TUNNEL6, IP6GRE: the ends of tunnels in IP
_LIMIT = 1 << 16  # interfaces of a namespace: what a list may have at most


@dataclass(frozen=True)
class Devices:
    """Interfaces, by namespace and index; columns of one length.

    net: row of the namespace that was asked about. peer: row of a veth's or netkit's other end; master: row of the
    bridge or bond that it is part of; -1 none, or not known. kind: rtnl_link_ops.kind, None for lo and hardware. mac,
    tunnel_remote: None where it has none or it is not in the image. mtu: bytes.
    """

    net: I64
    device: U64
    index: I64
    name: list[str | None]
    kind: list[str | None]
    mac: list[str | None]
    tunnel_remote: list[str | None]
    mtu: I64
    state: list[str | None]
    flags: I64
    promiscuity: I64
    peer: I64
    master: I64

    def __len__(self) -> int:
        return len(self.device)


def devices(kernel: Kernel, net: U64) -> Devices:
    """The interfaces of `struct net *` addresses; one that is not whole, or says that it is elsewhere, is a gap."""
    owner, node = list_nodes(kernel, kernel.embedded(net, "net", "dev_base_head"), "network device list", _LIMIT)
    device = kernel.container(node, "net_device", "dev_list")
    home, ok = kernel.try_read(device, "net_device", "nd_net.net")
    good = ok & (home == net[owner]) & whole(kernel, device, kernel.types.size("net_device"))
    kernel.count_unread("network device", device, good)
    owner, device = owner[good], device[good]
    index = kernel.read(device, "net_device", "ifindex").astype(np.int64)
    order = np.lexsort((index, owner))
    owner, device, index = owner[order], device[order], index[order]
    names = texts(kernel.strings(kernel.embedded(device, "net_device", "name"), 16))
    link = kernel.pointer(device, "net_device", "rtnl_link_ops")
    kinds = texts(kernel.strings(kernel.pointer(link, "rtnl_link_ops", "kind"), 32))
    # one that is not running is down, whatever it says itself (net/core/net-sysfs.c, operstate_show)
    runs = (kernel.read(device, "net_device", "state").astype(np.int64) & _START) != 0
    states = np.where(runs, kernel.read(device, "net_device", "operstate"), _DOWN).tolist()
    words = ("mtu", "flags", "promiscuity")
    numbers = {word: kernel.read(device, "net_device", word).astype(np.int64) for word in words}
    return Devices(
        net=owner,
        device=device,
        index=index,
        name=[name or None for name in names],
        kind=[kind or None for kind in kinds],
        mac=_macs(kernel, device),
        tunnel_remote=_remotes(kernel, device),
        state=[STATES[state] if state < len(STATES) else str(state) for state in states],
        peer=_peers(kernel, device, np.array([kind in _PAIRS for kind in kinds], bool)),
        master=_masters(kernel, device),
        **numbers,
    )


def link_addresses(kernel: Kernel, device: U64, address: U64) -> list[str | None]:
    """Addresses of the link layer, each as long as its device's: `02:42:0a:00:01:65`, of a tunnel in IP `10.9.0.1`, as
    ip(8) has them. None where the device has none, or where it is not in the image, which is a gap."""
    length = kernel.read(device, "net_device", "addr_len").astype(np.int64)
    length = np.where(length <= _MAX_ADDRESS, length, 0)
    kind = kernel.read(device, "net_device", "type").tolist()
    place = np.where(length > 0, address, np.uint64(0))
    # zeros are the loopback's address; those of a page that was never read are none
    good = np.zeros(len(place), bool)
    for size in distinct(length.astype(np.uint64)).tolist():
        rows = np.flatnonzero(length == size)
        good[rows] = whole(kernel, place[rows], max(size, 1))
    kernel.count_unread("hardware address", place, good)
    raw, _ = kernel.read_bytes(np.where(good, place, np.uint64(0)), _MAX_ADDRESS)
    return [
        _link_text(of, row[:size].tobytes()) if fine else None
        for of, row, size, fine in zip(kind, raw, length.tolist(), (good & (place != 0)).tolist(), strict=True)
    ]


def _link_text(kind: int, raw: bytes) -> str:
    if (kind in _FOUR and len(raw) == 4) or (kind in _SIX and len(raw) == 16):
        return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
    return raw.hex(":")


def _macs(kernel: Kernel, device: U64) -> list[str | None]:
    return link_addresses(kernel, device, kernel.pointer(device, "net_device", "dev_addr"))


def _remotes(kernel: Kernel, device: U64) -> list[str | None]:
    """Of tunnels in IP the other end, which is their broadcast address; None for all others, and where it is open."""
    tunnel = among(kernel.read(device, "net_device", "type"), (*_FOUR, *_SIX))
    place = np.where(tunnel, kernel.embedded(device, "net_device", "broadcast"), np.uint64(0))
    return [None if end in ("0.0.0.0", "::") else end for end in link_addresses(kernel, device, place)]


def _rows(device: U64, wanted: U64) -> I64:
    """Rows of these devices, -1 where they are none of them."""
    known = {address: row for row, address in enumerate(device.tolist())}
    return np.array([known.get(address, -1) for address in wanted.tolist()], np.int64)


def private(kernel: Kernel, device: U64) -> U64:
    """netdev_priv() of struct net_device: behind it, NETDEV_ALIGN-ed; since 6.11 a member, priv."""
    types = kernel.types
    aligned = -(-types.size("net_device") // _ALIGN) * _ALIGN
    return device + np.uint64(types.offset("net_device", "priv") if types.has("net_device", "priv") else aligned)


def _peers(kernel: Kernel, device: U64, paired: NDArray[np.bool_]) -> I64:
    """Of a veth or netkit the other end, the first word of what is private to it: no module's types are needed.

    The other end has to name this one in turn.
    """
    other = kernel.pointers(np.where(paired, private(kernel, device), np.uint64(0)))
    row = _rows(device, other)
    mutual = (row >= 0) & (row[row] == np.arange(len(row)))
    return np.where(mutual, row, -1)


def _masters(kernel: Kernel, device: U64) -> I64:
    upper = kernel.embedded(device, "net_device", "adj_list.upper")
    which, node = list_nodes(kernel, upper, "list of upper network devices", _LIMIT)
    entry = kernel.container(node, "netdev_adjacent", "list")
    enslaved = kernel.read(entry, "netdev_adjacent", "master") != 0  # else a VLAN or the like on top of it
    above = _rows(device, kernel.pointer(entry, "netdev_adjacent", "dev"))
    master = np.full(len(device), -1, np.int64)
    master[which[enslaved]] = above[enslaved]
    return master
