# SPDX-License-Identifier: Apache-2.0
"""The table `sockets`."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import numpy as np

from memir.checkpoint.rows import sockets_of
from memir.collected import sockets as collected
from memir.kernel import sock
from memir.kernel.rows import among
from memir.kube.addresses import Remote
from memir.kube.nat import behind, translated
from memir.kube.owner import OwnerBatch
from memir.kube.ram import RamSource
from memir.kube.sockets import Sockets
from memir.tables.frame import Frame, known
from memir.tables.table import Table, columns, frame_of

if TYPE_CHECKING:
    from memir.checkpoint.source import CheckpointSource
    from memir.collected.source import CollectedSource

COLUMNS = columns("""
    net_ns           uint64       network namespace inum
    family           string       inet, inet6, unix, netlink, packet, ...
    protocol         string       tcp, udp, ..., of packet all, ip, arp, ...; a number without a name; null: unix, vsock
    type             string       stream, dgram, raw, seqpacket, ...
    local            string       address (vsock: CID, * any), or the name that a unix socket is bound to (@: abstract)
    local_port       int64        port, host order; of vsock 32 bits
    remote           string       address of the other end, or the name of the unix socket there
    remote_port      int64        port, host order; of vsock 32 bits
    state            string       ESTABLISHED, LISTEN, TIME_WAIT, SYN_RECV, ...; ended: its slot has been given back
    accepted         bool         false: the connection still waits for the listener to accept it
    inode            uint64       number that /proc/PID/fd shows as socket:[N]
    pid              int32        lowest pid of those that have it open, else of those that hold where it waits
    fd               int32        its file descriptor there
    pids             list<int32>  every process that has it open, else those that hold where it waits
    uid              uint32       user id of the socket's inode
    rx_queue         int64        bytes that wait to be read; of a listener connections that wait to be accepted
    tx_queue         int64        bytes that are not acknowledged
    remote_pod_uid   string       pod at the other end; of a translated address (conntrack) the one behind it
    remote_name      string       namespace/name of that pod or service, node, or what an AWS address serves
    remote_kind      string       pod, node, other node, service, aws, loopback, private, outside, process, VM, ...
    seen_in          string       table that has it: tcp, udp, unix, ...; file: an open file alone; slab: its slab alone
    sock             uint64       kernel virtual address of struct sock
    source           string       where the row comes from; without fd: to which socket it is in flight, or its io_uring
