# SPDX-License-Identifier: Apache-2.0
"""vsock sockets of a guest that talks to itself: a listener, both ends of a connection, and one that nobody accepts."""

from __future__ import annotations

import numpy as np

from memir.kernel import sock
from memir.kernel.af_vsock import ANY, LOCAL, _Known, accept_queues, ends, vsock
from tests.kernel.held import node, truth


def test_sockets_by_the_tables_and_their_ends() -> None:
    kernel, (record,) = node().kernel, truth("vsock")
    found = vsock(kernel)
    inode = kernel.read(sock.inodes(kernel, kernel.pointer(found, "sock", "sk_socket")), "inode", "i_ino").tolist()
    # 0: no process has accepted it, so that it has no struct socket yet
    assert sorted(inode) == [0, record["listener"], record["client"], record["server"], record["later"]]
    every = ends(kernel, found)
    values = zip(every.local, every.local_port, every.remote, every.remote_port, strict=True)
    rows = dict(zip(inode, values, strict=True))
    assert rows[0] == (LOCAL, 5000, LOCAL, record["later_port"])
    assert rows[record["later"]] == (record["client_cid"], record["later_port"], LOCAL, 5000)
    assert rows[record["listener"]] == (ANY, 5000, ANY, -1)
    assert rows[record["client"]] == (record["client_cid"], record["client_port"], LOCAL, 5000)
    assert rows[record["server"]] == (LOCAL, 5000, LOCAL, record["client_port"])


def test_a_connection_that_waits_to_be_accepted() -> None:
    kernel, (record,) = node().kernel, truth("vsock")
    found = vsock(kernel)
    listens = found[kernel.read(found, "sock_common", "skc_state") == sock.LISTEN]
    listener, waiting = accept_queues(kernel, listens)
    number = kernel.read(sock.inodes(kernel, kernel.pointer(listener, "sock", "sk_socket")), "inode", "i_ino")
    assert number.tolist() == [record["listener"]]
    assert ends(kernel, waiting).remote_port.tolist() == [record["later_port"]] and waiting[0] in found
    assert not len(accept_queues(kernel, listens[:0])[1])


def test_what_is_no_vsock_socket_has_no_address() -> None:
    kernel = node().kernel
    every = ends(kernel, np.zeros(1, np.uint64))
    assert (every.local.tolist(), every.remote_port.tolist()) == ([-1], [-1])


def test_the_known_layout_is_the_one_that_the_module_s_types_have() -> None:
    """For modules without BTF; on this kernel both are there."""
    kernel = node().kernel
    vsock(kernel)
    _, types = kernel.read_once["vsock"]
    _, known = _Known(kernel.types.size("sock")).struct("vsock_sock") or (0, {})
    for name, member in known.items():
        assert types.offset("vsock_sock", name) == member.offset, name
    assert _Known(0).struct("sock") is None and _Known(0).enum("sock") is None
