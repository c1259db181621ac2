# SPDX-License-Identifier: Apache-2.0
"""The table `neighbours`."""

from __future__ import annotations

from typing import Any

import numpy as np

from memir.kernel.neighbour import ROUTER, STATES, neighbours
from memir.kube.addresses import Remote
from memir.kube.ram import RamSource
from memir.tables.frame import Frame
from memir.tables.table import Table, columns

COLUMNS = columns("""
    net_ns           uint64       network namespace inum
    interface        string       name of the interface by which it is reached
    address          string       IPv4 or IPv6 address of the neighbour
    mac              string       its hardware address; null while nobody has answered
    state            string       reachable, stale, delay, probe, permanent, failed, incomplete, noarp, none
    router           bool         an IPv6 one that has announced itself as a router
    remote_pod_uid   string       pod whose address that is
    remote_name      string       namespace/name of that pod, the node, or what an AWS address serves
    remote_kind      string       pod, node, other node, aws, private, outside, multicast, ...
    neighbour        uint64       kernel virtual address of struct neighbour
    source           string       where the row comes from
""")


def read(source: RamSource) -> Frame:
    """Neighbours of every network namespace: with whom it has had to do on its own links, lately."""
    devices, inum = source.interfaces, source.net_namespaces[1]
    every = neighbours(source.kernel, devices.device)
    row_of = {device: row for row, device in enumerate(devices.device.tolist())}
    rows = [row_of[device] for device in every.device.tolist()]
    space = inum[devices.net[np.array(rows, np.int64)]].tolist()
    remotes = [Remote() if text is None else source.addresses.name(text) for text in every.address]
    data: dict[str, Any] = {
        "net_ns": space,
        "interface": [devices.name[row] for row in rows],
        "address": every.address,
        "mac": every.mac,
        "state": [STATES.get(state, str(state)) for state in every.state.tolist()],
        "router": ((every.flags & ROUTER) != 0).tolist(),
        "remote_pod_uid": [remote.pod_uid for remote in remotes],
        "remote_name": [remote.name for remote in remotes],
        "remote_kind": [remote.kind for remote in remotes],
        "neighbour": every.neighbour.tolist(),
        "source": ["struct neighbour"] * len(every),
    }
    keys = zip(space, data["interface"], every.address, data["neighbour"], strict=True)
    key = [(number, name or "", text or "", entry) for number, name, text, entry in keys]
    order = sorted(range(len(every)), key=key.__getitem__)
    return Frame(data, np.array(data["net_ns"], np.uint64)).take(order)


TABLE = Table("neighbours", "Who was reached at which hardware address.", COLUMNS, "namespace", {"ram": read})
