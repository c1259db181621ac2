# SPDX-License-Identifier: Apache-2.0
"""What inodes say, by slab and by name, beside what the recorder saw of the same files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from memir.kernel import inode
from memir.kube.dentry_names import superblocks
from memir.kube.ram import RamSource
from memir.tables.table import tables
from tests.kernel import held

NodeOf = Callable[[str], RamSource]
IMAGES = ("s-5.10-small-v1", "s-6.1-small", "s-6.12-intruded", "s-7.2-small-la57", "arm64-6.12-small-lpa2")


@pytest.mark.parametrize("name", IMAGES)
def test_slabs_have_every_inode_that_a_name_has(name: str, node_of: NodeOf) -> None:
    """Where an inode lies in its file system's struct is found from a few of them: half give all."""
    node = node_of(name)
    known = np.unique(node.inodes.names.inode[node.inodes.names.positive])
    slots = inode.every_slot(node.kernel, known[::2])
    assert np.isin(known, slots).mean() > 0.99 and len(slots) > len(known)
    good = inode.sound(node.kernel, slots, superblocks(node))
    assert np.isin(known[np.isin(known, slots)], slots[good]).all()
    assert not inode.sound(node.kernel, slots[:1] + np.uint64(8), superblocks(node))[0]


@pytest.mark.parametrize("name", IMAGES)
def test_freed_inodes(name: str, node_of: NodeOf) -> None:
    """None that has a name is freed, and what was freed has no content left; sockets' and processes' files are."""
    node = node_of(name)
    every = node.inodes
    gone = inode.freed(node.kernel, every.inodes.inode)
    assert not (gone & (every.row >= 0)).any()
    assert 20 < int(gone.sum()) < 200
    assert set(every.fstype[gone]) >= {b"proc", b"sockfs"}
    assert (every.inodes.pages[gone] == 0).all()


@pytest.mark.parametrize("name", IMAGES)
def test_values(name: str, node_of: NodeOf) -> None:
    """The log that the recorder hashed: a regular file of 18 bytes, made by the server (user 1000)."""
    node = node_of(name)
    every = node.inodes
    path = next(row for row, inside in enumerate(every.names.inside) if inside == b"/tmp/server.log"
                and every.names.layer[row] >= 0)  # fmt: skip
    chosen = np.array([every.names.inode[path]], np.uint64)
    rows = inode.inodes(node.kernel, chosen)
    assert (rows.mode[0], rows.size[0], rows.nlink[0], rows.uid[0], rows.gid[0]) == (0o100644, 18, 1, 1000, 1000)
    assert (rows.pages[0], rows.freed[0]) == (1, False)
    clock = node.facts.clock
    assert clock is not None
    for time in (rows.mtime[0], rows.ctime[0], rows.atime[0]):
        assert 0 <= clock / 1e9 - time / 1e9 < 300
    born = inode.birth(node.kernel, chosen, np.array([b"tmpfs"], object))
    if "5.10" in name:  # tmpfs keeps it since 5.18
        assert born.tolist() == [-1]
    else:
        assert rows.mtime[0] == rows.ctime[0] and 0 <= rows.mtime[0] - born[0] < 1_000_000_000
    assert inode.birth(node.kernel, chosen, np.array([b"xfs"], object)).tolist() == [-1]


def test_kinds_are_those_of_the_table(node_of: NodeOf) -> None:
    kinds = set(tables()["inodes"].read(node_of("s-6.1-small")).to_arrow().column("kind").to_pylist())
    assert kinds == set(inode.KINDS.values()) - {"block"} | kinds & {"block"}


def test_pages_of_a_tmpfs_in_swap() -> None:
    """Three files of 32 pages each that a guest had swapped out; other files have none."""
    every = held.node().inodes
    count = inode.swapped(held.node().kernel, every.inodes.inode, every.fstype)
    sizes = [record["file_pages"] for record in held.truth("swap")]
    assert sorted(count[count > 0].tolist()) == sizes == [32] * 3 and set(every.fstype[count > 0]) == {b"tmpfs"}
