# SPDX-License-Identifier: Apache-2.0
"""Who holds sockets: files of tasks, queues of listeners; and whose they are then."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kube.owner import NODE
from memir.kube.ram import RamSource
from memir.kube.sockets import open_sockets, owners_of
from tests.kernel.held import node as held_node
from tests.kernel.held import truth

NodeOf = Callable[[str], RamSource]


def test_holders_and_owners(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    held = open_sockets(node.kernel, node.file_tasks)
    found = node.sockets
    by_socket = set(found.rows.socket[~found.ended].tolist())
    assert len(held.socket) and set(held.socket.tolist()) <= by_socket
    host = node.membership.host["net"]
    owners = owners_of(node.kernel, found, node.owners, host)
    assert owners == node.socket_owners and len(owners) == len(found.rows)
    for row, holders in found.holders.items():
        who = {owner for task, _ in holders for owner in node.owners.by_task([task])[0]}
        assert set(owners[row]) == who
    nobody = [row for row in range(len(owners)) if row not in found.holders and found.inum[row] != host]
    assert nobody or "nl_table" not in node.kernel.symbols  # the kernel's own ends of netlink
    assert all(NODE not in owners[row] for row in nobody)
    assert not found.listener  # nothing waits to be accepted in these images


def test_an_unaccepted_connection_is_its_listeners() -> None:
    """By vsock: nobody has the waiting end open, and the guest's listener is of one process."""
    node, (record,) = held_node(), truth("vsock")
    found = node.sockets
    ((child, listening),) = found.listener.items()
    assert int(found.rows.inode[listening]) == record["listener"] and child not in found.holders
    assert int(found.rows.remote_port[child]) == record["later_port"]
    owners = owners_of(node.kernel, found, node.owners, node.membership.host["net"])
    assert owners[child] == owners[listening] != ()


def test_tasks_that_have_no_files(node_of: NodeOf) -> None:
    kernel = node_of("s-6.1-small").kernel
    assert len(open_sockets(kernel, np.zeros(2, np.uint64)).fd) == 0
