# SPDX-License-Identifier: Apache-2.0
"""Interfaces of network namespaces: those of a damaged image are fewer and counted, never others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.gaps import Gaps
from memir.kernel.engine import Kernel
from memir.kernel.netdevice import devices, link_addresses, private
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import damaged, patched, rewritten

NodeOf = Callable[[str], RamSource]


def test_interfaces(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    every = devices(node.kernel, node.net_namespaces[0])
    assert every.name.count("lo") == len(node.net_namespaces[0]) == len(set(every.net.tolist()))
    veth = np.array([kind == "veth" for kind in every.kind])
    assert (every.peer[veth] >= 0).all() and (every.peer[~veth] == -1).all()
    assert every.net[every.peer[veth]].tolist() != every.net[veth].tolist()
    first_words = node.kernel.pointers(private(node.kernel, every.device[veth]))
    assert first_words.tolist() == every.device[every.peer[veth]].tolist()
    assert set(every.flags[veth].tolist()) <= {0x1003, 0x1303}
    assert (every.promiscuity == (every.master >= 0)).all()
    assert {every.kind[row] for row in every.master[every.master >= 0].tolist()} <= {"bridge"}
    assert len(devices(node.kernel, u64())) == 0


def broken(node: RamSource, device: int, member: str, value: int) -> tuple[list[str | None], list[int], Gaps]:
    """Names and peers with one word of one interface changed."""
    kernel = node.kernel
    place, _ = kernel.space.physical(u64(device + kernel.types.offset("net_device", member)))
    gaps = Gaps()
    memory = damaged(kernel.memory, patched(kernel.memory, {int(place[0]): value.to_bytes(8, "little")}))
    every = devices(Kernel(memory, kernel.anchors, gaps), node.net_namespaces[0])
    return every.name, every.peer.tolist(), gaps


def test_one_that_is_elsewhere_or_loops(node_of: NodeOf) -> None:
    node = node_of("s-6.1-small")
    every = devices(node.kernel, node.net_namespaces[0])
    victim = every.name.index("eniaaaaaaaa-11")
    device = int(every.device[victim])
    names, peers, gaps = broken(node, device, "nd_net.net", int(node.net_namespaces[0][-1]))
    assert names == [name for name in every.name if name != "eniaaaaaaaa-11"]
    assert peers.count(-1) == every.peer.tolist().count(-1) + 1  # its other end leads nowhere
    assert [(gap.kind, gap.count) for gap in gaps] == [("network device", 1)]
    link = device + node.kernel.types.offset("net_device", "dev_list")
    names, _, gaps = broken(node, device, "dev_list", link)
    assert set(names) <= set(every.name) and "lo" in names
    assert [gap.why for gap in gaps] == ["list loops"]


def test_one_that_does_not_run_is_down(node_of: NodeOf) -> None:
    """As /sys and ip have it, which do not ask for its own word then."""
    node = node_of("s-6.12-intruded")
    every = devices(node.kernel, node.net_namespaces[0])
    victim = every.state.index("up")
    place = int(every.device[victim]) + node.kernel.types.offset("net_device", "state")
    torn = devices(rewritten(node.kernel, {place: bytes(8)}), node.net_namespaces[0])
    assert torn.state == [*every.state[:victim], "down", *every.state[victim + 1 :]]


def test_ends_of_tunnels_are_addresses_of_ip(node_of: NodeOf) -> None:
    """An interface made a tunnel: as long as its type's, both ends as ip(8) writes them. Against ip(8) on a node with
    gre, ipip, sit, vti and ip6tnl it was held by hand."""
    node = node_of("s-6.12-intruded")
    kernel, net = node.kernel, node.net_namespaces[0]
    every = devices(kernel, net)
    assert set(every.tunnel_remote) == {None}
    row = every.name.index("eniaaaaaaaa-11")
    device, types = int(every.device[row]), kernel.types
    own = int(kernel.pointer(every.device[row : row + 1], "net_device", "dev_addr")[0])

    def made(kind: int, near: bytes, far: bytes) -> tuple[str | None, str | None]:
        other = devices(rewritten(kernel, {
            device + types.offset("net_device", "type"): kind.to_bytes(2, "little"),
            device + types.offset("net_device", "addr_len"): bytes([len(near)]),
            own: near, device + types.offset("net_device", "broadcast"): far,
        }), net)  # fmt: skip
        return other.mac[row], other.tunnel_remote[row]

    assert made(778, bytes((10, 9, 0, 1)), bytes((10, 9, 0, 9))) == ("10.9.0.1", "10.9.0.9")
    assert made(776, bytes((10, 9, 0, 1)), bytes(4)) == ("10.9.0.1", None)
    assert made(769, b"\x20\x01" + bytes(13) + b"\x01", b"\x20\x01" + bytes(13) + b"\x09") == ("2001::1", "2001::9")
    assert made(1, bytes(range(1, 7)), b"\xff" * 6) == ("01:02:03:04:05:06", None)
    assert made(32, bytes(range(1, 21)), b"\xff" * 20)[0] == bytes(range(1, 21)).hex(":")
    assert made(65534, b"", b"") == (None, None)
    assert link_addresses(kernel, every.device[row : row + 1], every.device[:1] * np.uint64(0)) == [None]
