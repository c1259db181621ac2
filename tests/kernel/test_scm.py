# SPDX-License-Identifier: Apache-2.0
"""Files that wait in the queue of a unix socket: a TCP listener, a file and a UDP socket a guest sent to itself."""

from __future__ import annotations

import numpy as np

from memir.kernel import af_unix, sock
from memir.kernel.scm import in_flight
from tests.hunt.hunting import planted
from tests.kernel.held import node, truth


def test_three_files_in_flight() -> None:
    kernel, (record,) = node().kernel, truth("flight")
    unix = af_unix.unix(kernel, node().net_namespaces[0])
    carrier, file = in_flight(kernel, unix)
    inode = kernel.read(kernel.pointer(file, "file", "f_inode"), "inode", "i_ino").tolist()
    assert inode == [record["tcp"], record["file"], record["udp"]]
    receiver = sock.inodes(kernel, kernel.pointer(unix[carrier], "sock", "sk_socket"))
    assert set(kernel.read(receiver, "inode", "i_ino").tolist()) == {record["carrier"][1]}


def test_an_absurd_number_is_a_gap() -> None:
    kernel = node().kernel
    unix = af_unix.unix(kernel, node().net_namespaces[0])
    row = in_flight(kernel, unix)[0][:1]
    head = kernel.embedded(unix[row], "sock", "sk_receive_queue")
    control = kernel.embedded(kernel.pointers(head), "sk_buff", "cb")
    listed = kernel.pointer(control, "unix_skb_parms", "fp")
    place = int(kernel.space.physical(kernel.embedded(listed, "scm_fp_list", "count"))[0][0])
    other = planted(node(), {place: b"\xff\x7f"}).kernel
    assert not len(in_flight(other, unix)[1])
    assert [gap.why for gap in other.gaps if gap.kind == "files in flight"] == ["absurd number of files"]
    assert not len(in_flight(kernel, np.zeros(0, np.uint64))[1])
