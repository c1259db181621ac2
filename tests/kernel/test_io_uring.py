# SPDX-License-Identifier: Apache-2.0
"""Files that a guest registered with an io_uring or asked it for something of, and closed."""

from __future__ import annotations

import numpy as np

from memir.kernel import fdtable
from memir.kernel.io_uring import of_requests, own_rings, registered, rings, waiting, working
from memir.kernel.pagetable import U64
from tests.hunt.hunting import planted
from tests.kernel.held import node, truth


def test_registered_files() -> None:
    kernel, (record,) = node().kernel, truth("uring")
    ring = ring_of(record["pid"], record["ring"])
    row, held = registered(kernel, ring)
    assert row.tolist() == [0, 0] and inodes(held) == [record["tcp"], record["file"]]
    other = planted(node(), {where(ring, "nr_user_files"): b"\xff\xff\xff\x7f"}).kernel
    assert not len(registered(other, ring)[1])
    assert [gap.why for gap in other.gaps if gap.kind == "io_uring"] == ["absurd number of files"]


def test_rings_that_threads_have_registered_for_themselves() -> None:
    """A pointer planted where io_uring_register() puts the ring of its thread; no thread of the guest had one."""
    kernel, (record,) = node().kernel, truth("uring")
    task = node().file_tasks
    assert not len(own_rings(kernel, task)[1])
    owner, _, file = fdtable.open_files(kernel, task)
    (row,) = np.flatnonzero(rings(kernel, file) == ring_of(record["pid"], record["ring"]))
    context = kernel.pointer(task[owner[row : row + 1]], "task_struct", "io_uring")
    place = kernel.embedded(context, "io_uring_task", "registered_rings") + np.uint64(8)
    changed = planted(node(), {int(kernel.space.physical(place)[0][0]): int(file[row]).to_bytes(8, "little")})
    found, ring = own_rings(changed.kernel, task)
    assert ring.tolist() == [int(file[row])] and node().pid_of[int(task[found[0]])] == record["pid"]


def test_requests_that_wait() -> None:
    """An accept and a poll whose files are closed."""
    (record,) = truth("requests")
    ring = ring_of(record["pid"], record["ring"])
    row, request = waiting(node().kernel, ring)
    asked_of, file, name = of_requests(node().kernel, request)
    assert row.tolist() == [0, 0] and asked_of.tolist() == ring.tolist() * 2
    shown = dict(zip(name, inodes(file), strict=True))
    assert shown == {"IORING_OP_ACCEPT": record["accept"], "IORING_OP_POLL_ADD": record["poll"]}
    other = planted(node(), {where(ring, "cancel_table.hash_bits"): b"\xff\0\0\0"}).kernel
    assert waiting(other, ring)[1].tolist() != request.tolist()
    assert [gap.why for gap in other.gaps if gap.kind == "io_uring"] == ["absurd number of requests"]


def test_a_request_of_another_ring_is_torn() -> None:
    (record,) = truth("requests")
    ring = ring_of(record["pid"], record["ring"])
    (_, request), kernel = waiting(node().kernel, ring), node().kernel
    place = int(kernel.space.physical(kernel.embedded(request[:1], "io_kiocb", "ctx"))[0][0])
    other = planted(node(), {place: bytes(8)}).kernel
    assert waiting(other, ring)[1].tolist() == request[1:].tolist()
    assert [(gap.kind, gap.why) for gap in other.gaps] == [("request of an io_uring", "torn")]


def test_requests_that_a_worker_is_at_work_on() -> None:
    """A splice that waits for a pipe; the pipe it would write to is closed."""
    (record,) = truth("requests")
    threads = node().processes.threads
    row, request = working(node().kernel, threads.task)
    assert threads.tgid[row].tolist() == [record["pid"]]
    asked_of, file, name = of_requests(node().kernel, request)
    assert (inodes(file), name) == ([record["splice"]], ["IORING_OP_SPLICE"])
    assert asked_of.tolist() == ring_of(record["pid"], record["ring"]).tolist()


def test_a_worker_that_points_to_what_is_no_request() -> None:
    """Its ring is no pointer, or what it asks for is nothing there is: counted, and no file comes of it."""
    threads = node().processes.threads
    _, request = working(node().kernel, threads.task)
    for member, data in (("ctx", bytes(8)), ("opcode", b"\xff")):
        place = int(node().kernel.space.physical(node().kernel.embedded(request, "io_kiocb", member))[0][0])
        other = planted(node(), {place: data}).kernel
        assert not len(working(other, threads.task)[1])
        assert [(gap.kind, gap.why, gap.count) for gap in other.gaps if "io_uring" in gap.kind] == [
            ("request of an io_uring", "torn", 1)
        ]


def test_a_file_that_is_registered_is_no_request_s() -> None:
    _, request = working(node().kernel, node().processes.threads.task)
    kernel = node().kernel
    place = int(kernel.space.physical(kernel.embedded(request, "io_kiocb", "flags"))[0][0])
    assert of_requests(planted(node(), {place: b"\1\0\0\0"}).kernel, request)[1].tolist() == [0]
    assert not len(waiting(kernel, request[:0])[1]) and not len(registered(kernel, request[:0])[1])


def ring_of(pid: int, fd: int) -> U64:
    """The struct io_ring_ctx that a process has open."""
    owner, number, file = fdtable.open_files(node().kernel, node().file_tasks)
    pids = np.array([node().pid_of[task] for task in node().file_tasks[owner].tolist()])
    return rings(node().kernel, file[(pids == pid) & (number == fd)])


def inodes(file: U64) -> list[int]:
    kernel = node().kernel
    numbers: list[int] = kernel.read(kernel.pointer(file, "file", "f_inode"), "inode", "i_ino").tolist()
    return numbers


def where(ring: U64, member: str) -> int:
    kernel = node().kernel
    return int(kernel.space.physical(kernel.embedded(ring, "io_ring_ctx", member))[0][0])
