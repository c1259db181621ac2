# SPDX-License-Identifier: Apache-2.0
"""Files that are held without a descriptor: on their way through a unix socket, or registered with an io_uring."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from memir.kernel import io_uring, scm, sock
from memir.kernel.engine import Kernel
from memir.kernel.pagetable import I64, U64
from memir.kernel.rows import distinct

IN_FLIGHT, IO_URING = "in flight", "io_uring"
_MOST_STEPS = 5  # a socket in flight may hold files in flight itself: MAX_RECURSION_LEVEL is 4

Holder = tuple[int, int]
"""(struct task_struct, its fd; -1 for what it has without one)."""


@dataclass(frozen=True)
class Carried:
    """One row a file and place where it is held. file: struct file; use: IN_FLIGHT or IO_URING; where: which socket or
    ring, in words; holders: whose that socket or ring is, empty where nobody has it open."""

    file: U64
    use: list[str]
    where: list[str]
    holders: list[list[Holder]]

    def __len__(self) -> int:
        return len(self.file)


def carried(kernel: Kernel, opened: tuple[U64, I64, U64], unix: U64, mapped: tuple[U64, U64]) -> Carried:
    """Every such file, open elsewhere or not.

    opened: (task, fd, struct file) of every open file; unix: every unix sock; mapped: (task, struct file) of files in
    processes' memory, as an io_uring is that its process has closed.
    """
    by_file: dict[int, list[Holder]] = defaultdict(list)
    for task, fd, file in zip(*(part.tolist() for part in opened), strict=True):
        by_file[file].append((task, fd))
    ring, in_ring, where = _registered(kernel, opened, mapped)
    carrier, sent = scm.in_flight(kernel, unix)
    receiver = kernel.pointer(unix[carrier], "sock", "sk_socket")
    number = kernel.read(sock.inodes(kernel, receiver), "inode", "i_ino").tolist()
    # where nobody has taken the connection yet the receiving end has no struct socket
    names = [f"socket:[{inode}]" if inode else "a connection not accepted" for inode in number]
    way = kernel.pointer(receiver, "socket", "file")
    holders = [*ring, *_receivers(by_file, sent, way)]
    return Carried(
        np.concatenate((in_ring, sent)), [IO_URING] * len(in_ring) + [IN_FLIGHT] * len(sent),
        where + [f"in flight to {name}" for name in names], holders,
    )  # fmt: skip


def _receivers(by_file: dict[int, list[Holder]], sent: U64, way: U64) -> list[list[Holder]]:
    """Who can take each file that was sent: those who have the receiving socket (way: its struct file) open, or who can
    take that one in turn."""
    carriers = defaultdict(list)
    for file, through in zip(sent.tolist(), way.tolist(), strict=True):
        carriers[file].append(through)
    answer = []
    for first in way.tolist():
        level, met = [first], {first}
        for _ in range(_MOST_STEPS):
            if not level or any(by_file.get(file) for file in level):
                break
            level = [above for file in level for above in carriers.get(file, ()) if above not in met]
            met.update(level)
        answer.append(sorted({holder for file in level for holder in by_file.get(file, ())}))
    return answer


def _registered(
    kernel: Kernel, opened: tuple[U64, I64, U64], mapped: tuple[U64, U64]
) -> tuple[list[list[Holder]], U64, list[str]]:
    """(whose ring, struct file, which ring in words) of what is registered with io_urings, however those are held."""
    task, fd, file = opened
    own, ring_file = io_uring.own_rings(kernel, distinct(task))
    parts = [(task, fd, file), (distinct(task)[own], np.full(len(own), -1), ring_file),
             (mapped[0], np.full(len(mapped[0]), -1), mapped[1])]  # fmt: skip
    task, fd, file = (np.concatenate([part[column] for part in parts]) for column in range(3))
    ring = io_uring.rings(kernel, file)
    users: dict[int, set[Holder]] = defaultdict(set)
    for row in np.flatnonzero(ring).tolist():
        users[int(ring[row])].add((int(task[row]), int(fd[row])))
    contexts = np.array(sorted(users), np.uint64)
    of, held = io_uring.registered(kernel, contexts) if len(contexts) else (np.zeros(0, np.int64), contexts)
    whose = [sorted({(task, fd) for task, fd in users[ring] if fd >= 0} or users[ring]) for ring in contexts.tolist()]
    words = [
        f"registered with the io_uring of fd {holders[0][1]}" if holders[0][1] >= 0
        else "registered with an io_uring without fd" for holders in whose
    ]  # fmt: skip
    return [whose[row] for row in of.tolist()], held, [words[row] for row in of.tolist()]
