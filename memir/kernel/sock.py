# SPDX-License-Identifier: Apache-2.0
"""include/net/sock.h: fields of any number of sockets, living ones and those whose slot has been given back."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memir.kernel import slab
from memir.kernel.blank import whole
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import among, distinct

if TYPE_CHECKING:
    from memir.kernel.engine import Kernel

UNIX, INET, INET6, NETLINK, PACKET = 1, 2, 10, 16, 17
TIME_WAIT, CLOSE, LISTEN, NEW_SYN_RECV = 6, 7, 10, 12


@dataclass(frozen=True)
class Socks:
    """Columns, one row a sock; int64, -1 where not known. local, remote: addresses as text, None where there is none.

    sock, net, socket: addresses of struct sock, of its namespace, of the struct socket that files hold. mini: has the
    members of sock_common alone (TIME_WAIT, requests). cgroup: of its creator, 0 where not known.
    """

    sock: U64
    net: U64
    socket: U64
    cgroup: U64
    family: I64
    type: I64
    protocol: I64
    state: I64
    local: list[str | None]
    local_port: I64
    remote: list[str | None]
    remote_port: I64
    inode: I64
    uid: I64
    rx_queue: I64
    tx_queue: I64
    mini: Bools

    def __len__(self) -> int:
        return len(self.sock)


def sound(kernel: Kernel, sock: U64, net: U64) -> Bools:
    """Socks that are whole and in one of these namespaces."""
    mini = _mini(kernel, sock)
    size = np.where(mini, kernel.types.size("sock_common"), kernel.types.size("sock"))
    good = among(kernel.try_read(sock, "sock_common", "skc_net.net")[0].astype(np.uint64), net)
    for bytes_ in distinct(size).tolist():
        rows = size == bytes_
        good[rows] &= whole(kernel, sock[rows], bytes_)
    answer: Bools = good
    return answer


def _mini(kernel: Kernel, sock: U64) -> Bools:
    family = kernel.try_read(sock, "sock_common", "skc_family")[0]
    state = kernel.try_read(sock, "sock_common", "skc_state")[0]
    mini: Bools = among(family, (INET, INET6)) & among(state, (TIME_WAIT, NEW_SYN_RECV))
    return mini


def socks(kernel: Kernel, sock: U64) -> Socks:
    """Fields of these socks (struct sock, inet_timewait_sock or request_sock; sound ones)."""
    common = {
        name: kernel.read(sock, "sock_common", f"skc_{name}").astype(np.int64)
        for name in ("family", "state", "num", "dport")
    }
    mini = _mini(kernel, sock)
    full = np.where(mini, np.uint64(0), sock)
    waiting = np.where(mini & (common["state"] == TIME_WAIT), sock, np.uint64(0))
    sub = kernel.read(waiting, "inet_timewait_sock", "tw_substate").astype(np.int64)
    held = kernel.pointer(full, "sock", "sk_socket")
    inode = inodes(kernel, held)
    uid = kernel.read(inode, "inode", "i_uid").astype(np.int64) & 0xFFFF_FFFF
    request = np.where(mini & (common["state"] == NEW_SYN_RECV), sock, np.uint64(0))
    listener = kernel.pointer(request, "sock_common", "skc_listener")
    ip = among(common["family"], (INET, INET6))
    protocol = kernel.read(full, "sock", "sk_protocol").astype(np.int64)
    ends = [_addresses(kernel, sock, common["family"], which) for which in ("rcv_saddr", "daddr")]
    kind = kernel.read(full, "sock", "sk_type").astype(np.int64)
    rx, tx = _queues(kernel, full, protocol, np.where(ip, kind, -1), common["state"])
    return Socks(
        sock=sock,
        net=kernel.pointer(sock, "sock_common", "skc_net.net"),
        socket=held,
        cgroup=_cgroup(kernel, np.where(listener != 0, listener, full)),
        family=common["family"],
        type=np.where(mini, socket.SOCK_STREAM, kind),
        protocol=np.where(mini, socket.IPPROTO_TCP, _ether_types(kernel, full, common["family"], protocol)),
        state=np.where(waiting != 0, sub, common["state"]),
        local=ends[0],
        local_port=np.where(ip, common["num"], -1),
        remote=ends[1],
        remote_port=np.where(ip, (common["dport"] >> 8 & 0xFF) | (common["dport"] & 0xFF) << 8, -1),
        inode=np.where(inode != 0, kernel.read(inode, "inode", "i_ino").astype(np.int64), -1),
        uid=np.where(inode != 0, uid, -1),
        rx_queue=rx,
        tx_queue=tx,
        mini=mini,
    )


def box(kernel: Kernel) -> str:
    """The struct that has a struct socket and its inode."""
    # 7.0: sockfs_inode; socket_alloc is still among the types there, and has another layout
    return "sockfs_inode" if kernel.types.exists("sockfs_inode") else "socket_alloc"


def inodes(kernel: Kernel, held: U64) -> U64:
    """The inode that each struct socket lies beside."""
    inode = kernel.embedded(kernel.container(held, box(kernel), "socket"), box(kernel), "vfs_inode")
    good = whole(kernel, inode, kernel.types.size("inode"))
    kernel.count_unread("inode of a socket", held, good)
    return np.where(good, inode, np.uint64(0))


def _cgroup(kernel: Kernel, sock: U64) -> U64:
    if not kernel.types.has("sock", "sk_cgrp_data.cgroup"):  # 5.15 (8520e224f547)
        return np.zeros(len(sock), np.uint64)
    cgroup: U64 = kernel.try_read(sock, "sock", "sk_cgrp_data.cgroup")[0].astype(np.uint64)
    return cgroup


def _addresses(kernel: Kernel, sock: U64, family: I64, which: str) -> list[str | None]:
    """Addresses of one end as text; None for other families than IPv4 and IPv6."""
    answer: list[str | None] = [None] * len(sock)
    for kind, member, size in ((INET, f"skc_{which}", 4), (INET6, f"skc_v6_{which}", 16)):
        rows = np.flatnonzero(family == kind)
        if not len(rows) or not kernel.types.has("sock_common", member):
            continue
        raw, ok = kernel.read_bytes(kernel.embedded(sock[rows], "sock_common", member), size)
        for row, data, read in zip(rows.tolist(), raw, ok.tolist(), strict=True):
            answer[row] = socket.inet_ntop(kind, data.tobytes()) if read else None
    return answer


def _ether_types(kernel: Kernel, sock: U64, family: I64, protocol: I64) -> I64:
    """Protocols, of packet sockets what they listen for: sk_protocol is 0 there. -1 where that is not known."""
    own = np.where(family == PACKET, sock, np.uint64(0))
    if not kernel.types.has("packet_sock", "num"):  # of a module whose types are not known
        return np.where(own != 0, -1, protocol)
    number, ok = kernel.try_read(own, "packet_sock", "num")
    number = number.astype(np.int64)
    return np.where(own == 0, protocol, np.where(ok, (number >> 8 & 0xFF) | (number & 0xFF) << 8, -1))


def _queues(kernel: Kernel, sock: U64, protocol: I64, kind: I64, state: I64) -> tuple[I64, I64]:
    """(rx, tx) as /proc/net has them: bytes that wait to be read, and that are not acknowledged; for a listener the
    connections that wait to be accepted. -1 where the page with TCP's own part is not in the image.

    kind: type of IP's sockets, -1 for others. A raw socket for TCP or UDP is neither's: its struct ends before.
    """
    is_tcp = (kind == socket.SOCK_STREAM) & (protocol == socket.IPPROTO_TCP) & (sock != 0)
    torn = is_tcp & ~whole(kernel, np.where(is_tcp, sock, np.uint64(0)), kernel.types.size("tcp_sock"))
    stream = np.where(is_tcp & ~torn, sock, np.uint64(0))

    def of_tcp(name: str) -> I64:
        return kernel.read(stream, "tcp_sock", name).astype(np.int64)

    waiting = kernel.read(sock, "sock", "sk_ack_backlog").astype(np.int64)
    rx = np.maximum((of_tcp("rcv_nxt") - of_tcp("copied_seq") + 2**31 & 0xFFFF_FFFF) - 2**31, 0)
    tx = (of_tcp("write_seq") - of_tcp("snd_una")) & 0xFFFF_FFFF
    memory = kernel.read(sock, "sock", "sk_backlog.rmem_alloc.counter").astype(np.int64)
    sent = kernel.read(sock, "sock", kernel.first_member("sock", "sk_wmem_alloc.refs.counter")).astype(np.int64) - 1
    is_udp = (kind == socket.SOCK_DGRAM) & among(protocol, (socket.IPPROTO_UDP, 136))
    datagram = np.where(is_udp, sock, np.uint64(0))
    if kernel.types.has("udp_sock", "forward_deficit"):
        memory -= kernel.read(datagram, "udp_sock", "forward_deficit").astype(np.int64)
    rx = np.where(is_tcp, np.where(state == LISTEN, waiting, rx), memory)
    tx = np.where(is_tcp, np.where(state == LISTEN, 0, tx), sent)
    tx = np.maximum(tx, 0)
    rx, tx = (np.where(torn, -1, np.where(sock != 0, queue, 0)) for queue in (rx, tx))
    return rx, tx


def ended(kernel: Kernel, proto: U64) -> U64:
    """Socks in slots that have been given back, with the other end that they had. proto: struct protos of TCP.

    Their caches are SLAB_TYPESAFE_BY_RCU, which are not wiped: a reference count of 0, the protocol, and an address
    remain until the slot is used anew. No list says that a slot is free.
    """
    proto = distinct(proto[proto != 0])
    # several have one cache: MPTCP and sockmaps put protos of their own in the place of TCP's
    cache = kernel.pointer(proto, "proto", "slab")
    cache = distinct(cache[cache != 0])
    if not len(cache):
        return np.zeros(0, np.uint64)
    _, every = slab.slots(kernel, cache)
    count, ok = kernel.try_read(every, "sock_common", "skc_refcnt.refs.counter")
    same = among(kernel.try_read(every, "sock_common", "skc_prot")[0].astype(np.uint64), proto)
    family = kernel.try_read(every, "sock_common", "skc_family")[0]
    end4 = kernel.try_read(every, "sock_common", "skc_daddr")[0] != 0
    gone: U64 = distinct(every[ok & (count == 0) & same & end4 & among(family, (INET, INET6))])
    return gone


def source_ports(kernel: Kernel, sock: U64) -> I64:
    """inet_sport of these socks in host order: an ended one has given its number in the table back."""
    port = kernel.read(sock, "inet_sock", "inet_sport").astype(np.int64)
    return (port >> 8 & 0xFF) | (port & 0xFF) << 8
