# SPDX-License-Identifier: Apache-2.0
"""Addresses of network namespaces: as the recording has the pods', on every kernel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.inetdevice import ipv4_addresses, of_devices
from memir.kernel.nsproxy import namespaces
from memir.kube.ram import RamSource
from tests.images import case


def test_addresses_of_pods(image: str, node_of: Callable[[str], RamSource]) -> None:
    node = node_of(image)
    kernel = node.kernel
    task = np.array([row.task for row in node.processes.rows if not row.kernel_thread], np.uint64)
    pods = [who.pod_uid for row, who in zip(node.processes.rows, node.identities, strict=True) if not row.kernel_thread]
    net, first = np.unique(namespaces(kernel, task, np.zeros(len(task), np.uint64)).address["net"], return_index=True)
    found: dict[str | None, set[str]] = {}
    for index, name, address in ipv4_addresses(kernel, net[net != 0]):
        assert name
        found.setdefault(pods[first[net != 0][index]], set()).add(address)
    assert "127.0.0.1" in found[None]
    truth = case(image).raw_truth()
    own = [pod for pod in truth.get("pod", ()) if pod["sandbox"] and pod["uid"] in found]  # one has the node's network
    assert len(own) >= 2 or "pod" not in truth
    for pod in own:
        assert pod["ip"] in found[pod["uid"]]
    if "pod" not in truth:
        assert "10.0.2.15" in found[None]  # the user network that QEMU gives


def test_prefixes(image: str, node_of: Callable[[str], RamSource]) -> None:
    """The same addresses, by interface; a loopback's has 8 bits, a pod's is one host or in its bridge's network."""
    node = node_of(image)
    every = of_devices(node.kernel, node.interfaces.device)
    assert sorted(address for _, address, _ in every) == sorted(
        address for _, _, address in ipv4_addresses(node.kernel, node.net_namespaces[0])
    )
    assert {bits for _, address, bits in every if address == "127.0.0.1"} == {8}
    own = {bits for _, address, bits in every if not address.startswith("127.")}
    assert own == ({24} if image.startswith("node-") else {32})
    assert of_devices(node.kernel, np.zeros(1, np.uint64)) == []