""")
_FAMILIES = {1: "unix", 2: "inet", 10: "inet6", 15: "key", 16: "netlink", 17: "packet", 38: "alg", 40: "vsock",
             44: "xdp"}  # fmt: skip
_TYPES = {1: "stream", 2: "dgram", 3: "raw", 4: "rdm", 5: "seqpacket", 6: "dccp", 10: "packet"}
_STATES = (
    None, "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING", "SYN_RECV", "BOUND_INACTIVE",
)  # fmt: skip
_PROTOCOLS = {0: "ip", 1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp", 136: "udplite",
              255: "raw", 262: "mptcp"}  # fmt: skip
_ETHER = {3: "all", 0x800: "ip", 0x806: "arp", 0x86DD: "ipv6"}
_NETLINK = {0: "route", 4: "sock_diag", 6: "xfrm", 7: "selinux", 9: "audit", 12: "netfilter", 15: "uevent",
            16: "generic"}  # fmt: skip


def read(source: RamSource) -> Frame:
    """Every socket, by namespace, family, protocol and port."""
    every = source.sockets
    rows = every.rows
    pid = source.pid_of
    holders = [sorted({(pid[task], fd) for task, fd in every.holders.get(row, [])}) for row in range(len(rows))]
    carriers = {row: sorted({pid[task] for task, _ in holding}) for row, (_, holding) in every.carried.items()}
    for row, listening in every.listener.items():
        carriers.setdefault(row, sorted({process for process, _ in holders[listening]}))
    pids = [sorted({process for process, _ in value}) or carriers.get(row, []) for row, value in enumerate(holders)]
    remotes = _remotes(source, every)
    data: dict[str, Any] = {
        "net_ns": known(every.inum.astype(np.int64), 1),
        "family": [_FAMILIES.get(value, str(value)) for value in rows.family.tolist()],
        "protocol": [_protocol(*value) for value in zip(rows.family.tolist(), rows.protocol.tolist(), strict=True)],
        "type": [_TYPES.get(value) for value in rows.type.tolist()],
        "local": [name or local for name, local in zip(every.names, rows.local, strict=True)],
        "local_port": known(rows.local_port),
        "remote": _remote_names(every),
        "remote_port": known(rows.remote_port),
        "state": _states(every),
        "accepted": _accepted(every),
        "inode": known(rows.inode),
        "pid": [value[0] if value else None for value in pids],
        "fd": [value[0][1] if value else None for value in holders],
        "pids": pids,
        "uid": known(rows.uid),
        "rx_queue": known(np.where(every.ended, -1, rows.rx_queue)),
        "tx_queue": known(np.where(every.ended, -1, rows.tx_queue)),
        "remote_pod_uid": [value.pod_uid for value in remotes],
        "remote_name": [value.name for value in remotes],
        "remote_kind": [value.kind for value in remotes],
        "seen_in": every.table,
        "sock": rows.sock.tolist(),
        "source": _sources(every),
    }
    data |= OwnerBatch.of_lists(source.socket_owners).columns()
    key = [(int(every.inum[row]), data["family"][row], data["protocol"][row] or "", data["local_port"][row] or 0,
            data["local"][row] or "", data["remote"][row] or "", data["remote_port"][row] or 0, data["sock"][row])
           for row in range(len(rows))]  # fmt: skip
    order = sorted(range(len(rows)), key=key.__getitem__)
    return Frame(data, np.zeros(len(rows), np.uint64)).take(order)


def _sources(every: Sockets) -> list[str]:
    """How each was met; of one that no process has open, where its file is."""
    answer = ["struct sock, free slot" if gone else "struct sock" for gone in every.ended]
    for row, (where, _) in every.carried.items():
        answer[row] = f"struct sock, {where}"
    return answer


def _protocol(family: int, number: int) -> str | None:
    if family in (sock.UNIX, socket.AF_VSOCK) or number < 0:
        return None
    of_family = {sock.NETLINK: _NETLINK, sock.PACKET: _ETHER, sock.INET: _PROTOCOLS, sock.INET6: _PROTOCOLS}
    return of_family.get(family, {}).get(number, str(number))


def _states(every: Sockets) -> list[str | None]:
    """Names of states; sockets without connections (raw, netlink, packet) have none."""
    stateful = among(every.rows.family, (sock.UNIX, sock.INET, sock.INET6, socket.AF_VSOCK))
    stateful &= every.rows.type != socket.SOCK_RAW
    rows = zip(every.rows.state.tolist(), every.ended.tolist(), stateful.tolist(), strict=True)
    return [
        "ended" if gone else _STATES[state] if has and 0 < state < len(_STATES) else None for state, gone, has in rows
    ]


def _accepted(every: Sockets) -> list[bool | None]:
    """Of connections by TCP and vsock: false where one waits in a listener's queue."""
    whole = (every.rows.state != sock.LISTEN) & (every.rows.remote_port > 0) & ~every.rows.mini
    tables = zip(every.table, whole.tolist(), strict=True)
    connected = [fine and table in ("tcp", "vsock") for table, fine in tables]
    return [row not in every.listener if fine else None for row, fine in enumerate(connected)]


def _remote_names(every: Sockets) -> list[str | None]:
    """Addresses of other ends; of a unix socket the name that its other end is bound to."""
    return [
        address if peer is None else every.names[peer]
        for address, peer in zip(every.rows.remote, every.peer, strict=True)
    ]


def _remotes(source: RamSource, every: Sockets) -> list[Remote]:
    name, real = source.addresses.name, translated(source.connections)
    rows = every.rows
    keys = zip(rows.protocol.tolist(), rows.local, rows.local_port.tolist(), rows.remote, rows.remote_port.tolist(),
               strict=True)  # fmt: skip
    pods = [{owner.pod_uid for owner in owners} for owners in source.socket_owners]
    answer = []
    for row, (key, peer) in enumerate(zip(keys, every.peer, strict=True)):
        address = key[3]
        if every.rows.family[row] == socket.AF_VSOCK:
            answer.append(_of_vsock(address))
        elif peer is not None:
            uids = pods[peer]
            uid = next(iter(uids)) if len(uids) == 1 else None
            pod = source.pods.get(uid or "")
            answer.append(Remote("process", f"{pod.namespace}/{pod.pod_name}" if pod and pod.pod_name else None, uid))
        else:
            own = Remote() if address is None or not key[4] else name(address)
            answer.append(behind(own, name(real[key])) if key in real else own)
    return answer


def _of_vsock(cid: str | None) -> Remote:
    """What a context id is (include/uapi/linux/vm_sockets.h): a virtual machine may be an enclave or a pod's (Kata)."""
    if cid is None or cid == "*":
        return Remote()
    return Remote({"0": "hypervisor", "1": "loopback", "2": "hypervisor"}.get(cid, "VM"))


def read_checkpoint(source: CheckpointSource) -> Frame:
    """The same of a checkpoint's container."""
    return frame_of(COLUMNS, source.gaps, sockets_of(source))


def read_collected(source: CollectedSource) -> Frame:
    """The same of a collected pod."""
    return frame_of(COLUMNS, source.gaps, *collected.socket_rows(source))


TABLE = Table(
    "sockets", "Sockets of every network namespace, whoever holds them, and ended connections.", COLUMNS, "task",
    {"ram": read, "checkpoint": read_checkpoint, "pod": read_collected}, volatility="linux.pod_sockets",
)  # fmt: skip
