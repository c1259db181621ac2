# SPDX-License-Identifier: Apache-2.0
"""Tables of TCP, UDP and raw sockets, and sizes that no table has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import net_namespace, sock
from memir.kernel.inet_hashtables import accept_queues, ping, raw, tcp, udp
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.images import case
from tests.kernel import held
from tests.kernel.hooked import changed
from tests.kernel.host import SMALL

NodeOf = Callable[[str], RamSource]


@pytest.mark.parametrize("name", SMALL)
def test_as_many_as_proc_lists(node_of: NodeOf, name: str) -> None:
    node = node_of(name)
    kernel = node.kernel
    net, _ = net_namespace.net_namespaces(kernel, net_namespace.of_tasks(kernel, node.processes.threads.task))
    lines = {
        kind: sum(len(one[file].splitlines()) - 1 for one in case(name).raw_truth()["net"] for file in files)
        for kind, files in (("tcp", ("tcp", "tcp6")), ("udp", ("udp",)))
    }
    streams = tcp(kernel, net, u64())
    assert len(streams) == lines["tcp"] == 3
    listener = streams[kernel.read(streams, "sock_common", "skc_state") == 10]
    assert [len(part) for part in accept_queues(kernel, listener)] == [0, 0]
    # where no symbol of data is known, the protocol tells the table, or in 6.1 and later the namespace
    proto = np.unique(kernel.pointer(streams, "sock_common", "skc_prot"))
    told = "tcp_hashinfo" in kernel.symbols or (kernel.pointer(proto, "proto", "h.hashinfo") != 0).any()
    assert tcp(kernel, u64(), proto).tolist() == (streams.tolist() if told else [])
    known = "udp_table" in kernel.symbols or kernel.types.has("netns_ipv4", "udp_table")
    assert len(udp(kernel, net, u64())) == (lines["udp"] if known else 0)
    assert raw(kernel, u64()).tolist() == []
    assert list(kernel.gaps) == [gap for gap in kernel.gaps if "table" not in gap.kind]


def test_ping_sockets() -> None:
    """Both that the guest made, by their inode numbers; a kernel without the symbol has none to tell."""
    kernel, (record,) = held.node().kernel, held.truth("ping")
    every = ping(kernel)
    inode = sock.inodes(kernel, kernel.pointer(every, "sock", "sk_socket"))
    assert set(kernel.read(inode, "inode", "i_ino").tolist()) == {record["four"], record["six"]}


def test_a_bucket_without_its_mark_was_not_captured(node_of: NodeOf) -> None:
    """An empty bucket of TCP ends with a mark: zeros are no empty table, and who is in it is not known."""
    clean = node_of("s-6.1-small")
    net = net_namespace.net_namespaces(clean.kernel, net_namespace.of_tasks(clean.kernel, clean.processes.living))[0]
    info = clean.kernel.pointer(net, "net", "ipv4.tcp_death_row.hashinfo")[:1]
    first = int(clean.kernel.pointer(info, "inet_hashinfo", "ehash")[0])
    known = len(tcp(clean.kernel, net, u64()))
    assert not [gap for gap in clean.gaps if gap.kind == "TCP table"]
    torn = changed(clean, {first: bytes(64)})
    assert len(tcp(torn.kernel, net, u64())) == known
    assert [(gap.count, gap.why) for gap in torn.gaps if gap.kind == "TCP table"] == [(8, "zeros where a bucket was")]
