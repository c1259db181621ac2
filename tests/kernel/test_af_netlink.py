# SPDX-License-Identifier: Apache-2.0
"""Netlink and packet sockets, in the namespaces that they name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.af_netlink import netlink, packet
from memir.kube.ram import RamSource

NodeOf = Callable[[str], RamSource]


def test_netlink_and_packet(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    kernel = node.kernel
    nets = np.unique(node.sockets.rows.net)
    found = netlink(kernel)
    if "nl_table" in kernel.symbols:
        # each namespace has the kernel's own ends of route, generic, ...
        assert set(kernel.pointer(found, "sock_common", "skc_net.net").tolist()) == set(nets.tolist())
        assert set(kernel.read(found, "sock_common", "skc_family").tolist()) == {16}
        assert len(found) >= 4 * len(nets)
    else:
        assert not len(found) and "netlink table" in {gap.kind for gap in kernel.gaps}
    frames = packet(kernel, nets)
    assert set(kernel.read(frames, "sock_common", "skc_family").tolist()) <= {17}
    assert len(frames) == (1 if image.startswith("node-") else 0)  # lldpd's or networkd's
