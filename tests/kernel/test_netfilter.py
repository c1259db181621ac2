# SPDX-License-Identifier: Apache-2.0
"""Functions that see packets: AppArmor's or SELinux's in every namespace, in the order of their priority."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel.netfilter import netfilter_hooks
from memir.kube.ram import RamSource
from tests.kernel.hooked import IMAGES, changed, code_of, kinds, word

NodeOf = Callable[[str], RamSource]


def hooks_of(node: RamSource) -> list[tuple[str, str | None, int | None, int]]:
    net, devices = node.net_namespaces[0], node.interfaces
    code = code_of(node)
    hooks = netfilter_hooks(node.kernel, net, devices.device, net[devices.net])
    return [(hook.name, code.find(hook.target).symbol, hook.priority, hook.net) for hook in hooks]


def test_in_order_of_priority(image: str, node_of: NodeOf) -> None:
    node = node_of(image)
    hooks = hooks_of(node)
    nets = node.net_namespaces[0].tolist()
    assert {net for *_, net in hooks} <= set(nets) and len(hooks) == (29 if image == "node-6.1" else 2 * len(nets))
    for key in {(name, net) for name, _, _, net in hooks}:
        order = [priority for name, _, priority, net in hooks if (name, net) == key]
        assert None not in order and order == sorted(order, key=lambda value: value or 0)
    if image != "node-6.1":
        names = {4: "apparmor_ip_postroute", 6: "apparmor_ip_postroute"}
        if image.startswith("s-5.10"):
            names = {4: "apparmor_ipv4_postroute", 6: "apparmor_ipv6_postroute"}
        points = {(name, symbol, priority) for name, symbol, priority, _ in hooks}
        assert points == {(f"ipv{family} POST_ROUTING", symbol, -225) for family, symbol in names.items()}


@pytest.mark.parametrize("name", IMAGES)
def test_absurd_number(name: str, node_of: NodeOf) -> None:
    """One array that says it has 65,535: its hooks are left out and counted, the others' stay."""
    node = node_of(name)
    net = node.net_namespaces[0]
    used = node.kernel.pointer(net, "net", "nf.hooks_ipv4").ravel()
    first = int(used[np.flatnonzero(used)[0]])
    torn = changed(node, {first: b"\xff\xff"})
    assert len(hooks_of(torn)) == len(hooks_of(node)) - 1
    assert kinds(torn) == {"netfilter hooks"}


@pytest.mark.parametrize("name", IMAGES)
def test_function_that_was_changed(name: str, node_of: NodeOf) -> None:
    """The list of operations has another function than is called: its priority is not claimed."""
    node = node_of(name)
    net = node.net_namespaces[0]
    hooks = netfilter_hooks(node.kernel, net, net[:0], net[:0])
    other = changed(node, {hooks[0].address: word(node.kernel.symbols["do_exit"])})
    assert hooks_of(other)[0][:3] == (hooks[0].name, "do_exit", None)
