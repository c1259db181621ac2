# SPDX-License-Identifier: Apache-2.0
"""include/net/netns/netfilter.h: functions that see each packet, by network namespace, protocol and point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel.code_address import Hook
from memir.kernel.engine import texts
from memir.kernel.pagetable import U64

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

KIND = "netfilter hooks"
INET_POINTS = ("PRE_ROUTING", "LOCAL_IN", "FORWARD", "LOCAL_OUT", "POST_ROUTING", "INGRESS")
_FAMILIES = {
    "ipv4": INET_POINTS, "ipv6": INET_POINTS, "arp": ("IN", "OUT", "FORWARD"), "bridge": (*INET_POINTS[:5], "BROUTING"),
}  # fmt: skip
_MAX_HOOKS = 1024  # MAX_HOOK_COUNT of net/netfilter/core.c


def netfilter_hooks(kernel: Kernel, net: U64, device: U64, device_net: U64) -> list[Hook]:
    """Functions of every struct net, and of the ingress and egress of interfaces (device, and the net of each)."""
    hooks: list[Hook] = []
    for family, points in _FAMILIES.items():
        if not kernel.types.has("net", f"nf.hooks_{family}"):  # a family that this kernel is built without
            continue
        table = kernel.pointer(net, "net", f"nf.hooks_{family}")
        for column in range(table.shape[1]):
            point = points[column] if column < len(points) else str(column)
            hooks += _entries(kernel, table[:, column], [f"{family} {point}"] * len(net), net.tolist())
    names = [name or "?" for name in texts(kernel.strings(kernel.embedded(device, "net_device", "name"), 16))]
    for point in ("ingress", "egress"):
        if kernel.types.has("net_device", f"nf_hooks_{point}"):
            table = kernel.pointer(device, "net_device", f"nf_hooks_{point}")
            hooks += _entries(kernel, table, [f"{point} of {name}" for name in names], device_net.tolist())
    return hooks


def _entries(kernel: Kernel, table: U64, names: Sequence[str], net: Sequence[int]) -> list[Hook]:
    """Functions of arrays of hooks (struct nf_hook_entries), in the order in which they are called."""
    hooks = []
    first = kernel.types.offset("nf_hook_entries", "hooks")
    size = kernel.types.size("nf_hook_entry")
    counts = kernel.read(table, "nf_hook_entries", "num_hook_entries").tolist()
    for start, count, name, space in zip(table.tolist(), counts, names, net, strict=True):
        if not start:
            continue
        if not 0 < count <= _MAX_HOOKS:
            kernel.gaps.add(KIND, f"{start:#x}", "absurd number of hooks")
            continue
        entry = np.uint64(start + first) + np.arange(count, dtype=np.uint64) * np.uint64(size)
        target = kernel.pointer(entry, "nf_hook_entry", "hook")
        kernel.count_unread(KIND, entry, target != 0, "function is 0")
        # behind them the nf_hook_ops that they were made from
        ops = kernel.pointers(
            np.uint64(start + first + count * size) + np.arange(count, dtype=np.uint64) * np.uint64(8)
        )
        same = kernel.pointer(ops, "nf_hook_ops", "hook", gap=False) == target
        priority = kernel.try_read(ops, "nf_hook_ops", "priority")[0]
        hooks += [
            Hook("netfilter", name, int(entry[row]), int(target[row]), None, space,
                 int(priority[row]) if same[row] else None)
            for row in np.flatnonzero(target != 0).tolist()
        ]  # fmt: skip
    return hooks
