# SPDX-License-Identifier: Apache-2.0
"""Files in flight and those of io_urings: what a guest sent to itself, registered, and closed."""

from __future__ import annotations

import numpy as np

from memir.kernel import af_unix, fdtable
from memir.kube.carried import IN_FLIGHT, IO_URING, Carried, carried
from tests.kernel.held import node, truth

NONE = np.zeros(0, np.uint64)


def read(*, hidden: int | None = None, mapped: bool = False) -> tuple[Carried, dict[int, int]]:
    """All of them and the pid of each task; hidden: without the descriptors of this process."""
    kernel, tasks = node().kernel, node().file_tasks
    owner, number, file = fdtable.open_files(kernel, tasks)
    pid = node().pid_of
    kept = np.array([pid[task] != hidden for task in tasks[owner].tolist()])
    rings = file[~kept & (number == truth("uring")[0]["ring"])]
    ring = (tasks[owner][~kept][:1], rings) if mapped else (NONE, NONE)
    threads = node().processes.threads
    opened = tasks[owner][kept], number[kept], file[kept]
    return carried(kernel, opened, af_unix.unix(kernel, node().net_namespaces[0]), ring, threads.task), pid


def inodes(every: Carried) -> list[int]:
    kernel = node().kernel
    numbers: list[int] = kernel.read(kernel.pointer(every.file, "file", "f_inode"), "inode", "i_ino").tolist()
    return numbers


def test_what_is_in_flight_and_what_is_registered() -> None:
    (flight,), (ring,), (asked,) = truth("flight"), truth("uring"), truth("requests")
    every, pid = read()
    assert len(every) == 8 and every.use == [IO_URING] * 5 + [IN_FLIGHT] * 3
    assert inodes(every)[:2] + inodes(every)[5:] == [
        ring["tcp"], ring["file"], flight["tcp"], flight["file"], flight["udp"]
    ]  # fmt: skip
    assert sorted(inodes(every)[2:5]) == sorted([asked["accept"], asked["poll"], asked["splice"]])
    assert every.where[0] == f"registered with the io_uring of fd {ring['ring']}"
    assert every.where[4] == f"in IORING_OP_SPLICE of the io_uring of fd {asked['ring']}"
    assert every.where[7] == f"in flight to socket:[{flight['carrier'][1]}]"
    pids = [[pid[task] for task, _ in holders] for holders in every.holders]
    assert pids == [[ring["pid"]]] * 2 + [[asked["pid"]]] * 3 + [[flight["pid"]]] * 3


def test_a_socket_that_nobody_has_open_has_no_holder() -> None:
    """The files stay rows where the process that could receive them is not known."""
    every, _ = read(hidden=truth("flight")[0]["pid"])
    assert len(every) == 8 and every.holders[5:] == [[], [], []]


def test_a_request_whose_ring_nobody_has_any_more() -> None:
    """The thread that is at work on it says whose it is."""
    (asked,) = truth("requests")
    every, pid = read(hidden=asked["pid"])
    row = every.where.index("in IORING_OP_SPLICE of an io_uring without fd")
    assert inodes(every)[row] == asked["splice"] and len(every) == 6
    assert [(pid[task], fd) for task, fd in every.holders[row]] == [(asked["pid"], -1)]


def test_a_ring_that_is_only_mapped() -> None:
    """A process may close its ring and go on by its memory."""
    (ring,) = truth("uring")
    every, pid = read(hidden=ring["pid"], mapped=True)
    assert every.where[:2] == ["registered with an io_uring without fd"] * 2
    assert [[(pid[task], fd) for task, fd in holders] for holders in every.holders[:2]] == [[(ring["pid"], -1)]] * 2
