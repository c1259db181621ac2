# SPDX-License-Identifier: Apache-2.0
"""The table `interfaces`."""

from __future__ import annotations

from typing import Any

import numpy as np

from memir.kernel import inet6, inetdevice
from memir.kernel.netdevice import FLAGS
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    net_ns           uint64       network namespace inum
    index            int32        number of the interface in its namespace
    name             string       lo, eth0, eni..., cni0, ...
    kind             string       veth, bridge, vlan, ...; null for lo and for hardware
    mac              string       hardware address; zeros for lo; of a tunnel in IP (gre, ipip, sit, ...) its own end
    tunnel_remote    string       of a tunnel in IP its other end; null where it is open, and for all others
    mtu              uint32       largest packet that it takes, bytes
    state            string       unknown, notpresent, down, lowerlayerdown, testing, dormant, up (unknown: lo's)
    flags            list<string> up, broadcast, loopback, promisc, multicast, ..., as /sys/class/net has them
    promiscuity      int32        how many have asked for every packet that passes (tcpdump, a bridge)
    ipv4             list<string> IPv4 addresses with the length of their prefix
    ipv6             list<string> IPv6 addresses with the length of their prefix
    master           string       bridge or bond that it is a port of
    peer_net_ns      uint64       of a veth or netkit: network namespace of its other end
    peer_index       int32        number of its other end there
    peer_name        string       name of its other end there
    peer_pod_uid     string       pod whose namespace that is: of an interface of the node, which pod it leads to
    device           uint64       kernel virtual address of struct net_device
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Interfaces of every network namespace, by the namespace's number and their own."""
    every, inum = source.interfaces, source.net_namespaces[1]
    kernel, size = source.kernel, len(every)
    space = inum[every.net].tolist()
    four = _addresses(inetdevice.of_devices(kernel, every.device), size, "0.0.0.0")
    six = _addresses(inet6.of_devices(kernel, every.device), size, "::")
    peers, masters = every.peer.tolist(), every.master.tolist()
    numbers = every.index.tolist()
    whose = source.membership.net_of
    peer_space = [space[peer] if peer >= 0 else None for peer in peers]
    host = source.membership.host.get("net", 0)
    data: dict[str, Any] = {
        "net_ns": space,
        "index": numbers,
        "name": every.name,
        "kind": every.kind,
        "mac": every.mac,
        "tunnel_remote": every.tunnel_remote,
        "mtu": every.mtu,
        "state": every.state,
        "flags": [[name for bit, name in FLAGS.items() if value & bit] for value in every.flags.tolist()],
        "promiscuity": every.promiscuity,
        "ipv4": four,
        "ipv6": six,
        "master": [every.name[master] if master >= 0 else None for master in masters],
        "peer_net_ns": peer_space,
        "peer_index": [numbers[peer] if peer >= 0 else None for peer in peers],
        "peer_name": [every.name[peer] if peer >= 0 else None for peer in peers],
        "peer_pod_uid": [whose.get(inside) if inside is not None and inside != host else None for inside in peer_space],
        "device": every.device,
        "source": ["net_device"] * size,
    }
    return Frame(data, np.array(space, np.uint64))


def _addresses(rows: list[tuple[int, str, int]], size: int, nothing: str) -> list[list[str]]:
    """By interface; an address of zeros is what a page that was not read leaves."""
    lists: list[list[str]] = [[] for _ in range(size)]
    for row, address, bits in rows:
        if address != nothing:
            lists[row].append(f"{address}/{bits}")
    return lists


TABLE = Table(
    "interfaces", "Network interfaces of every namespace, their addresses, and where each veth leads.", COLUMNS,
    "namespace", {"ram": read},
)  # fmt: skip
