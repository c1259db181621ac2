# SPDX-License-Identifier: Apache-2.0
"""Files that a guest registered with an io_uring and closed."""

from __future__ import annotations

import numpy as np

from memir.kernel import fdtable
from memir.kernel.io_uring import own_rings, registered, rings
from tests.hunt.hunting import planted
from tests.kernel.held import node, truth


def test_registered_files() -> None:
    kernel, (record,) = node().kernel, truth("uring")
    _, number, file = fdtable.open_files(kernel, node().file_tasks)
    ring = rings(kernel, file)
    assert number[ring != 0].tolist() == [record["ring"]]
    row, held = registered(kernel, ring[ring != 0])
    assert row.tolist() == [0, 0]
    inode = kernel.read(kernel.pointer(held, "file", "f_inode"), "inode", "i_ino").tolist()
    assert inode == [record["tcp"], record["file"]]
    other = planted(node(), {where(ring[ring != 0]): b"\xff\xff\xff\x7f"}).kernel
    assert not len(registered(other, ring[ring != 0])[1])
    assert [gap.why for gap in other.gaps if gap.kind == "io_uring"] == ["absurd number of files"]


def test_rings_that_threads_have_registered_for_themselves() -> None:
    """A pointer planted where io_uring_register() puts the ring of its thread; no thread of the guest had one."""
    kernel, (record,) = node().kernel, truth("uring")
    task = node().file_tasks
    assert not len(own_rings(kernel, task)[1])
    owner, _, file = fdtable.open_files(kernel, task)
    (row,) = np.flatnonzero(rings(kernel, file) != 0)
    context = kernel.pointer(task[owner[row : row + 1]], "task_struct", "io_uring")
    place = kernel.embedded(context, "io_uring_task", "registered_rings") + np.uint64(8)
    changed = planted(node(), {int(kernel.space.physical(place)[0][0]): int(file[row]).to_bytes(8, "little")})
    found, ring = own_rings(changed.kernel, task)
    assert ring.tolist() == [int(file[row])] and node().pid_of[int(task[found[0]])] == record["pid"]


def where(ring: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> int:
    kernel = node().kernel
    return int(kernel.space.physical(kernel.embedded(ring, "io_ring_ctx", "nr_user_files"))[0][0])
