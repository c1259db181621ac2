# SPDX-License-Identifier: Apache-2.0
"""Addresses of network namespaces: as the recording has the pods', on every kernel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel.inetdevice import ipv4_addresses
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
