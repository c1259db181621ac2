# SPDX-License-Identifier: Apache-2.0
"""Files that are held without a descriptor: on their way through a unix socket, registered with an io_uring, or waited
for by one of its requests."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from memir.kernel import io_uring, scm, sock
from memir.kernel.engine import Kernel
from memir.kernel.pagetable import I64, U64

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


def carried(
    kernel: Kernel, opened: tuple[U64, I64, U64], unix: U64, mapped: tuple[U64, U64], thread: U64
) -> Carried:
    """Every such file, open elsewhere or not.

    opened: (task, fd, struct file) of every open file; unix: every unix sock; mapped: (task, struct file) of files in
    processes' memory, as an io_uring is that its process has closed; thread: every living task.
    """
    by_file: dict[int, list[Holder]] = defaultdict(list)
    for task, fd, file in zip(*(part.tolist() for part in opened), strict=True):
        by_file[file].append((task, fd))
    ring, in_ring, where = _of_rings(kernel, opened, mapped, thread)
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


def _of_rings(
    kernel: Kernel, opened: tuple[U64, I64, U64], mapped: tuple[U64, U64], thread: U64
) -> tuple[list[list[Holder]], U64, list[str]]:
    """(whose ring, struct file, where in words) of what io_urings hold, however those are held themselves."""
    own, ring_file = io_uring.own_rings(kernel, thread)
    parts = [opened, (thread[own], np.full(len(own), -1), ring_file),
             (mapped[0], np.full(len(mapped[0]), -1), mapped[1])]  # fmt: skip
    task, fd, file = (np.concatenate([part[column] for part in parts]) for column in range(3))
    ring = io_uring.rings(kernel, file)
    users: dict[int, set[Holder]] = defaultdict(set)
    for row in np.flatnonzero(ring).tolist():
        users[int(ring[row])].add((int(task[row]), int(fd[row])))
    contexts = np.array(sorted(users), np.uint64)
    of, held = io_uring.registered(kernel, contexts)
    worker, at_work = io_uring.working(kernel, thread)
    requests = np.concatenate((io_uring.waiting(kernel, contexts)[1], at_work))
    asked_of, waited_for, name = io_uring.of_requests(kernel, requests)
    for row, which in zip(worker.tolist(), asked_of[len(requests) - len(at_work) :].tolist(), strict=True):
        if which not in users:  # closed, and its requests go on
            users[which].add((int(thread[row]), -1))
    whose = {which: sorted({holder for holder in users[which] if holder[1] >= 0} or users[which]) for which in users}
    words = {which: f"the io_uring of fd {holders[0][1]}" if holders[0][1] >= 0 else "an io_uring without fd"
             for which, holders in whose.items()}  # fmt: skip
    rows = [(which, file, f"registered with {words[which]}")
            for which, file in zip(contexts[of].tolist(), held.tolist(), strict=True)]  # fmt: skip
    asked = zip(asked_of.tolist(), waited_for.tolist(), name, strict=True)
    rows += [(which, file, f"in {text} of {words[which]}") for which, file, text in asked if file]
    files = np.array([file for _, file, _ in rows], np.uint64)
    return [whose[which] for which, _, _ in rows], files, [text for _, _, text in rows]
