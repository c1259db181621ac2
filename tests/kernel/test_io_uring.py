# SPDX-License-Identifier: Apache-2.0
"""Files that a guest registered with an io_uring and closed."""

from __future__ import annotations

import numpy as np

from memir.kernel import fdtable
from memir.kernel.io_uring import registered, rings
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


def where(ring: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> int:
    kernel = node().kernel
    return int(kernel.space.physical(kernel.embedded(ring, "io_ring_ctx", "nr_user_files"))[0][0])
