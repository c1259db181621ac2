# SPDX-License-Identifier: Apache-2.0
"""Fields of sockets, those in slots given back, and what is no socket."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from memir.kernel import sock
from memir.kernel.space import u64
from memir.kube.ram import RamSource
from tests.damage import rewritten
from tests.kernel import held

NodeOf = Callable[[str], RamSource]


def test_fields(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    kernel, rows = node.kernel, node.sockets.rows
    again = sock.socks(kernel, rows.sock[:3])
    assert len(again) == 3 and again.sock.tolist() == rows.sock[:3].tolist()
    listening = np.flatnonzero((rows.state == sock.LISTEN) & (rows.family == sock.INET) & (rows.type == 1))
    assert len(listening) and all(rows.local_port[listening] > 0) and not rows.remote_port[listening].any()
    assert (rows.inode[listening] > 0).all() and not rows.mini[listening].any()
    assert {rows.remote[row] for row in listening} == {"0.0.0.0"}  # any address


def test_a_slot_given_back_where_several_protocols_share_a_cache(node_of: NodeOf) -> None:
    """MPTCP has a struct proto of its own for TCP's sockets, in TCP's cache: the lowest hid the others' sockets."""
    node = node_of("s-6.12-intruded")
    kernel, rows = node.kernel, node.sockets.rows
    connected = (rows.family == sock.INET) & (rows.protocol == 6) & ~rows.mini & (rows.remote_port > 0)
    one = rows.sock[connected][:1]
    proto = kernel.pointer(one, "sock_common", "skc_prot")
    cache = int(kernel.pointer(proto, "proto", "slab")[0])
    other = kernel.symbols["_text"]  # below TCP's own
    assert other < int(proto[0])
    place = int(kernel.embedded(one, "sock_common", "skc_refcnt.refs.counter")[0])
    shared = other + kernel.types.offset("proto", "slab")
    dead = rewritten(kernel, {place: bytes(4), shared: cache.to_bytes(8, "little")})
    assert sock.ended(kernel, proto).tolist() == []
    for protos in (proto, u64(int(proto[0]), other), u64(other, int(proto[0]))):
        assert sock.ended(dead, protos).tolist() == one.tolist()
    assert sock.ended(dead, u64(other)).tolist() == []


def test_what_is_no_socket(node_of: NodeOf, image: str) -> None:
    node = node_of(image)
    kernel, rows = node.kernel, node.sockets.rows
    nets = np.unique(rows.net)
    assert sock.sound(kernel, rows.sock, nets).all()
    assert not sock.sound(kernel, rows.sock + np.uint64(8), nets).any()
    assert not sock.sound(kernel, rows.sock, nets[:0]).any()
    assert sock.sound(kernel, u64(0, int(nets[0])), nets).tolist() == [False, False]
    assert sock.box(kernel) == ("sockfs_inode" if kernel.types.exists("sockfs_inode") else "socket_alloc")


def test_ended_connections(node_of: NodeOf, image: str) -> None:
    """Free slots keep both ends; none of them is in a table."""
    node = node_of(image)
    kernel, found = node.kernel, node.sockets
    live = found.rows.sock[(np.array(found.table) == "tcp") & ~found.rows.mini]
    dead = sock.ended(kernel, np.unique(kernel.pointer(live, "sock_common", "skc_prot")))
    assert not np.isin(dead, live).any()
    assert len(dead) == int(found.ended.sum()) == (10 if image == "node-6.1" else len(dead))
    assert len(dead) > 0 or not image.startswith("node-")  # a Kubernetes node has some, and protocols of MPTCP's
    assert (sock.source_ports(kernel, dead) > 0).all()
    assert sock.ended(kernel, u64(0)).tolist() == []


def test_the_inode_beside_a_struct_socket() -> None:
    """It is the number that the guest's own fstat() gave; a struct socket of nothing has none."""
    node, (record,) = held.node(), held.truth("ping")
    row = node.sockets.rows.inode.tolist().index(record["four"])
    inode = sock.inodes(node.kernel, node.sockets.rows.socket[row : row + 1])
    assert node.kernel.read(inode, "inode", "i_ino").tolist() == [record["four"]]
    assert sock.inodes(node.kernel, u64(0)).tolist() == [0]


def test_a_raw_socket_for_tcp_has_no_queues_of_tcp(node_of: NodeOf) -> None:
    """Its struct ends before those: what lies there is another object's."""
    node = node_of("s-6.12-intruded")
    kernel, rows = node.kernel, node.sockets.rows
    row = np.flatnonzero((rows.protocol == 6) & (rows.type == 1) & ~rows.mini & ~node.sockets.ended)[0]
    one = rows.sock[row : row + 1]
    member = {name: int(kernel.embedded(one, struct, name)[0]) for struct, name in
              (("sock", "sk_type"), ("tcp_sock", "write_seq"), ("tcp_sock", "rcv_nxt"))}  # fmt: skip
    far = {member["write_seq"]: b"\x11\x22\x33\x44", member["rcv_nxt"]: b"\x11\x22\x33\x44"}
    assert sock.socks(rewritten(kernel, far), one).tx_queue[0] > 1 << 20
    raw = sock.socks(rewritten(kernel, far | {member["sk_type"]: b"\x03\x00"}), one)
    sent = kernel.read(one, "sock", "sk_wmem_alloc.refs.counter").astype(np.int64) - 1
    got = kernel.read(one, "sock", "sk_backlog.rmem_alloc.counter").astype(np.int64)
    assert (raw.type.tolist(), raw.protocol.tolist()) == ([3], [6])
    assert (raw.tx_queue.tolist(), raw.rx_queue.tolist()) == (np.maximum(sent, 0).tolist(), got.tolist())


def test_what_a_packet_socket_listens_for(node_of: NodeOf) -> None:
    """Its sk_protocol is 0 whatever it listens for."""
    node = node_of("s-6.12-intruded")
    kernel, rows = node.kernel, node.sockets.rows
    one = rows.sock[rows.family == sock.UNIX][:1]
    family, number = (int(kernel.embedded(one, struct, name)[0]) for struct, name in
                      (("sock_common", "skc_family"), ("packet_sock", "num")))  # fmt: skip
    for words, shown in ((b"\x00\x03", 3), (b"\x08\x06", 0x806)):
        made = sock.socks(rewritten(kernel, {family: b"\x11\x00", number: words}), one)
        assert (made.family.tolist(), made.protocol.tolist()) == ([sock.PACKET], [shown])
