# SPDX-License-Identifier: Apache-2.0
"""Every socket of the node, who holds it, and whose it is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from memir.kernel import af_netlink, af_unix, af_vsock, fdtable, fs, inet_hashtables, sock, sockfs
from memir.kernel.cgroup import kernfs_paths
from memir.kernel.engine import Kernel
from memir.kernel.pagetable import I64, U64, Bools
from memir.kernel.rows import among, distinct
from memir.kube.carried import Carried, Holder, carried
from memir.kube.owner import Owner, Owners, sort_owners


@dataclass(frozen=True)
class Held:
    """What opened files hold, one row an open file that is a socket: task (row of the tasks asked about), fd, and
    struct socket. opener, number, file: task, fd and struct file of every open file, whatever it is."""

    task: U64
    fd: list[int]
    socket: U64
    opener: U64
    number: I64
    file: U64


@dataclass
class Sockets:
    """rows: their fields. table: where each was found. ended: its slot has been given back.

    holders: by row, (struct task_struct, fd) of each open file; listener: by row, the row of the listening socket in
    whose queue it waits to be accepted. carried: by row, of a socket that no process has open, where its file is and
    who holds that: the queue of a unix socket, an io_uring. files: all files that are held so.
    inum: by row, of the network namespace, 0 not known.
    """

    rows: sock.Socks
    table: list[str]
    ended: Bools
    inum: U64
    names: list[str | None]
    peer: list[int | None]
    holders: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    carried: dict[int, tuple[str, list[tuple[int, int]]]] = field(default_factory=dict)
    listener: dict[int, int] = field(default_factory=dict)
    files: Carried = field(default_factory=lambda: Carried(np.zeros(0, np.uint64), [], [], []))


def open_sockets(kernel: Kernel, task: U64) -> Held:
    """Sockets that tasks have open, by file.private_data, where the socket names that file in turn."""
    owner, number, file = fdtable.open_files(kernel, task)
    row, held = _of_files(kernel, file)
    return Held(task[owner[row]], number[row].tolist(), held, task[owner], number, file)


def _of_files(kernel: Kernel, file: U64) -> tuple[I64, U64]:
    """(row, struct socket) of those of these struct files that are sockets, where the socket names the file in turn."""
    superblock = kernel.pointer(kernel.pointer(file, "file", "f_inode"), "inode", "i_sb")
    unique, back = np.unique(superblock, return_inverse=True)
    mine = np.flatnonzero(np.array([kind == b"sockfs" for kind in fs.types_of(kernel, unique)], bool)[back])
    held = kernel.pointer(file[mine], "file", "private_data")
    same = kernel.try_read(held, "socket", "file")[0].astype(np.uint64) == file[mine]
    kernel.count_unread("socket of an open file", held, same)
    return mine[same], held[same]


def _sent(kernel: Kernel, every: Carried) -> list[tuple[int, str, list[Holder]]]:
    """(struct socket, where its file is, who holds that) of carried files that are sockets."""
    row, held = _of_files(kernel, every.file)
    return [(value, every.where[of], every.holders[of]) for value, of in zip(held.tolist(), row.tolist(), strict=True)]


def sockets(kernel: Kernel, task: U64, namespaces: tuple[U64, U64], mapped: tuple[U64, U64], thread: U64) -> Sockets:
    """Every socket that a table of the kernel or an open file of a task knows, and ended TCP connections.

    task: one for each table of open files; thread: every living one.
    namespaces: (struct net, inum) of every network namespace, as net_namespace.net_namespaces gives them.
    mapped: (task, struct file) of files in processes' memory: a ring of io_uring may be there alone.
    """
    net, number = namespaces
    held = open_sockets(kernel, task)
    # by socket.sk: unbound, unconnected, MPTCP sockets are in no table
    bare = distinct(kernel.pointer(distinct(held.socket), "socket", "sk"))
    bare = bare[sock.sound(kernel, bare, net)]
    fields = (kernel.read(bare, "sock", f"sk_{name}").astype(np.int64) for name in ("protocol", "type"))
    protocol, kind = (np.where(_of_ip(kernel, bare), value, -1) for value in fields)
    own = kernel.pointer(bare, "sock_common", "skc_prot")  # which knows the table, where no symbol does
    stream, datagram, is_raw = (kind == 1) & (protocol == 6), (kind == 2) & among(protocol, (17, 136)), kind == 3
    tables = {
        "tcp": inet_hashtables.tcp(kernel, net, distinct(own[stream])),
        "udp": inet_hashtables.udp(kernel, net, distinct(own[datagram])),
        "raw": inet_hashtables.raw(kernel, distinct(own[is_raw])),
        "unix": af_unix.unix(kernel, net),
        "packet": af_netlink.packet(kernel, net),
        "netlink": af_netlink.netlink(kernel),
        "ping": inet_hashtables.ping(kernel),
        "vsock": af_vsock.vsock(kernel),
    }
    for name, every in tables.items():
        good = sock.sound(kernel, every, net)
        kernel.count_unread(f"{name} socket", every, good, "torn")
        tables[name] = every[good]
    live = tables["tcp"]
    state = kernel.read(live, "sock_common", "skc_state")
    vsock = tables["vsock"]
    listens = kernel.read(vsock, "sock_common", "skc_state") == sock.LISTEN
    queues = (inet_hashtables.accept_queues(kernel, live[state == sock.LISTEN]),
              af_vsock.accept_queues(kernel, vsock[listens]))  # fmt: skip
    of_queue, child = (np.concatenate([queue[part] for queue in queues]) for part in range(2))
    known = np.concatenate(list(tables.values()))
    tables["file"] = np.setdiff1d(bare, known)
    everything = carried(kernel, (held.opener, held.number, held.file), tables["unix"], mapped, thread)
    sent_sockets = _sent(kernel, everything)
    sent = distinct(kernel.pointer(np.array([value for value, _, _ in sent_sockets], np.uint64), "socket", "sk"))
    sent = np.setdiff1d(sent[sock.sound(kernel, sent, net)], known)
    tables["file"] = np.union1d(tables["file"], sent)
    some = np.union1d(held.socket, kernel.pointer(tables["unix"], "sock", "sk_socket"))
    rest = np.setdiff1d(sockfs.in_slab(kernel, some), np.union1d(known, tables["file"]))
    tables["slab"] = rest[sock.sound(kernel, rest, net)]
    full = live[~among(state, (sock.TIME_WAIT, sock.NEW_SYN_RECV))]
    tcp_proto = distinct(kernel.pointer(full, "sock_common", "skc_prot"))
    dead = np.setdiff1d(sock.ended(kernel, tcp_proto), np.concatenate(list(tables.values())))
    tables["free slot"] = dead[sock.sound(kernel, dead, net)]
    made = _joined(kernel, tables, held, dict(zip(net.tolist(), number.tolist(), strict=True)), (of_queue, child))
    where = {value: (text, holders) for value, text, holders in sent_sockets}
    made.files = everything
    for row, value in enumerate(made.rows.socket.tolist()):
        if value in where and row not in made.holders and not made.ended[row]:
            made.carried[row] = where[value]
    return made


def _of_ip(kernel: Kernel, address: U64) -> Bools:
    is_ip: Bools = among(kernel.read(address, "sock_common", "skc_family"), (sock.INET, sock.INET6))
    return is_ip


def _joined(
    kernel: Kernel, tables: dict[str, U64], held: Held, inum: dict[int, int], queue: tuple[U64, U64]
) -> Sockets:
    every = np.concatenate(list(tables.values()))
    table = [name for name, listed in tables.items() for _ in range(len(listed))]
    rows = sock.socks(kernel, every)
    dead = np.array([name == "free slot" for name in table], bool)
    rows.local_port[dead] = sock.source_ports(kernel, every[dead])
    _vsock_ends(kernel, rows)
    local = np.where(rows.family == sock.UNIX, every, np.uint64(0))
    place = {int(address): row for row, address in enumerate(every)}
    made = Sockets(
        rows=rows,
        table=table,
        ended=dead,
        inum=np.array([inum.get(value, 0) for value in rows.net.tolist()], np.uint64),
        names=af_unix.names(kernel, local),
        peer=[place.get(value) for value in af_unix.peers(kernel, local).tolist()],
    )
    by_socket: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for value, task, number in zip(held.socket.tolist(), held.task.tolist(), held.fd, strict=True):
        by_socket[value].append((task, number))
    # not by socket.sk: a TCP subflow of MPTCP is grafted on the MPTCP socket's struct socket
    for row, value in enumerate(rows.socket.tolist()):
        if value in by_socket and not dead[row]:
            made.holders[row] = by_socket[value]
    for listening, child in zip(*(part.tolist() for part in queue), strict=True):
        if child in place and listening in place:
            made.listener[place[child]] = place[listening]
    return made


def _vsock_ends(kernel: Kernel, rows: sock.Socks) -> None:
    """Addresses of vsock sockets: context ids as text, `*` for any."""
    own = np.flatnonzero(rows.family == af_vsock.AF_VSOCK)
    ends = af_vsock.ends(kernel, rows.sock[own])
    rows.local_port[own], rows.remote_port[own] = ends.local_port, ends.remote_port
    rows.rx_queue[own], rows.tx_queue[own] = -1, -1  # each transport counts in a struct of its own
    for texts, numbers in ((rows.local, ends.local), (rows.remote, ends.remote)):
        for row, number in zip(own.tolist(), numbers.tolist(), strict=True):
            texts[row] = None if number < 0 else "*" if number == af_vsock.ANY else str(number)


def owners_of(kernel: Kernel, every: Sockets, owners: Owners, host: int) -> list[tuple[Owner, ...]]:
    """Whose each socket is: of those that hold it, of the listener's holders, else of its network namespace.

    host: number of the node's own network namespace, which host-network pods share: there the cgroup of its creator
    says whose a socket is that nobody holds.
    """
    carriers = [holders for _, holders in every.carried.values()]
    tasks = sorted({task for holders in (*every.holders.values(), *carriers) for task, _ in holders})
    batch = owners.by_task(tasks)
    of_task = {task: batch[row] for row, task in enumerate(tasks)}
    spaces = owners.by_namespace(every.inum)
    creator = _creators(kernel, every, owners)
    answer: list[tuple[Owner, ...]] = []
    for row in range(len(every.rows)):
        waiting = every.carried[row][1] if row in every.carried else every.holders.get(every.listener.get(row, -1), [])
        holders = every.holders.get(row) or waiting
        if holders:
            answer.append(sort_owners(owner for task, _ in holders for owner in of_task[task]))
        elif int(every.inum[row]) == host and creator[row] is not None:
            answer.append((creator[row],))  # type: ignore[arg-type]  # it was just compared
        else:
            answer.append(spaces[row])
    return answer


def _creators(kernel: Kernel, every: Sockets, owners: Owners) -> list[Owner | None]:
    unique, back = np.unique(np.where(every.ended, np.uint64(0), every.rows.cgroup), return_inverse=True)
    unique = np.where(kernel.space.is_kernel_pointer(unique), unique, np.uint64(0))
    node, ok = kernel.try_read(unique, "cgroup", "kn")
    paths = kernfs_paths(kernel, np.where(ok, node.astype(np.uint64), np.uint64(0)))
    named = [None if path is None else owners.cgroup(path) for path in paths]
    return [named[row] for row in back]
