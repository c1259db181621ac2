# SPDX-License-Identifier: Apache-2.0
"""IPv6 addresses of interfaces: loopback has ::1, and an address of IPv4 is none."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from memir.kernel.inet6 import of_devices
from memir.kernel.space import u64
from memir.kube.ram import RamSource

NodeOf = Callable[[str], RamSource]


def test_addresses(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    nets, every = node.net_namespaces[0], node.interfaces
    rows = [(every.net[row], every.name[row], text) for row, text, _ in of_devices(node.kernel, every.device)]
    if image.startswith("node-"):
        assert [name for _, name, address in rows if address == "::1"] == ["lo"] * len(nets)
        own = {address for _, name, address in rows if name == "eth0"}
        assert own and all(ipaddress.ip_address(address).is_link_local for address in own if address.startswith("fe80"))
    assert all(0 <= at < len(nets) and name and ipaddress.IPv6Address(address) for at, name, address in rows)


def test_prefixes(node_of: NodeOf, image: str) -> None:
    """The same addresses, by interface; a loopback's is one host, a link-local one has 64 bits."""
    node = node_of(image)
    every = of_devices(node.kernel, node.interfaces.device)
    assert sorted(address for _, address, _ in every) == sorted(
        address for _, _, address in node.addresses.interfaces if ":" in address
    )
    assert {(address, bits) for _, address, bits in every if address == "::1"} == {("::1", 128)}
    assert {bits for _, address, bits in every if address.startswith("fe80")} == {64}
    assert of_devices(node.kernel, u64()) == []
